use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::shard::Shard;
use super::totals::Totals;
use crate::load::report::{Finding, Histogram, Sample};

/// Into how many shards is recorded: more workers than this run at once on no machine of today without waiting for
/// something else.
const SHARDS: usize = 8;

/// The most characters that are kept of what a server sent.
const LONGEST_MESSAGE: usize = 300;

/// When something happened.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// When it was due; times count from here.
    pub should_start: Instant,
    /// When its answer's first byte came; `None` where none came, or it is of no interest.
    pub first_byte: Option<Instant>,
    /// When its answer's last byte came, or it failed.
    pub end: Instant,
}

/// Why a request or a task did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The answer's status; 0 where there was none.
    pub status: u16,
    /// The registry's code, or of what kind it was: `connect`, `reset`, `timeout`, `protocol`.
    pub code: String,
    /// What exactly.
    pub message: String,
}

/// How an upload ended that was slow or stood still on purpose.
#[derive(Clone, Debug)]
pub enum StallEnd {
    /// It went on to its end all the same.
    Finished,
    /// The server ended it.
    Ended {
        /// By which answer: `408`, `404`, `reset`, …
        by: String,
        /// When.
        at: Instant,
    },
}

/// Counts what happens at one target. Cheap to clone; give each worker one by [`Recorder::for_worker`].
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    shard: usize,
}

struct Shared {
    /// What instants are told from.
    origin: Instant,
    /// From how many nanoseconds behind `origin` things count.
    measured_from: AtomicU64,
    shards: [Mutex<Shard>; SHARDS],
    /// Bytes of content since the last sample.
    moved: [AtomicU64; SHARDS],
    open_connections: AtomicU64,
    peak_connections: AtomicU64,
    tasks_ended: AtomicU64,
    findings: AtomicU64,
    errors: AtomicU64,
    next_shard: AtomicUsize,
}

impl Recorder {
    /// One that counts nothing before [`Recorder::measure_from`].
    pub fn new() -> Self {
        let shared = Shared {
            origin: Instant::now(),
            measured_from: AtomicU64::new(u64::MAX),
            shards: Default::default(),
            moved: Default::default(),
            open_connections: AtomicU64::new(0),
            peak_connections: AtomicU64::new(0),
            tasks_ended: AtomicU64::new(0),
            findings: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            next_shard: AtomicUsize::new(0),
        };
        Recorder { shared: Arc::new(shared), shard: 0 }
    }

    /// The same, into the next shard.
    pub fn for_worker(&self) -> Self {
        let shard = self.shared.next_shard.fetch_add(1, Ordering::Relaxed) % SHARDS;
        Recorder { shared: Arc::clone(&self.shared), shard }
    }

    /// From now on, what should have started at `start` or later counts.
    pub fn measure_from(&self, start: Instant) {
        self.shared.measured_from.store(self.nanoseconds(start), Ordering::Relaxed);
    }

    /// A request ended. `bytes` are those of its body, in the direction that is its.
    pub fn operation(&self, name: &'static str, timing: Timing, bytes: u64, result: Result<(), &Failure>) {
        if !self.counts(timing.should_start) {
            return;
        }
        if result.is_err() {
            self.shared.errors.fetch_add(1, Ordering::Relaxed);
        }
        self.shard().operation(name, timing, bytes, result);
    }

    /// A task ended. `bytes` are those of content that it moved; what was sent again counts once. The runner calls it.
    pub fn workload(&self, kind: &'static str, should_start: Instant, end: Instant, bytes: u64, ok: bool) {
        self.shared.tasks_ended.fetch_add(1, Ordering::Relaxed);
        if self.counts(should_start) {
            self.shard().workload(kind, end - should_start, bytes, ok);
        }
    }

    /// Something failed that is no request's failure, so that it is told with the errors all the same.
    pub fn failure(&self, what: &'static str, failure: &Failure) {
        self.shared.errors.fetch_add(1, Ordering::Relaxed);
        self.shard().failure(what, failure);
    }

    /// Bytes of content went out or came in just now. For the rate each second; to be called for each piece.
    pub fn moved(&self, bytes: u64) {
        self.shared.moved[self.shard].fetch_add(bytes, Ordering::Relaxed);
    }

    /// An upload was cut on purpose.
    pub fn cut(&self) {
        self.shard().resumes.cuts += 1;
    }

    /// The registry told how far an upload came that was cut, and so many of the bytes that had been sent before have to
    /// be sent again.
    pub fn offset_told(&self, cut_at: Instant, told_at: Instant, bytes_sent_again: u64) {
        let mut shard = self.shard();
        shard.time_to_offset.record(told_at - cut_at);
        shard.resumes.bytes_sent_again += bytes_sent_again;
    }

