//! What a run knows of one of its targets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::{Ledger, RunError, Target};
use crate::load::measure::Recorder;
use crate::load::pace::Mix;
use crate::load::plan::{Plan, Workload, WorkloadPlan};
use crate::load::report::{Histogram, Sample, Starts, TargetKind, Turn};
use crate::load::server::figures::{Figures, Watch};
use crate::oci::RepositoryName;

/// One target of a run, over all its turns.
pub(super) struct TargetState {
    pub(super) target: Arc<Target>,
    pub(super) recorder: Recorder,
    pub(super) ledger: Arc<Ledger>,
    pub(super) repositories: Arc<[RepositoryName]>,
    pub(super) tasks: Arc<Tasks>,
    pub(super) punctuality: Arc<Punctuality>,
    /// Its server's process.
    pub(super) watch: Option<Watch>,
    pub(super) server: Figures,
    /// The load tester in its turns.
    pub(super) generator: Figures,
    pub(super) turns: Vec<Turn>,
    pub(super) measured: Duration,
    pub(super) timeline: Vec<Sample>,
    /// Tasks that did not end in time after their turn and were broken off.
    pub(super) broken_off: u64,
}

/// Which tasks a target gets, and how many are left.
pub(super) struct Tasks {
    pub(super) workloads: Vec<Workload>,
    pub(super) mix: Mix,
    /// `u64::MAX`: no end.
    left: AtomicU64,
}

/// How well tasks of an open loop are begun when they are due.
#[derive(Default)]
pub(super) struct Punctuality(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    due: u64,
    late: u64,
    lateness: Histogram,
}

impl TargetState {
    pub(super) fn new(target: Target, plan: &Plan, run_id: &str) -> Result<Self, RunError> {
        let watch = target.server_pid.map(|pid| Watch::processes(&[pid])).transpose();
        let watch = watch.map_err(|source| RunError::Process { target: target.name.clone(), source })?;
        let name = |number: u32| format!("{}/{run_id}/{number}", plan.repository_prefix);
        let repositories = (0..plan.repositories)
            .map(|number| name(number).parse().expect("the plan's prefix was checked, and has room for the rest"))
            .collect();
        Ok(TargetState {
            recorder: Recorder::new(),
            ledger: Arc::new(Ledger::new(plan.clean)),
            repositories,
            tasks: Arc::new(Tasks::new(plan, target.kind)),
            target: Arc::new(target),
            punctuality: Arc::default(),
            watch,
            server: Figures::default(),
            generator: Figures::default(),
            turns: Vec::new(),
            measured: Duration::ZERO,
            timeline: Vec::new(),
            broken_off: 0,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.target.name
    }
}

impl Tasks {
    /// Those of the plan that such a target offers what they need for; the report's warnings tell which are missing.
    fn new(plan: &Plan, kind: TargetKind) -> Self {
        let suits = |workload: &Workload| kind != TargetKind::Control || workload.suits_control();
        let mut planned = plan.workloads.clone();
        planned.retain(|planned| suits(&planned.workload));
        if planned.is_empty() {
            planned.push(WorkloadPlan { weight: 1.0, workload: Workload::PushMonolithic });
        }
        let mix = Mix::new(planned.iter().map(|planned| planned.weight));
        let workloads = planned.into_iter().map(|planned| planned.workload).collect();
        Tasks { workloads, mix, left: AtomicU64::new(plan.shape.count.unwrap_or(u64::MAX)) }
    }

    /// Takes one of the tasks that are left.
    pub(super) fn claim(&self) -> bool {
        let take = |left: u64| match left {
            u64::MAX => Some(left),
            left => left.checked_sub(1),
        };
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Whether none is left.
    pub(super) fn is_done(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

impl Punctuality {
    /// A task that begins later than this is late. Timers are by the millisecond, and a busy machine wakes later.
    const LATE: Duration = Duration::from_millis(10);

    /// A task was begun, so long after it was due.
    pub(super) fn begun(&self, late_by: Duration) {
        let mut kept = self.lock();
        kept.due += 1;
        kept.late += u64::from(late_by > Self::LATE);
        kept.lateness.record(late_by);
    }

    /// What a report says.
    pub(super) fn starts(&self) -> Starts {
        let kept = self.lock();
        Starts { due: kept.due, late: kept.late, lateness: kept.lateness.summary() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Counters are whole at any time.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::{ImagePush, Shape};

    fn plan(workloads: Vec<Workload>) -> Plan {
        let workloads = workloads.into_iter().map(|workload| WorkloadPlan { weight: 1.0, workload }).collect();
        Plan { workloads, shape: Shape { count: Some(2), ..Shape::default() }, ..Plan::default() }
    }

    #[test]
    fn the_control_gets_what_it_can_do() {
        let plan = plan(vec![Workload::Mount, Workload::PushStreamed, Workload::ImagePush(ImagePush::default())]);
        assert_eq!(Tasks::new(&plan, TargetKind::Control).workloads, [Workload::PushStreamed]);
        assert_eq!(Tasks::new(&plan, TargetKind::Embedded).workloads.len(), 3);
    }

    #[test]
    fn a_control_that_can_do_nothing_of_it_gets_plain_pushes() {
        let tasks = Tasks::new(&plan(vec![Workload::Mount]), TargetKind::Control);
        assert_eq!(tasks.workloads, [Workload::PushMonolithic]);
    }

    #[test]
    fn tasks_are_claimed_until_none_is_left() {
        let tasks = Tasks::new(&plan(vec![Workload::Mount]), TargetKind::Remote);
        assert!(!tasks.is_done());
        assert!(tasks.claim() && tasks.claim() && !tasks.claim());
        assert!(tasks.is_done());
    }
}
