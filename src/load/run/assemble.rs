//! From what was counted to the report.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::runner::Runner;
use super::state::TargetState;
use crate::load::report::{Connections, Process, Report, Resumes, SCHEMA, Stalls, Target, Verification};
use crate::load::server::{figures::Figures, machine};

/// From here on a thread of the load tester may be what is measured.
const BUSY_THREAD: f64 = 0.8;

pub(super) fn report(mut runner: Runner<'_>, started_at: OffsetDateTime) -> Report {
    let mut generator = Figures::default();
    let (mut bytes, mut requests) = (0, 0);
    let mut targets = Vec::new();
    let mut notes = std::mem::take(&mut runner.notes);
    for state in std::mem::take(&mut runner.states) {
        generator.add_turn(&state.generator);
        notes.extend(notes_of(&state));
        let (target, target_bytes, target_requests) = of_target(state);
        bytes += target_bytes;
        requests += target_requests;
        targets.push(target);
    }
    if runner.busiest_thread >= BUSY_THREAD {
        let share = runner.busiest_thread * 100.0;
        notes.push(format!("a thread of the load tester was busy {share:.0} % of a turn: it may be its own limit"));
    }
    Report {
        schema: SCHEMA,
        tool: format!("longshore {}", env!("CARGO_PKG_VERSION")),
        started_at: started_at.replace_nanosecond(0).unwrap_or(started_at).format(&Rfc3339).unwrap_or_default(),
        duration_seconds: runner.started.elapsed().as_secs_f64(),
        interrupted: runner.is_interrupted(),
        plan: serde_json::to_value(&*runner.plan).expect("a plan is made of plain JSON values"),
        machines: machine().into_iter().collect(),
        generator: generator.process(bytes, requests),
        notes,
        targets,
    }
}

/// The target's report, its bytes and its requests.
fn of_target(state: TargetState) -> (Target, u64, u64) {
    let totals = state.recorder.totals();
    let (bytes, requests) = (totals.bytes(), totals.requests());
    let server: Option<Process> =
        (state.server.elapsed > Duration::ZERO).then(|| state.server.process(bytes, requests));
    let mut target = Target {
        name: state.target.name.clone(),
        address: state.target.address.to_string(),
        kind: state.target.kind,
        measured_seconds: state.measured.as_secs_f64(),
        turns: state.turns,
        operations: Default::default(),
        workloads: Default::default(),
        starts: state.punctuality.starts(),
        errors: Vec::new(),
        resumes: Resumes::default(),
        stalls: Stalls::default(),
        connections: Connections::default(),
        verification: Verification::default(),
        server,
        timeline: state.timeline,
    };
    totals.fill(&mut target);
    (target, bytes, requests)
}

fn notes_of(state: &TargetState) -> Vec<String> {
    let name = state.name();
    let mut notes = Vec::new();
    if state.broken_off > 0 {
        notes.push(format!("{} tasks for {name} did not end after its turns and were broken off", state.broken_off));
    }
    notes
}