    /// An upload that was cut went on to its end.
    pub fn resumed(&self) {
        self.shard().resumes.resumed += 1;
    }

    /// An upload that was cut had to begin anew since the registry lost it.
    pub fn restarted(&self) {
        self.shard().resumes.restarted += 1;
    }

    /// An upload that was slow or stood still on purpose since `begun` has ended.
    pub fn stalled(&self, begun: Instant, end: StallEnd) {
        let mut shard = self.shard();
        shard.stalls.stalled += 1;
        match end {
            StallEnd::Finished => shard.stalls.finished += 1,
            StallEnd::Ended { by, at } => {
                shard.time_to_end.record(at - begun);
                *shard.stalls.ended.entry(by).or_default() += 1;
            }
        }
    }

    /// A connection was opened, which took so long.
    pub fn connection_opened(&self, took: Duration) {
        let open = self.shared.open_connections.fetch_add(1, Ordering::Relaxed) + 1;
        self.shared.peak_connections.fetch_max(open, Ordering::Relaxed);
        let mut shard = self.shard();
        shard.connections.opened += 1;
        shard.connect.record(took);
    }

    /// A connection could not be opened.
    pub fn connection_failed(&self) {
        self.shard().connections.failed += 1;
    }

    /// A connection that had been opened is closed; `broken`: by the other side, while it was needed.
    pub fn connection_closed(&self, broken: bool) {
        self.shared.open_connections.fetch_sub(1, Ordering::Relaxed);
        self.shard().connections.broken += u64::from(broken);
    }

    /// A blob was looked up after its push.
    pub fn looked_up(&self) {
        self.shard().looked_up += 1;
    }

    /// A blob was pulled after its push, and compared.
    pub fn pulled(&self) {
        self.shard().pulled += 1;
    }

    /// The registry acknowledged something that it does not hold to.
    pub fn finding(&self, finding: Finding) {
        self.shared.findings.fetch_add(1, Ordering::Relaxed);
        self.shard().finding(finding);
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> u64 {
        self.shared.open_connections.load(Ordering::Relaxed)
    }

    /// How many tasks have ended, those of the warm-up too.
    pub fn tasks_ended(&self) -> u64 {
        self.shared.tasks_ended.load(Ordering::Relaxed)
    }

    /// How many findings there are.
    pub fn findings(&self) -> u64 {
        self.shared.findings.load(Ordering::Relaxed)
    }

    /// How many requests failed that count.
    pub fn errors(&self) -> u64 {
        self.shared.errors.load(Ordering::Relaxed)
    }

    /// What happened since the last sample, which began `at_seconds` into the run.
    pub fn sample(&self, at_seconds: f64) -> Sample {
        let mut latency = Histogram::new();
        let mut sample = Sample { at_seconds, connections: self.open_connections(), ..Sample::default() };
        for (shard, moved) in self.shared.shards.iter().zip(&self.shared.moved) {
            let mut shard = lock(shard);
            let (requests, errors) = shard.take_interval(&mut latency);
            sample.requests += requests;
            sample.errors += errors;
            sample.bytes += moved.swap(0, Ordering::Relaxed);
        }
        sample.p50_us = latency.quantile_us(0.5);
        sample.p99_us = latency.quantile_us(0.99);
        sample
    }

    /// Everything so far.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for shard in &self.shared.shards {
            lock(shard).add_to(&mut totals);
        }
        totals.connections.peak = self.shared.peak_connections.load(Ordering::Relaxed);
        totals
    }

    fn shard(&self) -> MutexGuard<'_, Shard> {
        lock(&self.shared.shards[self.shard])
    }

    fn counts(&self, should_start: Instant) -> bool {
        self.nanoseconds(should_start) >= self.shared.measured_from.load(Ordering::Relaxed)
    }

    fn nanoseconds(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.shared.origin).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder::new()
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // Counters are whole at any time.
    shard.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Failure {
    /// A registry's answer that says no. Its text is cut to what a report can hold.
    pub fn answer(status: u16, code: &str, message: &str) -> Self {
        let cut = |text: &str| text.chars().take(LONGEST_MESSAGE).collect();
        Failure { status, code: cut(code), message: cut(message) }
    }

    /// No answer: of what kind (`connect`, `reset`, `timeout`, `protocol`), and what exactly.
    pub fn without_answer(kind: &'static str, message: impl std::fmt::Display) -> Self {
        Failure::answer(0, kind, &message.to_string())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            0 => write!(f, "{}: {}", self.code, self.message),
            status => write!(f, "{status} {}: {}", self.code, self.message),
        }
    }
}

impl std::error::Error for Failure {}
