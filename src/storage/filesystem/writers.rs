//! Experiment: few threads that append.
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
}

#[derive(Default)]
pub(super) struct Writers {
    state: Mutex<State>,
    called: Condvar,
}

fn most() -> usize {
    static MOST: OnceLock<usize> = OnceLock::new();
    *MOST.get_or_init(|| std::env::var("WRITERS").ok().and_then(|v| v.parse().ok()).unwrap_or(4))
}

pub(super) fn writers() -> &'static Writers {
    static W: OnceLock<Writers> = OnceLock::new();
    W.get_or_init(Writers::default)
}

impl Writers {
    pub(super) fn push(&'static self, job: Job) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.jobs.push_back(job);
        if state.idle > 0 {
            state.idle -= 1;
            drop(state);
            self.called.notify_one();
        } else if state.threads < most() {
            state.threads += 1;
            drop(state);
            std::thread::Builder::new().name("writer".into()).spawn(move || self.run()).unwrap();
        }
    }

    fn run(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.idle += 1;
            state = self.called.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
