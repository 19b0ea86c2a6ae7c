"""What `longshore load` reported of the rows of peers.sh, turn by turn.

A row is a folder with `row.tsv` (title, unit, how) and any number of reports; a registry's turns are those of all of
them, in their order. `registries.tsv` has a line for each registry: name, level and words of what it syncs, version.
"""

import json
import statistics

MIB = 1024 ** 2
GIB = 1024 ** 3

# What a row's cost is told of: the figure's words, how many of it a turn did, and its factor.
COSTS = {
    "bytes": ("CPU s/GiB", lambda turn: turn["bytes"] / GIB, 1),
    "bytes out": ("CPU s/GiB", lambda turn: turn["bytes"] / GIB, 1),
    "pushes": ("CPU ms/push", lambda turn: turn["tasks"], 1000),
    "images": ("CPU ms/image", lambda turn: turn["tasks"], 1000),
    "requests": ("CPU µs/request", lambda turn: turn["requests"], 1_000_000),
}
# What its speed is told in.
SPEEDS = {
    "bytes": ("MiB/s", lambda turn: turn["bytes"] / MIB),
    "bytes out": ("MiB/s", lambda turn: turn["bytes"] / MIB),
    "pushes": ("pushes/s", lambda turn: turn["tasks"]),
    "images": ("images/s", lambda turn: turn["tasks"]),
    "requests": ("requests/s", lambda turn: turn["requests"]),
}


class Registry:
    """A registry in a row. Each figure is a list with an entry for each turn; None where it cannot be told."""

    def __init__(self, name):
        self.name = name
        self.user, self.system, self.cpu, self.speed, self.memory = [], [], [], [], []
        self.p50, self.p99 = [], []
        self.done = self.failed = self.found = 0
        self.errors = []

    def add(self, target, unit):
        for workload in target["workloads"].values():
            self.done += workload["count"]
            self.failed += workload["errors"]
        self.found += target["verification"]["found"]
        self.errors += target["errors"]
        latency = next(iter(target["workloads"].values()), {}).get("latency", {})
        for key, times in (("p50_us", self.p50), ("p99_us", self.p99)):
            if key in latency:
                times.append(latency[key] / 1000)
        for turn in target["turns"]:
            self.add_turn(turn, unit)

    def add_turn(self, turn, unit):
        _, amount_of, factor = COSTS[unit]
        _, work_of = SPEEDS[unit]
        seconds = turn["ended_seconds"] - turn["started_seconds"]
        server, amount = turn["server"], amount_of(turn)
        user = system = memory = None
        if server:
            memory = server["peak_memory_bytes"] / MIB
            if amount:
                user, system = (server[f"{key}_cpu_seconds"] * factor / amount for key in ("user", "system"))
        self.user.append(user)
        self.system.append(system)
        self.cpu.append(None if user is None else user + system)
        self.speed.append(work_of(turn) / seconds if seconds and amount else None)
        self.memory.append(memory)

    def is_ours(self):
        return self.name.startswith("longshore-")

    def is_control(self):
        return self.name == "control"

    def is_peer(self):
        return not self.is_ours() and not self.is_control()


class Row:
    def __init__(self, folder, name):
        self.name = name
        self.title, self.unit, self.how = (folder / name / "row.tsv").read_text().rstrip("\n").split("\t")
        self.registries, self.machine, self.shares = {}, None, []
        for path in sorted((folder / name).glob("*.json"), key=lambda path: (round_of(path), path.name)):
            self.add(json.loads(path.read_text()))
        order = [line[0] for line in lines_of(folder / "registries.tsv")]
        self.registries = {name: self.registries[name] for name in order if name in self.registries}

    def add(self, report):
        self.machine = self.machine or next(iter(report["machines"]), None)
        self.shares.append(report["generator"]["cpu_share"])
        for target in report["targets"]:
            self.registries.setdefault(target["name"], Registry(target["name"])).add(target, self.unit)

    def cost_words(self):
        return COSTS[self.unit][0]

    def speed_words(self):
        return SPEEDS[self.unit][0]

    def writes(self):
        return self.unit in ("bytes", "pushes", "images")

    def best(self, figure):
        """The peer that is best by a figure's median: the least of a cost, the most of a speed."""
        told = [(median(getattr(registry, figure)), name) for name, registry in self.registries.items()
                if registry.is_peer() and median(getattr(registry, figure)) is not None]
        if not told:
            return None
        return (max if figure == "speed" else min)(told)[1]


def round_of(path):
    """Reports are called by their round, or `all`."""
    number = path.stem.split("-")[0]
    return int(number) if number.isdigit() else 0


def median(figures):
    told = [figure for figure in figures if figure is not None]
    return statistics.median(told) if told else None


def ratios(one, other):
    """Of the same turn of each, so that what slowed the machine meets both."""
    return [a / b for a, b in zip(one, other) if a is not None and b]


def number(value):
    """With about three digits."""
    if value is None:
        return ""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3
    return f"{value:,.{digits}f}"


def spread(figures):
    """The median, with the least and the most where there are several."""
    told = [figure for figure in figures if figure is not None]
    if len(told) < 2:
        return number(median(told))
    return f"{number(median(told))} ({number(min(told))} to {number(max(told))})"


def lines_of(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


def markdown(head, rows, words):
    """A table whose first `words` columns hold words, and the others figures."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * words + "--:|" * (len(head) - words)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
