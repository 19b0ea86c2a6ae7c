"""What longshore is to reach, beside what it reached."""

from dataclasses import dataclass

from reports import median, ratios

OURS = ("longshore-process", "longshore-commit")
PROCESS, COMMIT = OURS
BEST = "the best peer"


@dataclass(frozen=True)
class Target:
    """A ratio of one of longshore's figures to somebody else's in the same round."""

    row: str
    figure: str             # "cpu" or "speed"
    against: str            # BEST, or a registry's name, or `row:NAME`: the same longshore in that row
    bound: float            # at most of a cost, at least of a speed
    slow_bound: float = 0   # where the processor does not speed SHA-256 up; 0: the same
    ours: tuple = OURS

    def bound_on(self, features):
        hashes_fast = "sha_ni" in features or "sha2" in features
        return self.bound if hashes_fast or not self.slow_bound else self.slow_bound

    def is_met(self, ratio, bound):
        return ratio >= bound if self.figure == "speed" else ratio <= bound


TARGETS = (
    Target("streamed-1", "cpu", "control", 1.1),
    Target("streamed-1", "cpu", BEST, 0.9),
    Target("streamed-8", "cpu", BEST, 0.7, 0.6),
    Target("streamed-8", "speed", BEST, 1.5),
    Target("streamed-64", "cpu", BEST, 0.6, 0.4),
    Target("streamed-64", "speed", BEST, 2.0),
    Target("chunked-8", "cpu", "row:streamed-8", 1.3),
    Target("crowd-1000", "cpu", "row:crowd-64", 1.2),
    Target("small-64", "cpu", BEST, 0.34, ours=(PROCESS,)),
    Target("small-64", "cpu", "distribution-v3", 0.25, ours=(COMMIT,)),
    Target("small-64", "speed", BEST, 3.0, ours=(PROCESS,)),
    Target("small-64", "speed", "distribution-v3", 3.0, ours=(COMMIT,)),
    Target("images-16", "cpu", BEST, 0.34, ours=(PROCESS,)),
    Target("images-16", "cpu", "distribution-v3", 0.25, ours=(COMMIT,)),
    Target("images-16", "speed", BEST, 3.0, ours=(PROCESS,)),
    Target("images-16", "speed", "distribution-v3", 3.0, ours=(COMMIT,)),
    Target("head-64", "cpu", BEST, 0.4),
    Target("manifests-64", "cpu", BEST, 0.4),
    Target("pull-1", "cpu", "zot", 0.8),
    Target("pull-64", "cpu", "zot", 0.8),
)


@dataclass(frozen=True)
class Outcome:
    row: object
    target: Target
    ours: str
    against: str        # the registry's name
    bound: float
    ratios: list        # one a round

    def is_met(self):
        return self.target.is_met(median(self.ratios), self.bound)


def outcomes(rows):
    """Of all targets whose rows are there; rows by name."""
    found = []
    for target in TARGETS:
        row = rows.get(target.row)
        if row is None:
            continue
        features = row.machine["cpu_features"] if row.machine else []
        for ours in target.ours:
            against, other = other_side(rows, row, target, ours)
            if other is None or ours not in row.registries:
                continue
            told = ratios(getattr(row.registries[ours], target.figure), getattr(other, target.figure))
            if told:
                found.append(Outcome(row, target, ours, against, target.bound_on(features), told))
    return found


def other_side(rows, row, target, ours):
    """Its name, and the registry in its row; None where it took no part."""
    if target.against.startswith("row:"):
        other_row = rows.get(target.against.removeprefix("row:"))
        if other_row is None:
            return None, None
        return f"itself, {other_row.title}", other_row.registries.get(ours)
    name = row.best(target.figure) if target.against == BEST else target.against
    return name, row.registries.get(name)
