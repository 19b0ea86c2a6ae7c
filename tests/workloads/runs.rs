//! Runs of the load tester in a test.

use std::net::SocketAddr;

use longshore::load::live::{Observer, Snapshot};
use longshore::load::plan::{Plan, Shape, Sizes, TargetPlan, VerifyPlan, Workload, WorkloadPlan};
use longshore::load::report::{FindingKind, Report, Target};
use longshore::load::run::{RunOptions, Stopper, run};
use longshore::load::wire::WireOptions;
use longshore::load::workloads::HttpDriver;

use crate::harness::PATIENCE;

/// Sees nothing.
struct Nobody;

impl Observer for Nobody {
    fn show(&mut self, _: &Snapshot) {}
    fn tell(&mut self, _: &str) {}
    fn end(&mut self) {}
}

/// Two workers do a workload six times, with blobs of various small sizes, of which each is pulled afterwards.
pub fn plan(address: SocketAddr, workload: Workload) -> Plan {
    let target = TargetPlan {
        name: "registry".to_owned(),
        address: address.to_string().parse().unwrap(),
        server_pid: None,
        credentials: None,
    };
    let mut plan = Plan {
        seed: Some(7),
        targets: vec![target],
        workloads: vec![WorkloadPlan { weight: 1.0, workload }],
        shape: Shape { workers: Some(2), count: Some(6), ..Shape::default() },
        verify: VerifyPlan { pull_ratio: 1.0, ..VerifyPlan::default() },
        repositories: 3,
        ..Plan::default()
    };
    plan.content.sizes = Sizes::Uniform { least: 40_000, most: 300_000 };
    plan.content.piece_size = 16 << 10;
    plan
}

/// Runs it to its end; gives what it says of its one target.
pub async fn report_of(plan: Plan) -> Target {
    let (stopper, mut nobody) = (Stopper::new(), Nobody);
    let options = RunOptions { plan, ..RunOptions::default() };
    let driver = HttpDriver::new(WireOptions::default());
    let ran = run(options, &driver, &mut nobody, stopper.signal());
    let report: Report = tokio::time::timeout(PATIENCE * 4, ran).await.expect("its end").expect("a report");
    assert!(!report.interrupted);
    report.targets.into_iter().next().expect("a target")
}

/// All tasks did what they should, and nothing is wrong.
pub fn assert_good(target: &Target, workload: &str, tasks: u64) {
    assert_eq!(target.errors, [], "{workload}");
    assert_eq!(findings(target), [], "{workload}: {:?}", target.verification.findings);
    let done = &target.workloads[workload];
    assert_eq!((done.count, done.errors), (tasks, 0), "{workload}");
    assert_eq!(done.latency.count, tasks, "{workload}");
    assert_eq!(target.connections.broken, 0, "{workload}");
}

/// What was found, each kind once.
pub fn findings(target: &Target) -> Vec<FindingKind> {
    let mut kinds: Vec<FindingKind> = Vec::new();
    for finding in &target.verification.findings {
        if !kinds.contains(&finding.kind) {
            kinds.push(finding.kind);
        }
    }
    kinds
}
