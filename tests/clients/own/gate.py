#!/usr/bin/env python3
"""Stands before a registry and lets bytes through, but holds one request back.

    gate.py PORT REGISTRY_PORT NUMBER SIGN

Of the requests that begin with `PATCH` the one with this NUMBER (1 is the first) is not passed on;
the file SIGN is made when it comes. Those before and after it pass, so that who is killed at the
gate has sent whole requests only. Only the standard library is needed.
"""

import asyncio
import itertools
import pathlib
import sys

MARK, PIECE = b"PATCH /v2/", 64 * 1024


class Gate:
    def __init__(self, registry_port, number, sign):
        self.registry_port, self.number, self.sign = registry_port, number, sign
        self.counter = itertools.count(1)

    async def serve(self, reader, writer):
        registry_reader, registry_writer = await asyncio.open_connection("127.0.0.1", self.registry_port)
        await asyncio.gather(self.requests(reader, registry_writer), pass_on(registry_reader, writer))

    async def requests(self, reader, writer):
        # The mark may lie across two pieces; what could be its beginning waits for the next one.
        held = b""
        while piece := await read(reader):
            held += piece
            while (at := held.find(MARK)) >= 0:
                if next(self.counter) == self.number:
                    writer.write(held[:at])
                    self.sign.touch()
                    while await read(reader):
                        pass
                    writer.close()
                    return
                writer.write(held[:at + len(MARK)])
                held = held[at + len(MARK):]
            keep = next(n for n in range(min(len(held), len(MARK) - 1), -1, -1) if held.endswith(MARK[:n]))
            writer.write(held[:len(held) - keep])
            held = held[len(held) - keep:]
            await writer.drain()
        writer.write(held)
        writer.close()


async def read(reader):
    """The next bytes; nothing when there are no more, in whatever way that came about."""
    try:
        return await reader.read(PIECE)
    except ConnectionError:
        return b""


async def pass_on(reader, writer):
    while piece := await read(reader):
        writer.write(piece)
    writer.close()


async def main(port, registry_port, number, sign):
    gate = Gate(int(registry_port), int(number), pathlib.Path(sign))
    server = await asyncio.start_server(gate.serve, "127.0.0.1", int(port))
    await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
