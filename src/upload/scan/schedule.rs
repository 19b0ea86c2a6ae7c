//! When scans run, and how they leave the machine to others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Scanner;
use crate::oci::UploadId;

/// For so long after a start others come first.
const FIRST_AFTER: Duration = Duration::from_secs(1);

/// After each step it rests this many times as long as the step took: a fifth of one core and disk at most.
const REST: u32 = 4;

/// What hangs for long, a storage or a machine that is busy with other things, is no reason to rest for minutes.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Steps are added up before a rest, so that it is long enough to be one.
const REST_FROM: Duration = Duration::from_millis(2);

impl Scanner {
    /// One look after the start, and then as often as the configuration says.
    pub async fn run_as_scheduled(self: Arc<Self>) {
        tokio::time::sleep(FIRST_AFTER).await;
        loop {
            self.clone().start(false, Pace::default());
            self.ended().await;
            loop {
                let every = self.roster.policies().all().scan_every;
                if every > Duration::ZERO {
                    tokio::time::sleep(jittered(every)).await;
                    break;
                }
                // It may be turned on later.
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        }
    }
}

/// A tenth more or less, so that many nodes that were started together do not look at the same time.
fn jittered(every: Duration) -> Duration {
    let thousandth = (UploadId::random().as_u128() % 201) as u32;
    every * (900 + thousandth) / 1000
}

/// Rests between steps.
#[derive(Default)]
pub(in crate::upload) struct Pace {
    step: Option<Instant>,
    worked: Duration,
    is_off: bool,
}

impl Pace {
    /// No rests.
    pub fn none() -> Self {
        Pace { is_off: true, ..Pace::default() }
    }

    pub fn begin(&mut self) {
        self.step = Some(Instant::now());
    }

    pub async fn rest(&mut self) {
        let worked = self.step.take().map_or(Duration::ZERO, |step| step.elapsed());
        if let Some(rest) = self.rest_after(worked) {
            tokio::time::sleep(rest).await;
        }
    }

    fn rest_after(&mut self, worked: Duration) -> Option<Duration> {
        self.worked += worked;
        if self.is_off || self.worked < REST_FROM {
            return None;
        }
        Some((std::mem::take(&mut self.worked) * REST).min(LONGEST_REST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_steps_are_added_up_and_long_ones_are_no_reason_to_rest_for_long() {
        let millis = Duration::from_millis;
        let mut pace = Pace::default();
        assert_eq!((pace.rest_after(millis(1)), pace.rest_after(millis(2))), (None, Some(millis(12))));
        assert_eq!(pace.rest_after(Duration::from_secs(60)), Some(LONGEST_REST));
        assert_eq!(pace.rest_after(millis(1)), None);
        assert_eq!(Pace::none().rest_after(Duration::from_secs(60)), None);
    }

    #[test]
    fn the_jitter_is_a_tenth_at_most() {
        let hour = Duration::from_secs(3600);
        let waits: Vec<Duration> = (0..200).map(|_| jittered(hour)).collect();
        assert!(waits.iter().all(|wait| (hour * 9 / 10..=hour * 11 / 10).contains(wait)), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait < hour) && waits.iter().any(|wait| *wait > hour));
    }
}
