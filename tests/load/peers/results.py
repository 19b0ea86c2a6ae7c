#!/usr/bin/env python3
"""Makes benches/RESULTS.md of the reports of peers.sh, but for the table of table.py at its end.

    results.py FOLDER ROW...

What was not better than the best peer stands first. All figures of longshore are ratios to another registry's in the
same round: the median, and the least and the most of all rounds.
"""

import pathlib
import sys

from machine import processor_words
from reports import Row, lines_of, markdown, median, number, ratios, spread
from targets import BEST, OURS, TARGETS, outcomes

# A cost is better below 1, a speed above.
FIGURES = ("cpu", "speed", "memory", "p99")
LEVELS = {"nothing": 0, "data": 1, "all": 2}


class Run:
    def __init__(self, folder, names):
        self.rows = {name: Row(folder, name) for name in names}
        self.registries = lines_of(folder / "registries.tsv")
        self.levels = {name: level for name, level, _, _ in self.registries}
        self.surroundings = dict(lines_of(folder / "surroundings.tsv"))
        self.machine = next((row.machine for row in self.rows.values() if row.machine), None)

    def durability(self, row, ours, other):
        """Whether what is compared survives the same."""
        if not row.writes() or other not in self.levels:
            return ""
        one, another = (LEVELS.get(self.levels[name]) for name in (ours, other))
        if another is None:
            return "unknown"
        return "equal" if one == another else "ours syncs more" if one > another else "ours syncs less"


def words(row, figure):
    return {"cpu": row.cost_words(), "speed": row.speed_words(), "memory": "peak memory", "p99": "p99"}[figure]


def not_better(run):
    """Each figure in which a longshore was no better than the peer that was best by it, the worst first."""
    found = []
    for row in run.rows.values():
        for figure in FIGURES:
            best = row.best(figure)
            for ours in OURS:
                if best is None or ours not in row.registries:
                    continue
                told = ratios(getattr(row.registries[ours], figure), getattr(row.registries[best], figure))
                if not told:
                    continue
                badness = 1 / median(told) if figure == "speed" else median(told)
                if badness >= 1:
                    cells = [row.title, words(row, figure), ours, best, run.durability(row, ours, best), spread(told)]
                    found.append((badness, cells))
    found.sort(key=lambda one: -one[0])
    return [cells for _, cells in found]


def of_target(run, outcome):
    target, row = outcome.target, outcome.row
    bound = f"{'at least' if target.figure == 'speed' else 'at most'} {outcome.bound:g}"
    against = f"{outcome.against} (best)" if target.against == BEST else outcome.against
    return [row.title, words(row, target.figure), outcome.ours, against,
            run.durability(row, outcome.ours, outcome.against), bound, spread(outcome.ratios),
            "yes" if outcome.is_met() else "**no**"]


def all_ratios(row):
    """Longshore's ratios to everybody in a row."""
    for other in row.registries.values():
        if other.is_ours():
            continue
        cells = [other.name]
        for ours in OURS:
            for figure in ("cpu", "speed", "memory"):
                mine = row.registries.get(ours)
                cells.append(spread(ratios(getattr(mine, figure), getattr(other, figure))) if mine else "")
        yield cells


def machine_lines(run):
    machine = run.machine
    if machine is None:
        yield "The machine does not tell what it is."
        return
    features = ", ".join(machine["cpu_features"]) or "none"
    yield f"- {machine['cpus']} processors: {processor_words(run.surroundings['cpu family'], machine['cpu'])}"
    yield f"- instructions that speed hashing up: {features}"
    yield (f"- {number(machine['memory_bytes'] / 1024 ** 3)} GiB of memory, kernel {machine['kernel'].split('-')[0]}, storage on "
           f"{run.surroundings['file system']}")
    yield f"- on {run.surroundings['date']}; the load comes from the same machine, over its loopback"


def main(folder, names):
    run = Run(pathlib.Path(folder), names)
    rounds = {len(registry.cpu) for row in run.rows.values() for registry in row.registries.values()}
    print("# Registries side by side\n")
    print("Written by `tests/load/peers.sh --results`. Ratios are longshore's figure by the other's in the same round: "
          "the median, in\nbrackets the least and the most of all rounds. Of CPU and memory less is better, of speed "
          "more. `longshore-process`\nand `longshore-commit` are longshore with `storage.durability` set so.")
    print("\n## What was not better than the best peer\n")
    behind = not_better(run)
    if behind:
        print("\n".join(markdown(["work", "figure", "longshore", "best peer", "durability", "ratio"], behind, 5)))
    else:
        print("Nothing: in every row each of CPU, speed, peak memory and p99 was better.")
    print("\n## Targets\n")
    head = ["work", "figure", "longshore", "against", "durability", "target", "ratio", "met"]
    found = outcomes(run.rows)
    print("\n".join(markdown(head, [of_target(run, outcome) for outcome in found], 5)))
    print("\nThe best peer is the one with the best median of that figure in that row, whatever it syncs.")
    told = {(outcome.target, outcome.ours) for outcome in found}
    untold = sorted({f"{target.row} against {target.against}" for target in TARGETS for ours in target.ours
                     if (target, ours) not in told})
    if untold:
        print(f"\nNot measured: {', '.join(untold)}.")
    print("\n## The machine\n")
    print("\n".join(machine_lines(run)))
    print("\n## Versions, and what is synced\n")
    print("All have their defaults, without access logs.\n")
    versions = [[name, version, synced] for name, _, synced, version in run.registries]
    print("\n".join(markdown(["registry", "version", "what it syncs of a push"], versions, 3)))
    print("\n## The plan\n")
    print(f"Rounds, in each of which every registry has a turn: {' or '.join(map(str, sorted(rounds)))}. `alone`: each turn is "
          "in a new process on a fresh folder, which goes with\nit, in another order each round. `turns`: all registries run "
          "and are warm. What was pushed is looked up afterwards, and a\npart of it pulled and compared. Processor times are "
          "those of the server's process, user and system; what the kernel writes\nback later is in nobody's.\n")
    plan = [[row.name, row.title, row.how] for row in run.rows.values()]
    print("\n".join(markdown(["row", "work", "how"], plan, 3)))
    print("\n## Ratios to each\n")
    head = ["against", *(f"{ours.removeprefix('longshore-')}: {what}" for ours in OURS
                         for what in ("CPU", "speed", "memory"))]
    for row in run.rows.values():
        print(f"### {row.title} ({row.cost_words()}, {row.speed_words()})\n")
        print("\n".join(markdown(head, all_ratios(row), 1)) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
