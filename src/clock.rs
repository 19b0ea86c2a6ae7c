//! Time is injected: what decides by a clock is given one, and a test turns its own.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

/// Where the crate takes the time from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock, for what is written down (`started_at`).
    fn now_utc(&self) -> SystemTime;

    /// A clock that never goes back, for what is measured (silence, deadlines).
    fn now(&self) -> Instant;
}

/// A clock that is shared by everything that needs one.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_utc(&self) -> SystemTime {
        SystemTime::now()
    }

    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that stands still until it is told to go on.
#[derive(Debug)]
pub struct ManualClock {
    origin: (SystemTime, Instant),
    elapsed: Mutex<Duration>,
}

impl ManualClock {
    /// A clock that starts at `origin`.
    pub fn starting_at(origin: SystemTime) -> Self {
        ManualClock { origin: (origin, Instant::now()), elapsed: Mutex::new(Duration::ZERO) }
    }

    /// Lets `step` pass on both clocks.
    pub fn advance(&self, step: Duration) {
        *self.lock() += step;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Duration> {
        self.elapsed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now_utc(&self) -> SystemTime {
        self.origin.0 + *self.lock()
    }

    fn now(&self) -> Instant {
        self.origin.1 + *self.lock()
    }
}
