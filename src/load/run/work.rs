//! What all workers of a turn share, and how one of them does a task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use super::state::{Punctuality, TargetState, Tasks};
use super::stop::Stop;
use super::{Context, Session};
use crate::load::content::Source;
use crate::load::pace::Course;
use crate::load::plan::{Plan, Workload};

/// A turn under way.
pub(super) struct Work {
    pub(super) session: Arc<dyn Session>,
    pub(super) course: Course,
    pub(super) tasks: Arc<Tasks>,
    pub(super) punctuality: Arc<Punctuality>,
    /// When the turn began, and where in the target's course that is.
    pub(super) begin: Instant,
    pub(super) from: Duration,
    /// From when tasks count.
    pub(super) measured_from: Instant,
    pub(super) stop: Stop,
    in_flight: AtomicU64,
    pattern: Pattern,
}

/// What contexts are made of.
struct Pattern {
    state: PatternState,
    plan: Arc<Plan>,
    source: Source,
    seed: u64,
}

struct PatternState {
    target: Arc<super::Target>,
    recorder: crate::load::measure::Recorder,
    ledger: Arc<super::Ledger>,
    repositories: Arc<[crate::oci::RepositoryName]>,
}

/// A turn's place in time.
pub(super) struct Moments {
    pub(super) begin: Instant,
    pub(super) from: Duration,
    pub(super) measured_from: Instant,
}

/// Counts a task for as long as it lives, also when it is broken off.
struct InFlight<'a>(&'a AtomicU64);

impl Work {
    pub(super) fn new(
        state: &TargetState,
        session: Arc<dyn Session>,
        plan: &Arc<Plan>,
        source: &Source,
        seed: u64,
        moments: Moments,
        stop: Stop,
    ) -> Self {
        let pattern_state = PatternState {
            target: Arc::clone(&state.target),
            recorder: state.recorder.clone(),
            ledger: Arc::clone(&state.ledger),
            repositories: Arc::clone(&state.repositories),
        };
        Work {
            session,
            course: Course::new(&plan.shape),
            tasks: Arc::clone(&state.tasks),
            punctuality: Arc::clone(&state.punctuality),
            begin: moments.begin,
            from: moments.from,
            measured_from: moments.measured_from,
            stop,
            in_flight: AtomicU64::new(0),
            pattern: Pattern { state: pattern_state, plan: Arc::clone(plan), source: source.clone(), seed },
        }
    }

    /// Where in the target's course a moment is.
    pub(super) fn place(&self, at: Instant) -> Duration {
        self.from + at.saturating_duration_since(self.begin)
    }

    /// When a place of the course is reached in this turn.
    pub(super) fn moment(&self, place: Duration) -> Instant {
        self.begin + place.saturating_sub(self.from)
    }

    /// How many tasks are under way.
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Waits until `at`; `false`: the turn ends before.
    pub(super) async fn wait_until(&self, at: Instant) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            () = stop.ending() => false,
            () = tokio::time::sleep_until(at) => true,
        }
    }

    /// Takes one of the tasks that are left; those of the warm-up do not count.
    pub(super) fn claim(&self, should_start: Instant) -> bool {
        should_start < self.measured_from || self.tasks.claim()
    }

    /// Draws what is to be done next.
    pub(super) fn draw<'a>(&'a self, context: &mut Context) -> &'a Workload {
        &self.tasks.workloads[self.tasks.mix.draw(&mut context.random)]
    }

    /// Does a task and records it.
    pub(super) async fn perform(&self, workload: &Workload, context: &mut Context, should_start: Instant) -> bool {
        let _counted = InFlight::new(&self.in_flight);
        context.should_start = should_start;
        let result = self.session.run(workload, context).await;
        let bytes = result.as_ref().map_or(0, |done| done.bytes);
        context.recorder.workload(workload.name(), should_start, Instant::now(), bytes, result.is_ok());
        result.is_ok()
    }

    /// What the worker with this number, from 0, works with.
    pub(super) fn context(&self, worker: u32) -> Context {
        let Pattern { state, plan, source, seed } = &self.pattern;
        Context {
            target: Arc::clone(&state.target),
            plan: Arc::clone(plan),
            random: SmallRng::seed_from_u64(
                seed ^ u64::from(worker).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            ),
            source: source.clone(),
            recorder: state.recorder.for_worker(),
            ledger: Arc::clone(&state.ledger),
            stop: self.stop.clone(),
            should_start: self.begin,
            worker,
            repositories: Arc::clone(&state.repositories),
            ready: Default::default(),
        }
    }
}

impl<'a> InFlight<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        InFlight(count)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
