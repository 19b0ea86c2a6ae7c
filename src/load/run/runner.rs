//! A run from its begin to its report.

use std::sync::Arc;

use tokio::time::Instant;

use super::own_cpu::OwnCpu;
use super::state::TargetState;
use super::stop::Stop;
use super::targets::{self, OwnServers};
use super::work::{Moments, Work};
use super::{Driver, RunError, RunOptions, Session, assemble};
use crate::load::content::Source;
use crate::load::live::{Observer, Snapshot, Stage};
use crate::load::measure::Failure;
use crate::load::pace::{Course, Turns};
use crate::load::plan::{Pace, Plan};
use crate::load::report::Report;
use crate::load::server::figures::Watch;

/// Open files that are no connections to targets.
const OTHER_FILES: f64 = 64.0;

/// A run under way.
pub(super) struct Runner<'a> {
    pub(super) plan: Arc<Plan>,
    pub(super) seed: u64,
    pub(super) driver: &'a dyn Driver,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) stop: Stop,
    pub(super) started: Instant,
    pub(super) source: Source,
    pub(super) states: Vec<TargetState>,
    pub(super) own_servers: OwnServers,
    pub(super) own_watch: Option<Watch>,
    pub(super) own_cpu: OwnCpu,
    pub(super) busiest_thread: f64,
    pub(super) view: Snapshot,
    pub(super) notes: Vec<String>,
    /// How many findings whoever looks on was told of.
    findings_told: u64,
    /// How many turns have begun; each draws from other randomness.
    turns_begun: u64,
}

/// Does what a plan says, and gives its report. `stop` breaks it off: the report tells of what was done until then.
///
/// A multi-threaded runtime is wanted, with time and I/O. The limit of open files should have been raised.
///
/// # Errors
/// [`RunError`] when it cannot be begun or not be gone on with. Requests that fail are no errors of the run.
pub async fn run(
    options: RunOptions,
    driver: &dyn Driver,
    observer: &mut dyn Observer,
    stop: Stop,
) -> Result<Report, RunError> {
    let started_at = time::OffsetDateTime::now_utc();
    let ended = async {
        targets::check_hosts(&options.plan, &options.in_charge_of).await?;
        let mut runner = Runner::start(options, driver, &mut *observer, stop).await?;
        let result = runner.all().await;
        let own_servers = std::mem::take(&mut runner.own_servers);
        if runner.is_interrupted() {
            // They are told to end, and not waited for.
            drop(own_servers);
        } else {
            own_servers.stop().await?;
        }
        result?;
        Ok(assemble::report(runner, started_at))
    };
    let ended = ended.await;
    observer.end();
    ended
}

impl<'a> Runner<'a> {
    async fn start(
        options: RunOptions,
        driver: &'a dyn Driver,
        observer: &'a mut dyn Observer,
        stop: Stop,
    ) -> Result<Self, RunError> {
        let started = Instant::now();
        let seed = options.plan.seed.unwrap_or_else(|| u64::from_le_bytes(random_bytes()));
        let plan = Arc::new(Plan { seed: Some(seed), ..options.plan });
        let mut view = Snapshot { total_tasks: plan.shape.count, ..Snapshot::default() };
        observer.show(&view);
        let (targets, own_servers) = targets::start(&plan, options.program.as_ref()).await?;
        let run_id = run_id();
        let states = targets
            .into_iter()
            .map(|target| TargetState::new(target, &plan, &run_id))
            .collect::<Result<Vec<_>, _>>()?;
        let turns = Turns::new(&plan.shape, states.len());
        view.total = turns.total();
        view.total_tasks = plan.shape.count.map(|count| count.saturating_mul(states.len() as u64));
        view.turns = turns.rounds().unwrap_or(0) * states.len();
        let mut notes = Vec::new();
        notes.extend(too_few_files(&plan));
        let own_watch = Watch::ourselves().map_err(|error| notes.push(error.to_string())).ok();
        let source = {
            let content = plan.content.clone();
            // It takes as long as hashing a GiB where blobs are large.
            let made = tokio::task::spawn_blocking(move || Source::new(&content, seed)).await;
            made.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
        };
        Ok(Runner {
            plan,
            seed,
            driver,
            observer,
            stop,
            started,
            source,
            states,
            own_servers,
            own_watch,
            own_cpu: OwnCpu::now(),
            busiest_thread: 0.0,
            view,
            notes,
            findings_told: 0,
            turns_begun: 0,
        })
    }

