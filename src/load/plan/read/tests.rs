use std::time::Duration;

use serde_json::json;

use super::*;
use crate::load::plan::{Cut, Pace, Resume, Sizes, Uniqueness, Workload};

const SMALLEST: &str = "embedded: true\nworkloads: [push-streamed]\n";

fn read(text: &str) -> Result<Plan, String> {
    Plan::read(Some(("plan.yaml", text)), &[]).map_err(|error| error.to_string())
}

fn refused(text: &str) -> String {
    read(&format!("{SMALLEST}{text}")).expect_err(text)
}

#[test]
fn the_smallest_plan_has_defaults() {
    let plan = read(SMALLEST).unwrap();
    assert_eq!(plan.shape.pace(), Pace::Closed { workers: 8 });
    assert_eq!(plan.shape.length(), Some(Duration::from_secs(30)));
    assert_eq!(plan.workloads, [WorkloadPlan { weight: 1.0, workload: Workload::PushStreamed }]);
}

#[test]
fn a_whole_plan_is_read() {
    let plan = read(
        "seed: 7
targets:
  - {name: a, address: '127.0.0.1:5000', server_pid: 12}
  - {name: b, address: 'http://[::1]:5002'}
control: true
workloads:
  - {kind: resume, weight: 3, cuts: [reset, silence], times: 2, wait: 100ms}
  - kind: push-chunked
    chunk_sizes: 64KiB..1MiB
  - push-monolithic
content: {sizes: 'log-normal:1MiB:1.5:1GiB', duplicate_ratio: 0.25, uniqueness: whole}
shape:
  rate: 50
  max_in_flight: 20
  stages: [{for: 10s, rate: 100}, {for: 5s, rate: 10, step: true}]
  warm_up: 1s
  turn: 2s
verify: {lookup: none, pull_ratio: 0}
clean: true
report: {json: out.json}
",
    )
    .unwrap();
    assert_eq!(plan.targets[1].address.to_string(), "http://[::1]:5002");
    let Workload::Resume(resume) = &plan.workloads[0].workload else { panic!("{:?}", plan.workloads[0]) };
    let expected = Resume {
        cuts: vec![Cut::Reset, Cut::Silence],
        times: 2,
        wait: Duration::from_millis(100),
        ..Resume::default()
    };
    assert_eq!((resume, plan.workloads[0].weight), (&expected, 3.0));
    assert_eq!(plan.content.uniqueness, Uniqueness::Whole);
    assert_eq!(plan.shape.pace(), Pace::Open { rate: 50.0, max_in_flight: 20 });
    assert_eq!(plan.shape.length(), Some(Duration::from_secs(15)));
}

#[test]
fn a_plan_is_written_as_it_is_read() {
    let plan = read(&format!("{SMALLEST}content: {{sizes: [1KiB, 4MiB]}}\nshape: {{duration: 90s}}\n")).unwrap();
    let written = serde_json::to_value(&plan).unwrap();
    assert_eq!(written["workloads"][0], json!({"kind": "push-streamed", "weight": 1.0}));
    assert_eq!(serde_json::from_value::<Plan>(written).unwrap(), plan);
}

#[test]
fn errors_name_the_key_and_the_file() {
    for (text, expected) in [
        ("sead: 1", "unknown field `sead`"),
        ("shape: {wokers: 3}", "shape.wokers: "),
        ("shape: {duration: 30}", "shape.duration: \"30\" is not a time with its unit"),
        ("shape: {workers: many}", "shape.workers: "),
        ("content: {sizes: 16M}", "content.sizes: \"16M\" is not a size"),
        ("content: {sizes: 2MiB..1MiB}", "content.sizes: "),
        ("content: {sizes: []}", "content.sizes: an empty list"),
        ("content: {duplicate_ratio: 1.5}", "content.duplicate_ratio: "),
        ("content: {uniqueness: some}", "content.uniqueness: there is no `some`"),
        ("targets: [{name: a, address: 'ftp://x'}]", "targets[0].address: \"ftp://x\" is not an address"),
        ("shape: {workers: 2, rate: 3}", "shape.rate: "),
        ("shape: {stages: [{for: 3s, rate: 3}]}", "shape.stages[0].rate: "),
        ("shape: {count: 0}", "shape.count: "),
        ("repository_prefix: 'Load'", "repository_prefix: "),
        ("verify: {pull_ratio: 2}", "verify.pull_ratio: "),
        ("- a", "is not well-formed YAML"),
    ] {
        let error = refused(text);
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("from plan.yaml") || !error.contains("from --"), "{error}");
    }
}

