//! A few threads for what takes a call of the kernel or some, and waits for no disk that is told to sync.
//!
//! A thread that is awake takes the next job. So where there is much to do, threads need not be woken for each job, which
//! costs more than most jobs do: with 1,000 uploads of 4 MiB at once, a fifth of all processor time was that. A disk that is
//! slow or hangs may hold a thread up all the same. While jobs wait, another one stands in for it.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// Work that tells whoever waits for it by itself.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// How many threads there are where none is held up: one for each core, within these bounds. Some more than cores, since
/// the disk is busy while they wait for it.
const FEWEST_THREADS: usize = 4;
const MORE_THAN_ENOUGH_THREADS: usize = 16;

/// How many there are at most, when jobs are held up.
const MOST_THREADS: usize = 512;

/// How long a thread has one job before another thread stands in for it.
const PATIENCE: Duration = Duration::from_millis(10);

/// How many other jobs come before an append that waits.
const OTHERS_BEFORE_AN_APPEND: usize = 3;

/// What a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Small: somebody waits for an answer.
    Small,
    /// Bytes of a body are written. Those of many uploads may be waiting.
    Append,
}

/// The threads. They end when this is dropped and nothing is left to do.
pub(super) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// There is a job for a thread that sleeps.
    called: Condvar,
    /// All threads have a job, and more are waiting.
    pressed: Condvar,
    usual_threads: usize,
}

#[derive(Default)]
struct State {
    small: VecDeque<Job>,
    appends: VecDeque<Job>,
    /// How many small jobs were taken since the last append.
    in_a_row: usize,
    threads: usize,
    /// Threads that sleep and were not called.
    idle: usize,
    /// Calls that no thread has heard yet.
    calls: usize,
    /// Since when each thread that has a job has had it.
    busy: Vec<(ThreadId, Instant)>,
    has_watcher: bool,
    is_watching: bool,
    stopping: bool,
}

impl Pool {
    /// Threads are started when there is something to do.
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
        Pool::with_threads(cores.clamp(FEWEST_THREADS, MORE_THAN_ENOUGH_THREADS))
    }

    fn with_threads(usual_threads: usize) -> Self {
        let (state, called, pressed) = Default::default();
        Pool { shared: Arc::new(Shared { state, called, pressed, usual_threads }) }
    }

    /// Does it soon. Gives it back when there is no thread at all and none can be had.
    pub(super) fn push(&self, kind: Kind, job: Job) -> Result<(), Job> {
        let mut state = self.shared.lock();
        if state.idle == 0 && state.threads < self.shared.usual_threads {
            self.shared.start_thread(&mut state);
        }
        if state.threads == 0 {
            return Err(job);
        }
        state.queue(kind).push_back(job);
        if state.idle > 0 {
            state.idle -= 1;
            state.calls += 1;
            drop(state);
            self.shared.called.notify_one();
        } else if !state.is_watching {
            self.shared.watch(&mut state);
        }
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.called.notify_all();
        self.shared.pressed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No job runs while it is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, on: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        on.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether there was one to be had.
    fn start_thread(self: &Arc<Self>, state: &mut State) -> bool {
        let shared = Arc::clone(self);
        let started = named("storage").spawn(move || shared.work());
        match &started {
            Ok(_) => state.threads += 1,
            // Those that are there go on.
            Err(error) => log::debug!(error:%; "there is no further thread for storage"),
        }
        started.is_ok()
    }

    /// Has somebody look after the jobs that wait.
    fn watch(self: &Arc<Self>, state: &mut State) {
        state.is_watching = true;
        if state.has_watcher {
            return self.pressed.notify_one();
        }
        let shared = Arc::clone(self);
        match named("storage-watch").spawn(move || shared.look_after()) {
            Ok(_) => state.has_watcher = true,
            Err(_) => state.is_watching = false,
        }
    }

    /// What a thread does.
    fn work(&self) {
        let me = thread::current().id();
        let mut state = self.lock();
        loop {
            if let Some(job) = state.next() {
                state.busy.push((me, Instant::now()));
                drop(state);
                // Whoever waits for it finds that it was dropped.
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    log::error!("a job of the storage panicked");
                }
                state = self.lock();
                state.busy.retain(|(thread, _)| *thread != me);
                continue;
            }
            if state.stopping || state.threads > self.usual_threads {
                state.threads -= 1;
                return;
            }
            state.idle += 1;
            while state.calls == 0 && !state.stopping {
                state = self.wait(&self.called, state);
            }
            state.calls = state.calls.saturating_sub(1);
        }
    }

    /// Starts threads in place of those that are held up, while jobs wait.
    fn look_after(self: Arc<Self>) {
        let mut state = self.lock();
        while !state.stopping {
            if !state.is_watching {
                state = self.wait(&self.pressed, state);
                continue;
            }
            drop(state);
            thread::sleep(PATIENCE);
            state = self.lock();
            state.is_watching = state.has_jobs();
            let wanted = (self.usual_threads + state.held_up()).min(MOST_THREADS);
            while state.is_watching && state.threads < wanted && self.start_thread(&mut state) {}
        }
    }
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

