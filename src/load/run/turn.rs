//! One turn of one target.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::own_cpu::OwnCpu;
use super::runner::Runner;
use super::stop::Stopper;
use super::work::{Moments, Work};
use super::{RunError, Session, closed, open};
use crate::load::live::Stage;
use crate::load::pace::PlannedTurn;
use crate::load::plan::Pace;
use crate::load::report::Turn;
use crate::load::server::figures;

/// How long tasks may go on after their turn's end before they are broken off.
const LONGEST_END: Duration = Duration::from_secs(60);

/// How long it may take, after Ctrl-C, to cancel the uploads that are open. With what follows, a run ends within a second.
const CANCEL_WITHIN: Duration = Duration::from_millis(600);

/// How long it may take to close connections in good order.
const CLOSE_WITHIN: Duration = Duration::from_millis(100);

/// How often whoever looks on is shown something new.
const SHOW_EVERY: Duration = Duration::from_millis(200);

const SECOND: Duration = Duration::from_secs(1);

/// What is measured of a turn: begun when its warm-up ends.
struct Measuring {
    since: Instant,
    next_sample: Instant,
    sample_began: Instant,
    server: Option<figures::Turn>,
    generator: Option<figures::Turn>,
    own_cpu: OwnCpu,
}

impl Runner<'_> {
    /// Has a target's turn. On Ctrl-C it is over early, which [`Runner::is_interrupted`] tells.
    pub(super) async fn turn(&mut self, planned: PlannedTurn) -> Result<(), RunError> {
        let session = self.begin(planned.target).await?;
        let stopper = Stopper::new();
        let begin = Instant::now();
        let measured_from = begin + planned.warm_up;
        self.states[planned.target].recorder.measure_from(measured_from);
        let moments = Moments { begin, from: planned.from, measured_from };
        let work = self.work(planned.target, Arc::clone(&session), moments, stopper.signal());
        let mut workers = JoinSet::new();
        match self.plan.shape.pace() {
            Pace::Closed { .. } => closed::start(&work, &mut workers),
            Pace::Open { max_in_flight, .. } => open::start(&work, max_in_flight, &mut workers),
        }

        let far = begin + Duration::from_secs(365 * 24 * 3600);
        let end = planned.length.map_or(far, |length| measured_from + length);
        let mut measuring = None;
        let mut show = interval(SHOW_EVERY);
        show.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut stop = self.stop.clone();
        loop {
            let is_ending = stopper.signal().is_ending();
            let next_sample = measuring.as_ref().map_or(measured_from, |measuring: &Measuring| measuring.next_sample);
            tokio::select! {
                biased;
                () = stop.now() => break,
                ended = workers.join_next() => match ended {
                    Some(ended) => open::pass_panic_on(ended),
                    None => break,
                },
                () = sleep_until(next_sample) => match &mut measuring {
                    None => measuring = Some(self.start_measuring(planned.target)),
                    Some(measuring) => self.sample(planned.target, measuring),
                },
                () = sleep_until(end), if !is_ending => stopper.end(),
                () = sleep_until(end + LONGEST_END), if is_ending => break,
                _ = show.tick() => self.show(planned.target, &work, begin, measured_from),
            }
        }
        let is_interrupted = self.is_interrupted();
        stopper.now();
        let broken_off = work.in_flight();
        if !is_interrupted {
            self.states[planned.target].broken_off += broken_off;
        }
        workers.shutdown().await;
        self.end_measuring(planned.target, measuring);
        self.close(&*session, broken_off > 0).await;
        self.own_servers.check()
    }

    /// Cancels what is open where tasks were broken off, and closes the connections.
    pub(super) async fn close(&mut self, session: &dyn Session, was_broken_off: bool) {
        if was_broken_off {
            self.view.stage = Stage::Stopping;
            match timeout(CANCEL_WITHIN, session.cancel_uploads()).await {
                Ok(0) => {}
                Ok(count) => self.observer.tell(&format!("{count} open uploads were cancelled")),
                Err(_) => self.notes.push("uploads that were open at the end could not all be cancelled".to_owned()),
            }
        }
        // Connections that do not end in good order end with the process.
        let _ = timeout(CLOSE_WITHIN, session.close()).await;
    }

    fn start_measuring(&mut self, target: usize) -> Measuring {
        let now = Instant::now();
        let state = &self.states[target];
        // What happened before is none of the first sample's.
        state.recorder.sample(0.0);
        let begun = |watch: &figures::Watch| watch.begin().map_err(|error| error.to_string());
        let server = state.watch.as_ref().map(begun).transpose();
        let generator = self.own_watch.as_ref().map(begun).transpose();
        let (server, generator) = (self.noted(server).flatten(), self.noted(generator).flatten());
        let own_cpu = OwnCpu::now();
        Measuring { since: now, next_sample: now + SECOND, sample_began: now, server, generator, own_cpu }
    }

    fn sample(&mut self, target: usize, measuring: &mut Measuring) {
        let now = Instant::now();
        let at_seconds = (measuring.sample_began - self.started).as_secs_f64();
        let state = &mut self.states[target];
        let sample = state.recorder.sample(at_seconds);
        // At the very end of a second the turn may end, too.
        if now > measuring.sample_began || sample.requests > 0 || sample.bytes > 0 {
            state.timeline.push(sample);
        }
        measuring.sample_began = now;
        measuring.next_sample += SECOND;
        self.view.bytes_per_second = sample.bytes;
        self.view.requests_per_second = sample.requests as f64;
        (self.view.p50_us, self.view.p99_us) = (sample.p50_us, sample.p99_us);
        let cpu = OwnCpu::now();
        self.view.generator_cpu_share = cpu.since(&self.own_cpu).all;
        self.own_cpu = cpu;
    }

    fn end_measuring(&mut self, target: usize, measuring: Option<Measuring>) {
        // Ctrl-C during the warm-up.
        let Some(mut measuring) = measuring else { return };
        let now = Instant::now();
        self.sample(target, &mut measuring);
        let used = OwnCpu::now().since(&measuring.own_cpu);
        self.busiest_thread = self.busiest_thread.max(used.busiest_thread);
        let ended = |turn: figures::Turn| turn.end().map_err(|error| error.to_string());
        let server = measuring.server.map(ended).transpose();
        let generator = measuring.generator.map(ended).transpose();
        let (server, generator) = (self.noted(server).flatten(), self.noted(generator).flatten());
        let state = &mut self.states[target];
        if let Some(server) = &server {
            state.server.add_turn(server);
        }
        if let Some(generator) = generator {
            state.generator.add_turn(&generator);
        }
        let (totals, second_of) = (state.recorder.totals(), |at: Instant| (at - self.started).as_secs_f64());
        let before = |of: fn(&Turn) -> u64| state.turns.iter().map(of).sum::<u64>();
        let bytes = totals.bytes() - before(|turn| turn.bytes);
        let requests = totals.requests() - before(|turn| turn.requests);
        state.turns.push(Turn {
            started_seconds: second_of(measuring.since),
            ended_seconds: second_of(now),
            tasks: totals.tasks() - before(|turn| turn.tasks),
            requests,
            bytes,
            server: server.map(|server| server.process(bytes, requests)),
        });
        state.measured += now - measuring.since;
    }

    fn show(&mut self, target: usize, work: &Work, begin: Instant, measured_from: Instant) {
        let state = &self.states[target];
        self.view.stage = if begin.max(Instant::now()) < measured_from { Stage::WarmingUp } else { Stage::Measuring };
        self.view.target = state.name().to_owned();
        self.view.in_flight = work.in_flight();
        self.view.connections = state.recorder.open_connections();
        self.refresh();
    }
}
