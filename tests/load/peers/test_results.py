"""Checks the arithmetic of the tables on reports made up: `python3 -m unittest discover -s tests/load/peers`."""

import contextlib
import io
import json
import pathlib
import tempfile
import unittest

import results
import table
from machine import processor_words
from reports import COSTS, GIB, MIB, SPEEDS, Row, number, ratios, spread
from targets import TARGETS, outcomes

MACHINE = {"cpus": 2, "cpu": "Some", "cpu_features": ["sha_ni"], "kernel": "6.1", "memory_bytes": 24 * GIB}
REGISTRIES = [("longshore-process", "nothing"), ("longshore-commit", "all"), ("distribution-v3", "all"),
              ("olareg", "nothing"), ("zot", "nothing"), ("control", "nothing")]


def turn(cpu, seconds=2.0, tasks=1, moved=GIB, memory=10 * MIB):
    server = {"user_cpu_seconds": cpu / 4, "system_cpu_seconds": cpu * 3 / 4, "peak_memory_bytes": memory}
    return {"started_seconds": 1.0, "ended_seconds": 1.0 + seconds, "tasks": tasks, "requests": 10 * tasks,
            "bytes": moved, "server": server}


def target(name, turns, errors=0, found=0):
    latency = {"p50_us": 1000, "p99_us": 2000}
    count = sum(one["tasks"] for one in turns)
    return {"name": name, "turns": turns, "verification": {"found": found}, "errors": [],
            "workloads": {"push-streamed": {"count": count, "errors": errors, "latency": latency}}}


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        lines = [f"{name}\t{level}\tsome words\t1.0\n" for name, level in REGISTRIES]
        (self.folder / "registries.tsv").write_text("".join(lines))
        (self.folder / "surroundings.tsv").write_text("date\t2026-01-01\nfile system\text4\ncpu family\tX 1 2 \n")

    def write(self, row, unit, reports):
        """`reports`: by file name, the targets."""
        (self.folder / row).mkdir()
        (self.folder / row / "row.tsv").write_text(f"title of {row}\t{unit}\talone\n")
        for name, targets in reports.items():
            report = {"machines": [MACHINE], "generator": {"cpu_share": 0.1}, "targets": targets}
            (self.folder / row / f"{name}.json").write_text(json.dumps(report))

    def printed(self, main, *rows):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(str(self.folder), list(rows))
        return status, out.getvalue(), err.getvalue()

    def test_turns_of_all_reports_follow_each_other_by_round(self):
        self.write("streamed-1", "bytes", {
            f"{round}-olareg": [target("olareg", [turn(round)])] for round in (10, 2, 1)})
        row = Row(self.folder, "streamed-1")
        self.assertEqual(row.registries["olareg"].cpu, [1, 2, 10])
        self.assertEqual(row.registries["olareg"].system, [0.75, 1.5, 7.5])
        self.assertEqual(row.registries["olareg"].speed, [512, 512, 512])

    def test_each_unit_has_its_cost_and_speed(self):
        one = turn(2.0, seconds=4.0, tasks=8)
        for unit, cost, speed in [("bytes", 2, 256), ("bytes out", 2, 256), ("pushes", 250, 2), ("images", 250, 2),
                                  ("requests", 25_000, 20)]:
            self.write(unit, unit, {"all": [target("zot", [one])]})
            zot = Row(self.folder, unit).registries["zot"]
            self.assertEqual((zot.cpu, zot.speed), ([cost], [speed]), unit)
        self.assertEqual(COSTS.keys(), SPEEDS.keys())

    def test_what_was_not_done_costs_nothing_that_could_be_told(self):
        idle = {**turn(1.0), "tasks": 0, "bytes": 0, "requests": 0}
        self.write("streamed-1", "bytes", {"all": [target("zot", [idle]), target("olareg", [turn(1.0)])]})
        row = Row(self.folder, "streamed-1")
        self.assertEqual((row.registries["zot"].cpu, row.registries["zot"].speed), ([None], [None]))
        self.assertEqual(row.best("cpu"), "olareg")

    def test_the_best_peer_is_no_longshore_and_no_control(self):
        self.write("streamed-1", "bytes", {"all": [
            target("longshore-process", [turn(0.1, 1)]), target("control", [turn(0.1, 1)]),
            target("olareg", [turn(2, 2), turn(2, 2), turn(9, 2)]), target("zot", [turn(3, 1)] * 3)]})
        row = Row(self.folder, "streamed-1")
        self.assertEqual((row.best("cpu"), row.best("speed")), ("olareg", "zot"))

    def test_ratios_are_of_the_same_round(self):
        self.assertEqual(ratios([1, 2, None, 4], [2, 2, 3, 0]), [0.5, 1.0])
        self.assertEqual(spread([0.5, 1.0, 3.0]), "1.00 (0.50 to 3.00)")
        self.assertEqual([number(value) for value in (None, 1234.5, 12.345, 1.2345, 0.012345)],
                         ["", "1,234", "12.3", "1.23", "0.012"])

    def test_targets_are_met_or_not(self):
        ours = {"longshore-process": 0.5, "longshore-commit": 2.0}
        streamed = [target(name, [turn(cpu)] * 3) for name, cpu in ours.items()]
        self.write("streamed-1", "bytes", {"all": [*streamed, target("zot", [turn(1)] * 3), target("control", [turn(1)] * 3)]})
        rows = {"streamed-1": Row(self.folder, "streamed-1")}
        told = [(one.ours, one.against, one.bound, one.is_met()) for one in outcomes(rows)]
        self.assertEqual(told, [
            ("longshore-process", "control", 1.1, True), ("longshore-commit", "control", 1.1, False),
            ("longshore-process", "zot", 0.9, True), ("longshore-commit", "zot", 0.9, False)])

    def test_of_a_speed_more_is_better_and_bounds_depend_on_the_processor(self):
        speed = next(one for one in TARGETS if one.figure == "speed" and one.row == "streamed-64")
        self.assertTrue(speed.is_met(2.5, speed.bound) and not speed.is_met(1.5, speed.bound))
        cpu = next(one for one in TARGETS if one.figure == "cpu" and one.row == "streamed-64")
        self.assertEqual((cpu.bound_on(["sha_ni", "avx2"]), cpu.bound_on(["avx2"])), (0.6, 0.4))
        self.assertEqual(speed.bound_on(["avx2"]), speed.bound)

    def test_chunks_are_set_beside_our_own_stream(self):
        self.write("streamed-8", "bytes", {"all": [target("longshore-process", [turn(1)])]})
        self.write("chunked-8", "bytes", {"all": [target("longshore-process", [turn(1.2)])]})
        rows = {name: Row(self.folder, name) for name in ("streamed-8", "chunked-8")}
        (one,) = [one for one in outcomes(rows) if one.row.name == "chunked-8"]
        self.assertEqual((one.ratios, one.is_met()), ([1.2], True))

    def test_a_crowd_is_set_beside_fewer_of_the_same(self):
        for name, cpu in (("crowd-64", 2), ("crowd-1000", 3)):
            self.write(name, "bytes", {"all": [target("longshore-commit", [turn(cpu)])]})
        rows = {name: Row(self.folder, name) for name in ("crowd-64", "crowd-1000")}
        (one,) = outcomes(rows)
        self.assertEqual((one.ours, one.ratios, one.is_met()), ("longshore-commit", [1.5], False))

    def test_what_is_worse_stands_first_with_its_durability(self):
        self.write("small-64", "pushes", {"all": [
            target("longshore-process", [turn(1)]), target("longshore-commit", [turn(4)]),
            target("olareg", [turn(2)]), target("distribution-v3", [turn(8)])]})
        _, text, _ = self.printed(results.main, "small-64")
        first = text.split("\n## ")[1]
        self.assertTrue(first.startswith("What was not better than the best peer"), first)
        lines = [line for line in first.splitlines() if "| CPU" in line]
        self.assertEqual(lines, ["| title of small-64 | CPU ms/push | longshore-commit | olareg | ours syncs more | 2.00 |"])
        self.assertIn("| title of small-64 | CPU ms/push | longshore-commit | distribution-v3 | equal | at most 0.25 "
                      "| 0.50 | **no** |", text)
        self.assertIn("Not measured: chunked-8 against row:streamed-8, crowd-1000 against row:crowd-64, ", text)

    def test_our_own_faults_are_complained_of_and_others_only_told(self):
        self.write("streamed-1", "bytes", {"all": [target("zot", [turn(1)], errors=5)]})
        status, text, _ = self.printed(table.main, "streamed-1")
        self.assertEqual(status, 0)
        self.assertIn("| 5 | 0 |", text)
        for number, (name, wrong) in enumerate([("longshore-commit", {"found": 1}), ("control", {"errors": 1})]):
            self.write(f"row-{number}", "bytes", {"all": [target(name, [turn(1)], **wrong)]})
            status, _, told = self.printed(table.main, f"row-{number}")
            self.assertEqual(status, 1)
            self.assertIn(f"row-{number}: {name}: ", told)

    def test_processors_have_names(self):
        self.assertEqual(processor_words("AuthenticAMD 26 2 ", "AMD EPYC"), "AMD Zen 5")
        self.assertEqual(processor_words("GenuineIntel 6 85", "Xeon"), "Intel Skylake or Cascade Lake server")
        self.assertEqual(processor_words("Other 1 2", "Some CPU"), "Some CPU, family 1, model 2")
        self.assertEqual(processor_words("", "aarch64"), "aarch64")


if __name__ == "__main__":
    unittest.main()
