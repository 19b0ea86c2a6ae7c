#!/usr/bin/env python3
"""Makes a table of the reports of peers.sh: what each registry needed for each row.

    table.py FOLDER ROW...

The table, in Markdown, goes to standard output. The status is 1 when longshore or the control failed at anything, or
did nothing in a row: what other registries do wrong is told in the table only.
"""

import pathlib
import sys

from reports import Row, lines_of, markdown, median, number, spread

HEAD = ["registry", "synced", "CPU", "user", "system", "speed", "p50 ms", "p99 ms", "peak MiB", "failed", "found wrong"]


def cells(registry, synced):
    peak = [memory for memory in registry.memory if memory is not None]
    return [registry.name, synced.get(registry.name, ""), spread(registry.cpu), number(median(registry.user)),
            number(median(registry.system)), spread(registry.speed), number(median(registry.p50)),
            number(median(registry.p99)), number(max(peak, default=None)), f"{registry.failed:,}",
            f"{registry.found:,}"]


def complaint(registry):
    if registry.is_peer():
        return None
    if registry.done == 0:
        return "did nothing"
    if registry.failed or registry.found:
        errors = "; ".join(f"{error['operation']} {error['status']} {error['code']}: {error['example']}"
                           for error in registry.errors[:3])
        return f"{registry.failed} tasks failed, {registry.found} things are wrong ({errors})"
    if median(registry.cpu) is None and median(registry.memory) is None:
        return "has no figures of its process"
    return None


def main(folder, names):
    folder = pathlib.Path(folder)
    synced = {name: level for name, level, _, _ in lines_of(folder / "registries.tsv")}
    complaints = []
    print("## What each registry needed")
    for name in names:
        row = Row(folder, name)
        head = list(HEAD)
        head[HEAD.index("CPU")], head[HEAD.index("speed")] = row.cost_words(), row.speed_words()
        if not row.writes():
            head.remove("synced")
        rows = []
        for registry in row.registries.values():
            told = cells(registry, synced)
            if not row.writes():
                del told[1]
            rows.append(told)
        print(f"\n### {row.title}\n")
        print("\n".join(markdown(head, rows, 2 if row.writes() else 1)))
        print(f"\nThe load tester itself took {max(row.shares) * 100:.0f} % of the processors at most.")
        found = ((registry.name, complaint(registry)) for registry in row.registries.values())
        complaints += [f"{name}: {who}: {what}" for who, what in found if what]
    for told in complaints:
        print(told, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