    async fn all(&mut self) -> Result<(), RunError> {
        for target in 0..self.states.len() {
            if !self.is_interrupted() {
                self.prepare(target).await?;
            }
        }
        self.take_turns().await?;
        if !self.is_interrupted() {
            self.verify().await?;
        }
        if self.plan.clean {
            self.clean().await?;
        }
        Ok(())
    }

    async fn take_turns(&mut self) -> Result<(), RunError> {
        let turns = Turns::new(&self.plan.shape, self.states.len());
        for round in 0.. {
            let planned: Vec<_> = (0..self.states.len()).filter_map(|target| turns.turn(round, target)).collect();
            let mut had_one = false;
            for planned in planned {
                if self.is_interrupted() {
                    return Ok(());
                }
                if self.states[planned.target].tasks.is_done() {
                    continue;
                }
                had_one = true;
                self.view.turn += 1;
                self.turn(planned).await?;
            }
            if !had_one {
                break;
            }
        }
        Ok(())
    }

    /// Whether Ctrl-C came.
    pub(super) fn is_interrupted(&self) -> bool {
        self.stop.is_now()
    }

    /// Gets ready to speak to a target.
    pub(super) async fn begin(&mut self, target: usize) -> Result<Arc<dyn Session>, RunError> {
        let state = &self.states[target];
        let begun = self.driver.begin(&state.target, &state.recorder).await;
        begun.map_err(|source| self.failed(target, "it cannot be spoken to", source))
    }

    pub(super) fn failed(&self, target: usize, doing: &'static str, source: Failure) -> RunError {
        RunError::Target { target: self.states[target].name().to_owned(), doing, source }
    }

    pub(super) fn work(&mut self, target: usize, session: Arc<dyn Session>, moments: Moments, stop: Stop) -> Arc<Work> {
        self.turns_begun += 1;
        let seed = self.seed ^ self.turns_begun.rotate_left(40);
        Arc::new(Work::new(&self.states[target], session, &self.plan, &self.source, seed, moments, stop))
    }

    /// Shows how the run stands, and tells of findings.
    pub(super) fn refresh(&mut self) {
        let view = &mut self.view;
        view.elapsed = self.started.elapsed();
        view.tasks = self.states.iter().map(|state| state.recorder.tasks_ended()).sum();
        view.errors = self.states.iter().map(|state| state.recorder.errors()).sum();
        view.findings = self.states.iter().map(|state| state.recorder.findings()).sum();
        self.observer.show(view);
        if view.findings > self.findings_told {
            let new = view.findings - self.findings_told;
            self.findings_told = view.findings;
            self.observer.tell(&format!(
                "{new} things that {} acknowledged were found to be wrong",
                if view.target.is_empty() { "targets" } else { &view.target }
            ));
        }
    }

    /// Shows another stage.
    pub(super) fn enter(&mut self, stage: Stage, target: usize) {
        self.view.stage = stage;
        self.view.target = self.states[target].name().to_owned();
        self.view.in_flight = 0;
        self.refresh();
    }

    /// What there is, or a note of why there is nothing.
    pub(super) fn noted<T>(&mut self, result: Result<T, String>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problem) => {
                if !self.notes.contains(&problem) {
                    self.notes.push(problem);
                }
                None
            }
        }
    }
}

/// Each task needs a connection at least, and each connection an open file.
fn too_few_files(plan: &Plan) -> Option<String> {
    let at_once = match plan.shape.pace() {
        Pace::Closed { .. } => Course::new(&plan.shape).peak(),
        Pace::Open { max_in_flight, .. } => f64::from(max_in_flight),
    };
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    (at_once + OTHER_FILES > limit as f64).then(|| {
        format!("this process may have {limit} files open, and {at_once} tasks at once need more: raise ulimit -n")
    })
}

/// Twelve characters that no run before had.
fn run_id() -> String {
    let mut id = uuid::Uuid::new_v4().simple().to_string();
    id.truncate(12);
    id
}

fn random_bytes() -> [u8; 8] {
    let bytes = uuid::Uuid::new_v4().into_bytes();
    let (first, _) = bytes.as_chunks::<8>();
    first[0]
}
