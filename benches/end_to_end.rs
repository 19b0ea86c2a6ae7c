//! What the whole server costs, over real connections, beside the control: `cargo bench --bench end_to_end`, half a minute.
//!
//! The load tester runs both, each in a process of its own, in turns; with durability `process`, so that both survive the
//! same. The processor time is the server's alone. Other registries beside it: `tests/load/peers.sh`.

use std::path::Path;
use std::process::Command;

use longshore::load::report::{Report, Target, Turn};

const GIB: f64 = (1_u64 << 30) as f64;
const MIB: f64 = (1_u64 << 20) as f64;

/// A line of the table.
struct Work {
    title: &'static str,
    /// YAML of a plan: workloads, content, shape.
    plan: &'static str,
    /// What its cost is told of.
    unit: Unit,
}

#[derive(Clone, Copy)]
enum Unit {
    Gib,
    Task,
    Request,
}

const WORKS: &[Work] = &[
    Work {
        title: "streamed PATCH, 256 MiB, 1 at once",
        plan: "workloads: [push-streamed]\ncontent: {sizes: 256MiB, prepared: 0}\nshape: {workers: 1, count: 6, turn: 400ms}",
        unit: Unit::Gib,
    },
    Work {
        title: "streamed PATCH, 16 MiB, 64 at once",
        plan: "workloads: [push-streamed]\ncontent: {sizes: 16MiB, prepared: 0}\nshape: {workers: 64, count: 128, turn: 400ms}",
        unit: Unit::Gib,
    },
    Work {
        title: "chunks of 1 MiB, 64 MiB, 8 at once",
        plan: "workloads: [{kind: push-chunked, chunk_sizes: 1MiB}]\ncontent: {sizes: 64MiB, prepared: 0}\nshape: {workers: 8, count: 24, turn: 400ms}",
        unit: Unit::Gib,
    },
    Work {
        title: "blobs of 4 KiB, POST and PUT, 64 at once",
        plan: "workloads: [push-monolithic]\ncontent: {sizes: 4KiB, prepared: 0}\nshape: {workers: 64, duration: 2s, turn: 1s, warm_up: 300ms}",
        unit: Unit::Task,
    },
    Work {
        title: "HEAD of blobs, 64 at once",
        plan: "workloads: [head-many]\ncontent: {sizes: 4KiB, prepared: 16}\nshape: {workers: 64, duration: 2s, turn: 1s, warm_up: 300ms}",
        unit: Unit::Request,
    },
    Work {
        title: "GET of 64 MiB, 8 at once",
        plan: "workloads: [pull-whole]\ncontent: {sizes: 64MiB, prepared: 4}\nshape: {workers: 8, duration: 2s, turn: 1s, warm_up: 300ms}",
        unit: Unit::Gib,
    },
];

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    println!("{:<42} {:<9} {:>22} {:>8} {:>8} {:>10} {:>9}", "", "", "CPU", "user", "system", "MiB/s", "peak MiB");
    for work in WORKS {
        let report = run(work, folder.path());
        for (name, shown_as) in [("embedded", "longshore"), ("control", "control")] {
            let target = report.targets.iter().find(|target| target.name == name).expect("both took part");
            println!("{:<42} {}", work.title, figures(shown_as, target, work.unit));
        }
    }
}

fn run(work: &Work, folder: &Path) -> Report {
    let (plan, json) = (folder.join("plan.yaml"), folder.join("report.json"));
    let own =
        format!("embedded: true\ncontrol: true\nown_servers: {{folder: {folder:?}, durability: process}}\nseed: 1");
    std::fs::write(&plan, format!("{own}\nreport: {{json: {json:?}}}\n{}\n", work.plan)).expect("the plan is written");
    let output = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(["load", "--quiet", "--plan"])
        .arg(&plan)
        .output()
        .expect("the load tester runs");
    assert!(output.status.success(), "{}: {}", work.title, String::from_utf8_lossy(&output.stderr));
    Report::read(&json).expect("a report")
}

fn figures(name: &str, target: &Target, unit: Unit) -> String {
    let server = target.server.as_ref().expect("both run on this machine");
    let sum = |of: fn(&Turn) -> u64| target.turns.iter().map(of).sum::<u64>() as f64;
    let bytes = sum(|turn| turn.bytes);
    let (done, factor, words) = match unit {
        Unit::Gib => (bytes / GIB, 1.0, "s/GiB"),
        Unit::Task => (sum(|turn| turn.tasks), 1e3, "ms/push"),
        Unit::Request => (sum(|turn| turn.requests), 1e6, "µs/request"),
    };
    let cost = |seconds: f64| seconds * factor / done;
    let (user, system) = (cost(server.user_cpu_seconds), cost(server.system_cpu_seconds));
    let rate = bytes / MIB / target.measured_seconds;
    let peak = server.peak_memory_bytes as f64 / MIB;
    format!("{name:<9} {:>11.3} {words:<10} {user:>8.3} {system:>8.3} {rate:>10.0} {peak:>9.0}", user + system)
}