#[test]
fn errors_name_the_key_within_a_workload() {
    for (workload, expected) in [
        ("push-all", "workloads[0].kind: there is no \"push-all\"; there are push-monolithic"),
        ("{weight: 2}", "workloads[0].kind: is missing"),
        ("{kind: resume, cuts: [bite]}", "workloads[0].cuts[0]: there is no `bite`"),
        ("{kind: resume, cut: reset}", "workloads[0].cut: unknown field `cut`"),
        ("{kind: resume, cuts: []}", "workloads[0].cuts: "),
        ("{kind: push-streamed, size: 3}", "workloads[0].size: is not a key"),
        ("{kind: push-chunked, chunk_sizes: 0..4MiB}", "workloads[0].chunk_sizes: "),
        ("{kind: stall, stop_for: ever}", "workloads[0].stop_for: \"ever\" is not a time"),
        ("{kind: contend, clients: 1}", "workloads[0].clients: "),
        ("{kind: mount, weight: 0}", "workloads[0].weight: "),
        ("{kind: trace, shares: {get_layer: -1}}", "workloads[0].shares.get_layer: "),
        ("7", "workloads[0]: is neither a kind nor a section"),
    ] {
        let error = read(&format!("embedded: true\nworkloads: [{workload}]\n")).expect_err(workload);
        assert!(error.contains(expected), "{workload}: {error}");
    }
}

#[test]
fn nothing_to_do_is_refused() {
    assert!(read("workloads: [mount]").unwrap_err().starts_with("targets: "));
    assert!(read("embedded: true").unwrap_err().starts_with("workloads: "));
    let twice = "targets: [{name: a, address: 'localhost:1'}, {name: a, address: 'localhost:2'}]";
    assert!(refused(twice).starts_with("targets[1].name: "));
}

#[test]
fn flags_go_over_the_file_and_are_named() {
    let flag = |flag, key, value| Setting { flag, key, value };
    let flags = [
        flag("--size", "content.sizes", json!("1MiB")),
        flag("--workload", "workloads", json!(["mount", {"kind": "resume", "times": 3}])),
    ];
    let plan = Plan::read(Some(("plan.yaml", SMALLEST)), &flags).unwrap();
    assert_eq!(plan.content.sizes, Sizes::Fixed(1 << 20));
    assert_eq!(plan.workloads.len(), 2);

    let wrong = [flag("--size", "content.sizes", json!("much"))];
    let error = Plan::read(Some(("plan.yaml", SMALLEST)), &wrong).unwrap_err();
    assert_eq!(error.key(), Some("content.sizes"));
    assert!(error.to_string().ends_with("(from --size)"), "{error}");
    let wrong = [flag("--workload", "workloads", json!(["mount", {"kind": "resume", "tymes": 3}]))];
    let error = Plan::read(Some(("plan.yaml", SMALLEST)), &wrong).unwrap_err();
    assert!(error.to_string().starts_with("workloads[1].tymes: "), "{error}");
    assert!(error.to_string().ends_with("(from --workload)"), "{error}");
}

#[test]
fn the_examples_are_plans() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/load");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.display().to_string();
        // Some leave it to the command line which registry it is.
        let flags = [Setting { flag: "--embedded", key: "embedded", value: json!(true) }];
        Plan::read(Some((&name, &text)), &flags).unwrap_or_else(|error| panic!("{error}"));
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn the_first_example_explains_every_key() {
    let text = include_str!("../../../../config/load/first.yaml");
    let plan = serde_json::to_value(Plan::default()).unwrap();
    for (key, value) in plan.as_object().unwrap() {
        assert!(text.contains(&format!("{key}:")), "{key}");
        for inner in value.as_object().into_iter().flat_map(|section| section.keys()) {
            assert!(text.contains(&format!(" {inner}:")), "{key}.{inner}");
        }
    }
    for name in Workload::NAMES {
        assert!(text.contains(name), "{name}");
    }
}
