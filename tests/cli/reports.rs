//! `longshore load render`, `merge`, `compare` and `schema`, on reports that were made up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use longshore::load::report::{Histogram, JSON_SCHEMA, Operation, Process, Report, Target, TargetKind, Turn, Workload};
use serde_json::json;

use self::check::Schema;
use super::{command, expect_stdout, stderr, stdout};

#[path = "../../src/load/report/schema/check.rs"]
mod check;

/// How fast a made-up target answers.
const USUAL_US: u64 = 1000;

fn report(host: &str, latency_us: u64) -> Report {
    let document = json!({
        "schema": 1, "tool": "longshore 0.1.0", "started_at": "2026-11-21T09:00:00Z", "duration_seconds": 10.0,
        "interrupted": false, "plan": {"duration": "10s"}, "machines": [], "generator": Process::default(),
        "targets": [],
    });
    let mut report = Report::from_json(document.to_string().as_bytes()).unwrap();
    report.machines.push(longshore::load::report::Machine { host: host.to_owned(), ..Default::default() });
    let target = |name: &str, kind| target(name, kind, latency_us);
    report.targets = vec![target("a", TargetKind::Remote), target("control", TargetKind::Control)];
    report.targets[1].operations.values_mut().for_each(|operation| operation.latency = latency(USUAL_US));
    report
}

fn latency(latency_us: u64) -> longshore::load::report::Latency {
    let mut histogram = Histogram::new();
    (0..200).for_each(|_| histogram.record(Duration::from_micros(latency_us)));
    histogram.summary()
}

