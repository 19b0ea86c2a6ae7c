//! Which policies held when, as far as a client must know to tell whether an upload may have expired.

use std::sync::{Arc, Mutex};

use tokio::time::{Duration, Instant};

use super::Session;

/// Times are written down in whole seconds, so that one which was found in storage may expire by so much sooner.
const WRITTEN_IN: Duration = Duration::from_secs(1);

/// What held over a time. `None`: no such policy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    pub idle_timeout: Option<Duration>,
    pub min_rate_window: Option<Duration>,
    pub max_age: Option<Duration>,
}

/// Every one that held since the first. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Policies(Arc<Mutex<Vec<Period>>>);

#[derive(Debug)]
struct Period {
    held: Held,
    /// `None`: it goes on.
    until: Option<Instant>,
}

impl Policies {
    /// From now on these hold, and none before.
    pub fn hold(&self, held: Held) {
        let mut all = self.0.lock().expect("no panic");
        if let Some(last) = all.last_mut() {
            last.until = Some(Instant::now());
        }
        all.push(Period { held, until: None });
    }

    /// Whether one of them, or this one if it is named, may have struck by now.
    pub(super) fn may_have_struck(&self, session: &Session, policy: Option<&str>) -> bool {
        let all = self.0.lock().expect("no panic");
        all.iter().any(|Period { held, until }| {
            let until = until.unwrap_or_else(Instant::now) + WRITTEN_IN;
            let is_over = |since: Instant, time: Option<Duration>| time.is_some_and(|time| since + time <= until);
            let idle = is_over(session.brought_at, held.idle_timeout);
            let slow = is_over(session.begun_at, held.min_rate_window);
            let old = is_over(session.begun_at, held.max_age);
            match policy {
                Some("idle_timeout") => idle,
                Some("min_rate") => slow,
                Some("max_age") => old,
                Some(_) => false,
                None => idle || slow || old,
            }
        })
    }
}
