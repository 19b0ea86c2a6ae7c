//! The one schedule of all uploads: who is to be looked at, and when.

use std::collections::BTreeSet;

use super::*;

/// While others push, a reaper rests so many times as long as it worked. Without rests PATCHes took two to three times as
/// long while a hundred thousand uploads expired (`benches/policies.rs`).
const REAPER_RESTS: u32 = 6;

/// A storage that hangs is no reason to rest for minutes.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Live ones are told to look, which costs nothing; what is in storage only costs storage calls, and so waits in a row
/// of its own, in which a crowd that expires at once holds nobody up.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    live: BTreeSet<(u64, Name)>,
    stored: BTreeSet<(u64, Name)>,
}

pub(super) struct When {
    pub at: u64,
    pub is_live: bool,
}

/// What is to be done to an upload that is in storage only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::upload) enum Reap {
    /// A policy strikes, if nothing came meanwhile.
    Look(Name),
    /// It was kept for long enough: everything of it goes.
    Forget(Name),
    /// There is no room for its data: only the word of how it expired stays.
    Strip(Name),
}

impl Schedule {
    pub fn add(&mut self, when: When, name: Name) {
        match when.is_live {
            true => self.live.insert((when.at, name)),
            false => self.stored.insert((when.at, name)),
        };
    }

    pub fn remove(&mut self, at: u64, name: &Name) {
        let key = (at, name.clone());
        if !self.live.remove(&key) {
            self.stored.remove(&key);
        }
    }
}

impl Roster {
    /// The live upload is to be looked at by then at the latest.
    pub fn look_by(&self, name: &Name, at: u64) {
        let mut known = self.lock();
        let is_sooner = known.uploads.get(name).is_some_and(|entry| entry.look_at.is_none_or(|known| at < known));
        if is_sooner {
            known.put_off(name, Some(at));
        }
    }

    /// How long whoever reaps leaves the machine to others after some work: while anybody pushes, several times as long as
    /// that took.
    pub fn rest_after(&self, worked: Duration) -> Duration {
        match self.lock().counts.writing() {
            0 => Duration::ZERO,
            _ => (worked * REAPER_RESTS).min(LONGEST_REST),
        }
    }

    /// Takes the next live upload whose time has come.
    pub fn take_due_live(&self, now: u64) -> Option<Name> {
        let mut known = self.lock();
        let (at, name) = known.schedule.live.first().filter(|(at, _)| *at <= now).cloned()?;
        self.note_lag(now, at);
        known.put_off(&name, None);
        Some(name)
    }

    /// Takes the next upload in storage with which something is to be done. What becomes of it is told by the roster's
    /// other methods, or by [`Roster::try_again_later`].
    pub fn take_due_stored(&self, now: u64) -> Option<Reap> {
        let is_space_low = self.is_space_low();
        let max_bytes = self.policies().all().keep_failed_max_size;
        let mut known = self.lock();
        if let Some(name) = known.kept.next_to_strip(max_bytes, is_space_low) {
            known.strip(&name);
            self.show(&known);
            return Some(Reap::Strip(name));
        }
        if let Some(name) = known.kept.take_one_too_many() {
            known.put_off(&name, None);
            return Some(Reap::Forget(name));
        }
        let (at, name) = known.schedule.stored.first().filter(|(at, _)| *at <= now).cloned()?;
        self.note_lag(now, at);
        known.put_off(&name, None);
        let is_kept = matches!(known.uploads.get(&name), Some(Entry { stage: Stage::Kept(_), .. }));
        Some(if is_kept { Reap::Forget(name) } else { Reap::Look(name) })
    }

    /// It could not be done now; if the upload is still as it was, it is tried again.
    pub fn try_again_later(&self, name: &Name) {
        let later = self.now() + millis(RETRY);
        let mut known = self.lock();
        let is_waiting = known
            .uploads
            .get(name)
            .is_some_and(|entry| entry.look_at.is_none() && !matches!(entry.stage, Stage::Live(_)));
        if is_waiting {
            known.put_off(name, Some(later));
        }
    }

