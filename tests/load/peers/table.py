#!/usr/bin/env python3
"""Makes a table of the reports of peers.sh.

    table.py FOLDER DURABILITY STORAGE NAME=TITLE...

FOLDER has NAME.json for each row; DURABILITY is a file with lines NAME<tab>WORDS; STORAGE says what
was in the storages before a row. The table, in Markdown, goes to standard output. The status is 1
when longshore or the control failed at anything, or did nothing in a row: what other registries do
wrong is told in the table only.
"""

import json
import pathlib
import sys

MIB = 1024 * 1024
OURS = ("longshore", "control")
HEAD = ["registry", "synced", "MiB/s", "tasks/s", "requests/s", "p50 ms", "p99 ms", "CPU s/GiB",
        "CPU µs/request", "peak MiB", "failed", "found wrong"]


def cell(value, digits=0):
    return "" if value is None else f"{value:,.{digits}f}"


def short(value):
    """With about three digits."""
    if value is None:
        return ""
    return cell(value, 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3)


class Line:
    """A registry's part of a row."""

    def __init__(self, target):
        self.name = target["name"]
        self.seconds = target["measured_seconds"]
        workloads = list(target["workloads"].values())
        operations = target["operations"].values()
        self.tasks = sum(workload["count"] for workload in workloads)
        self.bytes = sum(workload["bytes"] for workload in workloads)
        self.failed = sum(workload["errors"] for workload in workloads)
        self.requests = sum(operation["count"] + operation["errors"] for operation in operations)
        self.found = target["verification"]["found"]
        self.latency = workloads[0]["latency"] if workloads else None
        self.server = target["server"]
        self.errors = target["errors"]

    def rate(self, count):
        return count / self.seconds if self.seconds else None

    def cells(self, durability):
        server = self.server or {}
        latency = self.latency or {}
        milliseconds = {key: latency[key] / 1000 for key in ("p50_us", "p99_us") if key in latency}
        peak = server.get("peak_memory_bytes")
        # Where next to nothing is moved, the cost of a GiB says nothing.
        moves = self.requests and self.bytes / self.requests > 64 * 1024
        return [
            self.name, durability.get(self.name, ""),
            short(self.rate(self.bytes / MIB)) if self.bytes else "",
            short(self.rate(self.tasks)), short(self.rate(self.requests)),
            short(milliseconds.get("p50_us")), short(milliseconds.get("p99_us")),
            short(server.get("cpu_seconds_per_gib")) if moves else "",
            short(server.get("cpu_us_per_request")), cell(peak and peak / MIB),
            cell(self.failed), cell(self.found),
        ]

    def complaint(self):
        if not self.name.startswith(OURS):
            return None
        if self.tasks == 0:
            return "did nothing"
        if self.failed or self.found:
            errors = "; ".join(f"{error['operation']} {error['status']} {error['code']}: {error['example']}"
                               for error in self.errors[:3])
            return f"{self.failed} tasks failed, {self.found} things are wrong ({errors})"
        if self.server is None:
            return "has no figures of its process"
        return None


def table(lines, durability):
    rows = [HEAD] + [line.cells(durability) for line in lines]
    yield "| " + " | ".join(rows[0]) + " |"
    yield "|" + "---|" * 2 + "--:|" * (len(HEAD) - 2)
    for row in rows[1:]:
        yield "| " + " | ".join(row) + " |"


def machine_of(report, storage):
    for machine in report["machines"][:1]:
        features = ", ".join(machine["cpu_features"]) or "none that helps hashing"
        memory = cell(machine["memory_bytes"] / 1024 ** 3)
        yield (f"{machine['cpus']} processors ({machine['cpu']}; {features}), {memory} GiB, "
               f"kernel {machine['kernel']}. The load comes from the same machine; storage is {storage}; "
               "registries have their defaults, without access logs.")


def main(folder, durability_file, storage, rows):
    lines = pathlib.Path(durability_file).read_text().splitlines()
    durability = dict(line.split("\t") for line in lines)
    complaints = []
    for index, row in enumerate(rows):
        name, title = row.split("=", 1)
        report = json.loads((pathlib.Path(folder) / f"{name}.json").read_text())
        if index == 0:
            print("# Registries side by side\n")
            print("\n".join(machine_of(report, storage)))
        targets = [Line(target) for target in report["targets"]]
        share = report["generator"]["cpu_share"] * 100
        print(f"\n## {title}\n")
        print("\n".join(table(targets, durability)))
        print(f"\nThe load tester itself took {share:.0f} % of the processors. [{name}.html]({name}.html)")
        found = ((target.name, target.complaint()) for target in targets)
        complaints += [f"{name}: {who}: {what}" for who, what in found if what]
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:4], sys.argv[4:]))
