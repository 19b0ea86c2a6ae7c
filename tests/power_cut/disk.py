#!/usr/bin/env python3
"""Takes the disk away from a running registry, again and again; what was acknowledged has to be there afterwards.

    LONGSHORE_BIN=target/release/longshore tests/power_cut/disk.py [ROUNDS]

The registry works on an ext4 of its own, in a file. Clients push blobs and manifests, and move tags. Then the
filesystem is shut down without anything being written that was not synced, as when power is lost, and mounted again.
Needs root and loop devices; where there are none it says so and does nothing. LONGSHORE_POWER_SEED repeats the choices
of a run; in which order the requests of different clients come, the machine decides.
"""

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

CLIENTS = 12
LONGEST_ROUND_SECONDS = 5
MANIFEST = "application/vnd.oci.image.index.v1+json"
SHUT_DOWN = 0x8004587D  # the ioctl
WITHOUT_WRITING = struct.pack("I", 2)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Disk:
    def __init__(self, folder):
        self.image, self.mount = folder / "image", folder / "mount"
        self.mount.mkdir()
        run("fallocate", "-l", "2G", str(self.image))
        run("mkfs.ext4", "-q", "-E", "nodiscard", str(self.image))
        # The image is written past the page cache: what is not synced is not in it.
        self.device = run("losetup", "--direct-io=on", "-f", "--show", str(self.image))
        try:
            run("mount", self.device, str(self.mount))
        except subprocess.CalledProcessError:
            run("losetup", "-d", self.device)
            raise

    def lose_power(self):
        folder = os.open(self.mount, os.O_RDONLY)
        fcntl.ioctl(folder, SHUT_DOWN, WITHOUT_WRITING)
        os.close(folder)

    def unmount(self):
        for _ in range(100):
            if subprocess.run(["umount", self.mount], capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        raise SystemExit(f"{self.mount} stays busy")

    def come_back(self):
        self.unmount()
        run("mount", self.device, str(self.mount))

    def close(self):
        self.unmount()
        run("losetup", "-d", self.device)


class Registry:
    def __init__(self, program, root, log):
        with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as taken_too:
            self.port, admin_port = taken.getsockname()[1], taken_too.getsockname()[1]
        environment = {
            "LONGSHORE__STORAGE__FILESYSTEM__ROOT": str(root),
            "LONGSHORE__STORAGE__FILESYSTEM__REDO_LOG": "16MiB",
            "LONGSHORE__HTTP__ADDR": f"127.0.0.1:{self.port}",
            "LONGSHORE__HTTP__ADMIN_ADDR": f"127.0.0.1:{admin_port}",
            "LONGSHORE__LOG__LEVEL": "warn",
        }
        self.process = subprocess.Popen([program, "serve"], env=os.environ | environment, stdout=log, stderr=log)
        for _ in range(600):
            with contextlib.suppress(OSError):
                self.request(self.connect(), "GET", "/v2/")
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit("the registry does not start")

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    @staticmethod
    def request(connection, method, path, body=None, headers={}):
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer, answer.read()


class Ledger:
    """What must be there: for each path the contents that may be, of which None is an absence."""

    def __init__(self):
        self.lock, self.is_closed, self.allowed = threading.Lock(), False, {}

    def begin(self, path, content):
        with self.lock:
            self.allowed.setdefault(path, {None}).add(content)

    def acknowledged(self, path, content):
        with self.lock:
            if not self.is_closed:
                self.allowed[path] = {content}

    def open(self):
        self.is_closed = False

    def close(self):
        with self.lock:
            self.is_closed = True

    def check(self, registry):
        connection, wrong = registry.connect(), 0
        for path, allowed in self.allowed.items():
            answer, body = registry.request(connection, "GET", path, headers={"Accept": MANIFEST})
            found = {200: digest_of(body), 404: None}.get(answer.status, f"status {answer.status}")
            if found not in allowed:
                print(f"{path}: {found} in place of {allowed}")
                wrong += 1
            self.allowed[path] = {found}
        return wrong


def size_from(choices):
    longest = choices.choice([300, 5_000, 5_000, 140_000, 400_000])
    return choices.randrange(longest)


def push_blob(registry, connection, ledger, repository, choices):
    data = choices.randbytes(size_from(choices))
    digest = digest_of(data)
    path = f"/v2/{repository}/blobs/{digest}"
    ledger.begin(path, digest)
    answer, _ = registry.request(connection, "POST", f"/v2/{repository}/blobs/uploads/")
    if answer.status != 202:
        return
    location = answer.getheader("Location")
    if choices.random() < 0.5:
        answer, _ = registry.request(connection, "PATCH", location, data)
        if answer.status != 202:
            return
        location, data = answer.getheader("Location"), b""
    separator = "&" if "?" in location else "?"
    answer, _ = registry.request(connection, "PUT", f"{location}{separator}digest={digest}", data)
    if answer.status == 201:
        ledger.acknowledged(path, digest)


def move_tag(registry, connection, ledger, repository, choices):
    note = {"note": str(choices.random())}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "manifests": [], "annotations": note}).encode()
    path = f"/v2/{repository}/manifests/tag-{choices.randrange(4)}"
    ledger.begin(path, digest_of(manifest))
    answer, _ = registry.request(connection, "PUT", path, manifest, {"Content-Type": MANIFEST})
    if answer.status == 201:
        ledger.acknowledged(path, digest_of(manifest))