    /// Other policies hold from now on: every upload gets its new deadline. The walk is done in steps, between which
    /// others get their turn.
    pub fn set_policies(&self, config: UploadsConfig) {
        const AT_ONCE: usize = 1000;
        let policies = Arc::new(Policies::new(config));
        *self.policies.write().unwrap_or_else(PoisonError::into_inner) = policies.clone();
        let now = self.now();
        let mut after: Option<Name> = None;
        loop {
            let mut known = self.lock();
            let names = known.names_after(after.as_ref(), AT_ONCE);
            for name in &names {
                let Some(entry) = known.uploads.get(name) else { continue };
                let config = policies.of(&name.repository);
                let look_at = match &entry.stage {
                    Stage::Live(_) => Some(now),
                    Stage::Passive => deadline(config, entry.started_at, entry.progress_at).map(|(at, _)| at),
                    Stage::Kept(kept) => Some(kept.at.saturating_add(millis(config.keep_failed_for))),
                };
                known.put_off(name, look_at);
            }
            match names.last() {
                Some(last) if names.len() == AT_ONCE => after = Some(last.clone()),
                _ => return,
            }
        }
    }

    fn note_lag(&self, now: u64, at: u64) {
        self.metrics.reaper_lag.observe(now.saturating_sub(at) as f64 / 1000.0);
    }
}

impl Known {
    pub(super) fn names_after(&self, after: Option<&Name>, limit: usize) -> Vec<Name> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.uploads.range::<Name, _>((from, Unbounded)).take(limit).map(|(name, _)| name.clone()).collect()
    }

    fn strip(&mut self, name: &Name) {
        let Some(Entry { stage: Stage::Kept(kept), .. }) = self.uploads.get_mut(name) else { return };
        self.kept.strip(name, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::super::kept::MAX_KEPT;
    use super::*;
    use crate::clock::SystemClock;

    fn roster() -> Roster {
        let config = UploadsConfig { keep_failed_for: Duration::from_secs(600), ..UploadsConfig::default() };
        Roster::new(Arc::new(SystemClock), config, false, Metrics::unregistered())
    }

    fn name() -> Name {
        Name { id: UploadId::random(), repository: Arc::new("library/app".parse().unwrap()) }
    }

    fn found() -> FoundUpload {
        let now = SystemTime::now();
        FoundUpload { client: None, started_at: now, progress_at: now, offset: 7 }
    }

    #[test]
    fn reapers_rest_while_somebody_pushes() {
        let roster = roster();
        let worked = Duration::from_millis(2);
        assert_eq!(roster.rest_after(worked), Duration::ZERO);
        roster.start_writing(&name(), None).unwrap();
        assert!(roster.rest_after(worked) > worked);
        assert!(roster.rest_after(Duration::from_secs(3600)) <= LONGEST_REST);
    }

    #[test]
    fn one_too_many_that_cannot_be_removed_is_not_tried_again_at_once() {
        let roster = roster();
        for age in 0..=MAX_KEPT as u64 {
            let kept = Kept { policy: Policy::Operator, at: roster.now() + age, bytes: 0 };
            roster.keep(&name(), found(), kept);
        }
        let Some(Reap::Forget(oldest)) = roster.take_due_stored(roster.now()) else { panic!("one is too many") };
        roster.try_again_later(&oldest);
        assert_eq!(roster.take_due_stored(roster.now()), None);
        let later = roster.now() + 2 * millis(RETRY);
        assert_eq!(roster.take_due_stored(later), Some(Reap::Forget(oldest)));
    }

    #[test]
    fn one_that_came_into_memory_meanwhile_is_not_adopted() {
        let roster = roster();
        let name = name();
        roster.revive(&name, found());
        roster.adopt(&name, found());
        assert_eq!(roster.find(name.id)[0].state, crate::upload::UploadState::Open);
        assert_eq!((roster.metrics.uploads_open.get(), roster.metrics.uploads_passive.get()), (1, 0));
        roster.passivate(&name, roster.now(), 7);
        roster.passivate(&name, roster.now(), 7);
        assert_eq!((roster.metrics.uploads_open.get(), roster.metrics.uploads_passive.get()), (1, 1));
        roster.remove(&name);
        assert_eq!((roster.metrics.uploads_open.get(), roster.metrics.uploads_passive.get()), (0, 0));
    }
}
