//! When a policy strikes, and when an upload that nobody asks for leaves memory.

use super::*;

/// What holds for one upload. A limit that is `None` is none.
#[derive(Clone, Copy, Debug)]
pub(in crate::upload) struct Rules {
    /// A writer from which no byte came for so long loses its right to a newcomer.
    pub takeover_after: Duration,
    /// How many claims may wait; one more is refused at once.
    pub max_waiting: usize,
    /// After so long without a request an open upload leaves memory.
    pub passivate_after: Option<Duration>,
    /// After so many bytes of a body offset and hash state are made to last.
    pub checkpoint_every: u64,
    /// Every acknowledged byte is to survive the loss of power.
    pub sync_offsets: bool,
    pub idle_timeout: Option<Duration>,
    pub max_age: Option<Duration>,
    pub max_size: Option<u64>,
    /// Fewer bytes a second than this, over the window, are too few.
    pub min_rate: Option<MinRate>,
}

#[derive(Clone, Copy, Debug)]
pub(in crate::upload) struct MinRate {
    pub bytes_per_second: u64,
    pub window: Duration,
}

impl Rules {
    /// A newcomer waits a quarter longer than silence takes, so that the last bytes of an old connection, which were on
    /// their way when it came, do not cost it another try.
    pub fn longest_wait(&self) -> Duration {
        self.takeover_after + self.takeover_after / 4
    }

    /// How long a batch may come behind the one before it: far less than silence takes.
    pub fn longest_batch_interval(&self) -> Duration {
        (self.takeover_after / 8).min(Duration::from_millis(125))
    }
}

/// How fast bodies come, counting only the time in which the engine waited for their bytes: windows of such time, one
/// after the other, over all bodies of the upload.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// How much of the window has passed.
    waited: Duration,
    /// How many bytes came in it.
    bytes: u64,
    /// Since when the engine waits now.
    waiting_since: Option<Duration>,
}

impl Pace {
    /// Notes whether the engine waits for bytes now.
    fn note(&mut self, is_waiting: bool, now: Duration) {
        if let Some(since) = self.waiting_since {
            self.waited += now.saturating_sub(since);
        }
        self.waiting_since = is_waiting.then_some(now);
    }

    pub fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Whether the window that has passed was too slow; the next one begins then.
    fn is_too_slow(&mut self, rule: MinRate) -> bool {
        if self.waited < rule.window {
            return false;
        }
        let wanted = u128::from(rule.bytes_per_second) * self.waited.as_millis();
        let is_too_slow = u128::from(self.bytes) * 1000 < wanted;
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        is_too_slow
    }
}

impl Machine {
    /// Other rules hold from now on.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// When it is next time for an [`Event::Look`], and which policy would strike then; `None`: it is to leave memory
    /// then. What comes meanwhile may put it off.
    pub fn next_look(&self) -> Option<(Duration, Option<Policy>)> {
        match &self.phase {
            Phase::Open => {}
            Phase::NotRemoved { retry_at, .. } => return Some((*retry_at, None)),
            _ => return None,
        }
        let strikes = [
            self.rules.max_age.map(|age| (age, Some(Policy::MaxAge))),
            self.idle_deadline().map(|at| (at, Some(Policy::IdleTimeout))),
            self.pace_deadline().map(|at| (at, Some(Policy::MinRate))),
            self.passive_from().map(|at| (at, None)),
        ];
        strikes.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// When it expires if no byte comes any more, and why; at the end of the slowest window that may still turn out fast
    /// enough, for one that is being written to.
    pub fn deadline(&self) -> Option<(Duration, Policy)> {
        let by_age = self.rules.max_age.map(|age| (age, Policy::MaxAge));
        let by_idleness = self.rules.idle_timeout.map(|idle| (self.last_byte + idle, Policy::IdleTimeout));
        let by_pace = self.pace_deadline().map(|at| (at, Policy::MinRate));
        by_age.into_iter().chain(by_idleness).chain(by_pace).min_by_key(|(at, _)| *at)
    }

    pub(super) fn on_look(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if let Phase::NotRemoved { reason, .. } = &self.phase {
            self.phase = Phase::Removing { reason: *reason, answers: Vec::new() };
            return;
        }
        if !matches!(self.phase, Phase::Open) {
            return;
        }
        if let Some(policy) = self.strikes(now) {
            return self.on_ender(Ender::Expire(policy, None), actions);
        }
        if self.passive_from().is_some_and(|at| at <= now) {
            if self.stale {
                // Whoever comes next finds out from storage what is kept.
                return self.end(Ending::Passive, Stop::Passive, Vec::new(), actions);
            }
            self.run(Job::Rest, Running::Rest, actions);
        }
    }

    fn strikes(&mut self, now: Duration) -> Option<Policy> {
        if self.rules.max_age.is_some_and(|age| age <= now) {
            return Some(Policy::MaxAge);
        }
        if self.idle_deadline().is_some_and(|at| at <= now) {
            return Some(Policy::IdleTimeout);
        }
        // Only who is just keeping the engine waiting is too slow.
        let rule = self.rules.min_rate.filter(|_| self.is_waiting_for_bytes())?;
        self.note_pace(now);
        self.pace.is_too_slow(rule).then_some(Policy::MinRate)
    }

    /// Whether the engine waits for bytes of a body now. While something of the writer's is on its way into the store,
    /// whoever is slow is not the writer.
    fn is_waiting_for_bytes(&self) -> bool {
        matches!(self.phase, Phase::Open)
            && self.running.is_none()
            && self.queue.is_empty()
            && self.lease.as_ref().is_some_and(Lease::is_read)
    }

    /// To be called after each step.
    pub(super) fn note_pace(&mut self, now: Duration) {
        let is_waiting = self.is_waiting_for_bytes();
        self.pace.note(is_waiting, now);
    }

    /// Slowness of our own is no idleness: there is no such deadline while something is being stored, or waits for memory.
    fn idle_deadline(&self) -> Option<Duration> {
        let idle = self.rules.idle_timeout?;
        if self.running.is_some() || !self.queue.is_empty() {
            return None;
        }
        let since = match &self.lease {
            Some(lease) if lease.is_held_up => return None,
            Some(lease) => self.last_byte.max(lease.ready_since),
            None => self.last_byte,
        };
        Some(since + idle)
    }

    fn pace_deadline(&self) -> Option<Duration> {
        let rule = self.rules.min_rate?;
        Some(self.pace.waiting_since? + rule.window.saturating_sub(self.pace.waited))
    }

    fn passive_from(&self) -> Option<Duration> {
        let is_quiet = self.lease.is_none()
            && self.waiting.is_empty()
            && self.running.is_none()
            && self.enders.is_empty()
            && self.askers.is_empty();
        self.rules.passivate_after.filter(|_| is_quiet).map(|after| self.last_request + after)
    }
}