impl State {
    fn queue(&mut self, kind: Kind) -> &mut VecDeque<Job> {
        match kind {
            Kind::Small => &mut self.small,
            Kind::Append => &mut self.appends,
        }
    }

    fn next(&mut self) -> Option<Job> {
        let is_an_appends_turn = self.in_a_row >= OTHERS_BEFORE_AN_APPEND && !self.appends.is_empty();
        if !is_an_appends_turn && let Some(job) = self.small.pop_front() {
            self.in_a_row += 1;
            return Some(job);
        }
        self.in_a_row = 0;
        self.appends.pop_front()
    }

    fn has_jobs(&self) -> bool {
        !self.small.is_empty() || !self.appends.is_empty()
    }

    /// How many threads have had their job for long.
    fn held_up(&self) -> usize {
        self.busy.iter().filter(|(_, since)| since.elapsed() >= PATIENCE).count()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.shared.lock().threads).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};

    use super::*;

    /// Jobs that say their name when they are through.
    struct Jobs {
        pool: Pool,
        said: Sender<&'static str>,
        heard: Receiver<&'static str>,
    }

    impl Jobs {
        fn new(threads: usize) -> Self {
            let (said, heard) = mpsc::channel();
            Jobs { pool: Pool::with_threads(threads), said, heard }
        }

        fn push(&self, kind: Kind, name: &'static str) {
            let said = self.said.clone();
            self.push_job(kind, move || said.send(name).unwrap());
        }

        fn push_job(&self, kind: Kind, job: impl FnOnce() + Send + 'static) {
            assert!(self.pool.push(kind, Box::new(job)).is_ok());
        }

        /// A thread has nothing else to do until what is given is dropped.
        fn hold_up_a_thread(&self) -> Sender<()> {
            let (hold, held) = mpsc::channel::<()>();
            let (began, begun) = mpsc::channel();
            self.push_job(Kind::Small, move || {
                began.send(()).unwrap();
                let _ = held.recv();
            });
            begun.recv().unwrap();
            hold
        }

        fn next(&self) -> &'static str {
            self.heard.recv_timeout(Duration::from_secs(60)).expect("a job is not done")
        }
    }

    #[test]
    fn appends_do_not_hold_up_what_is_small_nor_wait_for_ever() {
        let jobs = Jobs::new(1);
        let hold = jobs.hold_up_a_thread();
        // Nobody stands in for it, since somebody seems to look after it.
        jobs.pool.shared.lock().is_watching = true;
        for _ in 0..2 {
            jobs.push(Kind::Append, "append");
        }
        for _ in 0..2 * OTHERS_BEFORE_AN_APPEND {
            jobs.push(Kind::Small, "small");
        }
        drop(hold);
        let done: Vec<_> = (0..2 + 2 * OTHERS_BEFORE_AN_APPEND).map(|_| jobs.next()).collect();
        // What held it up was small, too.
        assert_eq!(done, ["small", "small", "append", "small", "small", "small", "append", "small"]);
    }

    #[test]
    fn another_thread_stands_in_for_each_that_is_held_up() {
        let jobs = Jobs::new(1);
        let held: Vec<_> = (0..3).map(|_| jobs.hold_up_a_thread()).collect();
        jobs.push(Kind::Append, "append");
        assert_eq!(jobs.next(), "append");
        drop(held);
        // Those that are too many go.
        while jobs.pool.shared.lock().threads > 1 {
            jobs.push(Kind::Small, "small");
            assert_eq!(jobs.next(), "small");
        }
    }

    #[test]
    fn a_job_that_panics_costs_no_thread() {
        let jobs = Jobs::new(1);
        // Nobody stands in for it while it tells of the panic, which may take its time.
        jobs.pool.shared.lock().is_watching = true;
        jobs.push_job(Kind::Small, || panic!("on purpose"));
        jobs.push(Kind::Small, "after it");
        assert_eq!(jobs.next(), "after it");
        assert_eq!(jobs.pool.shared.lock().threads, 1);
    }

    #[test]
    fn what_was_pushed_is_done_though_the_pool_is_dropped() {
        let jobs = Jobs::new(1);
        let hold = jobs.hold_up_a_thread();
        jobs.push(Kind::Append, "append");
        jobs.push(Kind::Small, "small");
        let Jobs { pool, said, heard } = jobs;
        drop((pool, said, hold));
        // It ends with the last sender, which a job has.
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["small", "append"]);
    }
}
