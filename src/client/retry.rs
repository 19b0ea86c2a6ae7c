//! How often, and for how long, what failed in passing is tried again.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;

/// The bounds of trying again. A wait is drawn between half of it and all of it, so that many clients that failed
/// together do not come back together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most times that the same is tried; 1 tries nothing again. What made progress begins to count anew.
    pub attempts: u32,
    /// What the first wait is at most; each next one is twice as long.
    pub first_delay: Duration,
    /// The longest wait, except one that the registry asks for (`Retry-After`).
    pub max_delay: Duration,
    /// No wait ends later than this after the first try began.
    pub max_elapsed: Duration,
}

impl RetryPolicy {
    /// Tries nothing again.
    pub fn none() -> Self {
        RetryPolicy { attempts: 1, ..RetryPolicy::default() }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: 6,
            first_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(15),
            max_elapsed: Duration::from_secs(120),
        }
    }
}

/// Time and chance, as arguments.
#[async_trait]
pub(super) trait Pace: Send + Sync {
    fn now(&self) -> Instant;
    fn now_utc(&self) -> SystemTime;
    async fn sleep(&self, duration: Duration);
    /// From 0 to 1.
    fn chance(&self) -> f64;
}

/// The machine's.
pub(super) struct SystemPace;

#[async_trait]
impl Pace for SystemPace {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn now_utc(&self) -> SystemTime {
        SystemTime::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn chance(&self) -> f64 {
        // The keys of a hasher are random, which is all that it takes to spread waits.
        RandomState::new().hash_one(0) as f64 / u64::MAX as f64
    }
}

/// The waits between the tries of one thing.
#[derive(Debug)]
pub(super) struct Backoff {
    policy: RetryPolicy,
    started: Instant,
    failures: u32,
}

impl Backoff {
    pub(super) fn start(policy: &RetryPolicy, pace: &dyn Pace) -> Self {
        Backoff { policy: policy.clone(), started: pace.now(), failures: 0 }
    }

    /// There was progress: what fails now is another failure.
    pub(super) fn reset(&mut self, pace: &dyn Pace) {
        (self.started, self.failures) = (pace.now(), 0);
    }

    /// Waits for as long as the next try has to; `false`: there is none, or it would come too late.
    pub(super) async fn wait(&mut self, retry_after: Option<Duration>, pace: &dyn Pace) -> bool {
        let Some(delay) = self.next(retry_after, pace) else {
            return false;
        };
        pace.sleep(delay).await;
        true
    }

    fn next(&mut self, retry_after: Option<Duration>, pace: &dyn Pace) -> Option<Duration> {
        self.failures += 1;
        if self.failures >= self.policy.attempts {
            return None;
        }
        let doubled = 1_u32.checked_shl(self.failures - 1).unwrap_or(u32::MAX);
        let longest = self.policy.first_delay.saturating_mul(doubled).min(self.policy.max_delay);
        let drawn = longest.mul_f64(0.5 + pace.chance().clamp(0.0, 1.0) / 2.0);
        // What the registry asks for is the least; those that were asked the same come back spread over a little more.
        let delay = retry_after.map_or(drawn, |asked| asked + drawn.min(asked / 4));
        let elapsed = pace.now().saturating_duration_since(self.started);
        (elapsed + delay <= self.policy.max_elapsed).then_some(delay)
    }
}

impl fmt::Debug for dyn Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pace")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::TestPace;

    fn policy() -> RetryPolicy {
        let (first_delay, max_delay) = (Duration::from_millis(100), Duration::from_millis(500));
        RetryPolicy { attempts: 6, first_delay, max_delay, max_elapsed: Duration::from_secs(60) }
    }

    async fn waits(policy: &RetryPolicy, pace: &TestPace, retry_after: Option<Duration>) -> Vec<Duration> {
        let mut backoff = Backoff::start(policy, pace);
        while backoff.wait(retry_after, pace).await {}
        pace.take_sleeps()
    }

    fn millis(values: &[u64]) -> Vec<Duration> {
        values.iter().map(|value| Duration::from_millis(*value)).collect()
    }

    #[tokio::test]
    async fn waits_grow_to_a_bound_and_are_drawn() {
        assert_eq!(waits(&policy(), &TestPace::with_chance(1.0), None).await, millis(&[100, 200, 400, 500, 500]));
        assert_eq!(waits(&policy(), &TestPace::with_chance(0.0), None).await, millis(&[50, 100, 200, 250, 250]));
    }

    #[tokio::test]
    async fn the_registry_is_not_asked_before_it_wants_to_be() {
        let pace = TestPace::with_chance(0.0);
        assert_eq!(waits(&policy(), &pace, Some(Duration::from_secs(7))).await[..2], millis(&[7050, 7100]));
    }

    #[tokio::test]
    async fn no_try_comes_too_late() {
        let policy = RetryPolicy { max_elapsed: Duration::from_millis(350), ..policy() };
        let pace = TestPace::with_chance(1.0);
        assert_eq!(waits(&policy, &pace, None).await, millis(&[100, 200]));
        assert!(waits(&policy, &pace, Some(Duration::from_secs(1))).await.is_empty());
    }

    #[tokio::test]
    async fn progress_begins_anew() {
        let pace = TestPace::with_chance(1.0);
        let mut backoff = Backoff::start(&policy(), &pace);
        assert!(backoff.wait(None, &pace).await && backoff.wait(None, &pace).await);
        backoff.reset(&pace);
        assert!(backoff.wait(None, &pace).await);
        assert_eq!(pace.take_sleeps(), millis(&[100, 200, 100]));
        assert!(!Backoff::start(&RetryPolicy::none(), &pace).wait(None, &pace).await);
    }
}