def push_until_it_fails(registry, ledger, repository, seed):
    choices, connection = random.Random(seed), registry.connect()
    with contextlib.suppress(OSError, http.client.HTTPException):
        while not ledger.is_closed:
            work = push_blob if choices.random() < 0.8 else move_tag
            work(registry, connection, ledger, repository, choices)


def one_round(registry, ledger, disk, choices):
    ledger.open()
    arguments = [(registry, ledger, f"client-{number}", choices.random()) for number in range(CLIENTS)]
    clients = [threading.Thread(target=push_until_it_fails, args=given) for given in arguments]
    for client in clients:
        client.start()
    time.sleep(choices.uniform(0.5, LONGEST_ROUND_SECONDS))
    ledger.close()
    if choices.random() < 0.2:
        registry.process.kill()
    disk.lose_power()
    registry.process.kill()
    registry.process.wait()
    for client in clients:
        client.join()
    disk.come_back()


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    seed = os.environ.get("LONGSHORE_POWER_SEED") or str(time.time_ns())
    choices, ledger, wrong = random.Random(seed), Ledger(), 0
    program = pathlib.Path(os.environ.get("LONGSHORE_BIN", "target/release/longshore")).absolute()
    if os.geteuid() != 0:
        raise SystemExit("only root can mount the disk")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as at_the_end:
        try:
            disk = Disk(pathlib.Path(folder))
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            print(f"nothing was tried: no ext4 can be mounted here ({error})")
            return
        at_the_end.callback(disk.close)
        log = at_the_end.enter_context(open(pathlib.Path(folder) / "log", "w+"))
        for number in range(rounds + 1):
            registry = Registry(program, disk.mount / "data", log)
            at_the_end.callback(registry.process.kill)
            wrong += ledger.check(registry)
            print(f"seed {seed}, {number} times without power: {len(ledger.allowed)} looked up, {wrong} wrong", flush=True)
            if number < rounds:
                one_round(registry, ledger, disk, choices)
        registry.process.terminate()
        registry.process.wait()
        log.seek(0)
        restored = [line for line in log if "put again" in line and "restored=0" not in line]
        print(*restored, sep="")
        if len(restored) < rounds // 2:
            raise SystemExit("hardly any file had to be put again: this tried nothing")
    if wrong:
        raise SystemExit(f"{wrong} of what was acknowledged is lost or wrong")


main()