fn target(name: &str, kind: TargetKind, latency_us: u64) -> Target {
    let latency = latency(latency_us);
    let operation = Operation { count: 200, bytes: 1 << 30, latency: latency.clone(), ..Operation::default() };
    let workload = Workload { count: 200, bytes: 1 << 30, latency, ..Workload::default() };
    Target {
        name: name.to_owned(),
        address: "http://127.0.0.1:5000".to_owned(),
        kind,
        measured_seconds: 10.0,
        turns: vec![Turn { started_seconds: 0.0, ended_seconds: 10.0, ..Turn::default() }],
        operations: [("blob.patch".to_owned(), operation)].into(),
        workloads: [("push-streamed".to_owned(), workload)].into(),
        starts: Default::default(),
        errors: Vec::new(),
        resumes: Default::default(),
        stalls: Default::default(),
        connections: Default::default(),
        verification: Default::default(),
        server: None,
        timeline: Vec::new(),
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, report: &Report) {
        report.write(&self.path(name)).unwrap();
    }

    /// Runs a command of the load tester in this folder.
    fn load(&self, arguments: &[&str]) -> Output {
        let arguments: Vec<&str> = ["load"].into_iter().chain(arguments.iter().copied()).collect();
        command(&arguments, &[]).current_dir(self.0.path()).output().unwrap()
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[track_caller]
fn assert_page(path: &Path, title: &str) {
    let page = fs::read_to_string(path).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>\n<html") && page.contains(&format!("<h1>{title}</h1>")), "{page}");
}

#[test]
fn a_report_is_rendered() {
    let folder = Folder::new();
    folder.put("run.json", &report("alpha", USUAL_US));
    let text = expect_stdout(&folder.load(&["render", "run.json", "--html", "run.html"]));
    assert!(text.contains("push-streamed") && text.contains("102 MiB/s") && text.contains("from alpha:"), "{text}");
    assert_page(&folder.path("run.html"), "Load report");
    assert_eq!(expect_stdout(&folder.load(&["render", "run.json"])), text);
    assert_eq!(folder.files(), ["run.html", "run.json"]);
}

#[test]
fn what_is_no_report_is_told() {
    let folder = Folder::new();
    fs::write(folder.path("other.json"), "{\"schema\": 7}").unwrap();
    for (file, cause) in [("other.json", "its schema is 7"), ("none.json", "No such file")] {
        let output = folder.load(&["render", file, "--html", "run.html"]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
        assert!(stderr(&output).starts_with(&format!("longshore: {file}: {cause}")), "{}", stderr(&output));
    }
    assert_eq!(folder.files(), ["other.json"]);
}

#[test]
fn reports_are_added_up() {
    let folder = Folder::new();
    folder.put("alpha.json", &report("alpha", USUAL_US));
    folder.put("beta.json", &report("beta", 3 * USUAL_US));
    let text =
        expect_stdout(&folder.load(&["merge", "alpha.json", "beta.json", "-o", "sum.json", "--html", "sum.html"]));
    assert!(text.contains("205 MiB/s") && text.contains("each machine had a control of its own"), "{text}");
    let sum = Report::read(&folder.path("sum.json")).unwrap();
    let mut both = Histogram::new();
    for time in [USUAL_US, 3 * USUAL_US] {
        both.add(&latency(time).histogram().unwrap());
    }
    assert_eq!(sum.targets[0].workloads["push-streamed"].latency, both.summary());
    assert_eq!(sum.machines.len(), 2);
    assert_page(&folder.path("sum.html"), "Load report");
}

#[test]
fn what_does_not_add_up_is_refused_and_nothing_written() {
    let folder = Folder::new();
    folder.put("alpha.json", &report("alpha", USUAL_US));
    folder.put("copy.json", &report("alpha", USUAL_US));
    std::os::unix::fs::symlink(folder.path("alpha.json"), folder.path("link.json")).unwrap();
    let before = folder.files();
    for (arguments, status, cause) in [
        (["alpha.json", "alpha.json", "-o", "sum.json"], 64, "alpha.json is given twice"),
        (["alpha.json", "link.json", "-o", "sum.json"], 64, "link.json is given twice"),
        (["alpha.json", "copy.json", "-o", "alpha.json"], 64, "alpha.json is one of the reports"),
        (["alpha.json", "copy.json", "-o", "sum.json"], 1, "alpha.json and copy.json are the same report"),
    ] {
        let output = folder.load(&[&["merge"], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        assert!(stderr(&output).contains(cause), "{}", stderr(&output));
    }
    assert_eq!(folder.files(), before);
}

#[test]
fn a_regression_fails() {
    let folder = Folder::new();
    folder.put("before.json", &report("alpha", USUAL_US));
    folder.put("now.json", &report("alpha", USUAL_US * 3 / 2));
    let both = ["compare", "before.json", "now.json"];
    let text = expect_stdout(&folder.load(&both));
    assert!(text.contains("×1.50 50 % worse"), "{text}");
    let with = |more: &[&str]| folder.load(&[&both, more].concat());

    expect_stdout(&with(&["--max-regression", "60%"]));
    expect_stdout(&with(&[
        "--max-regression",
        "10%",
        "--limit",
        "push-streamed.p50=any",
        "--limit=push-streamed.p99=55%",
        "--limit=a/blob.patch.p50=55%",
        "--limit=blob.patch.p99=any",
    ]));
    let output = with(&["--limit", "push-streamed.p99=20%", "--html", "change.html"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), ""));
    let text = stdout(&output);
    assert!(
        text.contains("worse than allowed\n  a push-streamed.p99: 1.00 ms before, 1.50 ms now: 50 % worse"),
        "{text}"
    );
    assert_page(&folder.path("change.html"), "Two load reports");
    expect_stdout(&folder.load(&["compare", "now.json", "before.json", "--max-regression", "0%"]));
}

#[test]
fn limits_that_are_none_are_wrong_use() {
    let folder = Folder::new();
    let mut alone = report("alpha", USUAL_US);
    alone.targets.truncate(1);
    folder.put("run.json", &alone);
    for (limit, cause) in [
        (["--limit", "p98=1%"], "no target has a figure \"p98\"; there are throughput"),
        (["--limit", "p99"], "is no limit"),
        (["--max-regression", "10"], "is no limit"),
        (["--by-control", "--max-regression=1%"], "not both reports have a control"),
    ] {
        let output = folder.load(&[&["compare", "run.json", "run.json"], &limit[..]].concat());
        assert_eq!(output.status.code(), Some(64), "{limit:?}");
        assert!(stderr(&output).contains(cause), "{}", stderr(&output));
    }
}

/// What a run finds out is what the schema says, and nothing beside it; and all that was made of made-up reports can be
/// made of it.
#[test]
fn the_report_of_a_run_is_as_the_schema_says() {
    let folder = Folder::new();
    let load = ["--embedded", "--control", "--workload", "push-streamed", "--workload", "resume", "--size", "64KiB"];
    let run = [&load[..], &["--count", "8", "--seed", "1", "--quiet", "--json", "run.json"]].concat();
    let output = folder.load(&run);
    assert!(output.status.success(), "{}", stderr(&output));
    let document: serde_json::Value = serde_json::from_slice(&fs::read(folder.path("run.json")).unwrap()).unwrap();
    let schema = Schema::new(&expect_stdout(&folder.load(&["schema"])));
    assert_eq!(schema.violations(&document), Vec::<String>::new());
    assert_eq!(schema.unknown_fields(&document), Vec::<String>::new());
    // Whatever that small run had no occasion for.
    let is_occasional = |field: &&String| {
        let (parent, _) = field.split_once('.').unwrap();
        ["ErrorCount", "Finding", "Sample"].contains(&parent)
    };
    let unused = schema.unused_fields(&document);
    assert_eq!(unused.iter().filter(|field| !is_occasional(field)).collect::<Vec<_>>(), Vec::<&String>::new());

    let text = expect_stdout(&folder.load(&["render", "run.json", "--html", "run.html"]));
    assert!(text.contains("push-streamed") && text.contains("uploads cut"), "{text}");
    assert_page(&folder.path("run.html"), "Load report");
    expect_stdout(&folder.load(&["compare", "run.json", "run.json", "--max-regression", "0%"]));
}

#[test]
fn the_schema_is_printed() {
    let folder = Folder::new();
    assert_eq!(expect_stdout(&folder.load(&["schema"])), JSON_SCHEMA);
}
