use std::time::Duration;

use super::step::refuse;
use super::*;

impl Machine {
    pub(super) fn on_claim(&mut self, ticket: Ticket, claim: Claim, now: Duration, actions: &mut Vec<Action>) {
        match &self.phase {
            Phase::Ended(Ending::Committed { digest, .. }) if claim.digest.as_ref() == Some(digest) => {
                actions.push(Action::Answer(ticket, Answer::Following));
            }
            Phase::Committing { digest, size, .. } if claim.may_be_commit_of(digest, *size) => {
                actions.push(Action::Answer(ticket, Answer::Following));
            }
            // Whoever meets an expiry or a removal hears of it when it is through.
            Phase::Open | Phase::Committing { .. } | Phase::Expiring { .. } | Phase::Removing { .. } => {
                if self.waiting.len() >= self.rules.max_waiting {
                    return refuse(ticket, self.busy(), actions);
                }
                let deadline = now + self.rules.longest_wait();
                self.waiting.push_back(Waiting { ticket, claim, deadline });
            }
            Phase::Draining { .. } | Phase::NotRemoved { .. } | Phase::Ended(_) => {
                refuse(ticket, self.late_cause(), actions);
            }
        }
    }

    /// Lets those who wait to do what is now being done follow the commit.
    pub(super) fn follow_waiting(&mut self, digest: &Digest, size: u64, actions: &mut Vec<Action>) {
        let (following, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting: &Waiting| waiting.claim.may_be_commit_of(digest, size));
        self.waiting = waiting;
        let following: VecDeque<Waiting> = following;
        actions.extend(following.into_iter().map(|waiting| Action::Answer(waiting.ticket, Answer::Following)));
    }

    /// Grants, takes over, or refuses those whose time is over; says when to look again.
    pub(super) fn serve_claims(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Draining { .. } | Phase::NotRemoved { .. }) {
            let cause = self.late_cause();
            for waiting in std::mem::take(&mut self.waiting) {
                refuse(waiting.ticket, cause.clone(), actions);
            }
            return;
        }
        while !self.waiting.is_empty() {
            if self.running.is_none() && matches!(self.phase, Phase::Open) {
                if self.lease.is_none() && self.stale {
                    return self.run(Job::Reopen, Running::Reopen, actions);
                }
                if self.lease.is_none() {
                    self.grant_next(now, actions);
                    continue;
                }
                if self.is_silent(now) {
                    self.revoke(UploadError::Superseded, actions);
                    continue;
                }
            }
            return self.refuse_overdue(now, actions);
        }
    }

    fn grant_next(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let Some(Waiting { ticket, claim, .. }) = self.waiting.pop_front() else { return };
        let start = match claim.start {
            Start::Current => self.offset,
            Start::Exactly(start) if start == self.offset => start,
            Start::Replay(start) if start <= self.offset => start,
            Start::Exactly(_) | Start::Replay(_) => {
                return refuse(ticket, UploadError::RangeMismatch { offset: self.offset }, actions);
            }
        };
        let end = claim.length.map(|length| start.saturating_add(length));
        if let Some(limit_bytes) = self.rules.max_size.filter(|max_size| end.is_some_and(|end| end > *max_size)) {
            return refuse(ticket, UploadError::TooLarge { limit_bytes }, actions);
        }
        if std::mem::take(&mut self.is_interrupted) && start > 0 {
            actions.push(Action::Resumed(start));
        }
        self.last_epoch += 1;
        self.lease = Some(Lease {
            epoch: self.last_epoch,
            next: start,
            discard_on_cut: claim.discard_on_cut,
            last_progress: now,
            ready_since: Duration::ZERO,
            is_held_up: false,
            closing: false,
        });
        actions.push(Action::Answer(ticket, Answer::Granted { epoch: self.last_epoch, start }));
    }

    /// No byte came for `takeover_after` while nothing of the writer's was left to do.
    fn is_silent(&self, now: Duration) -> bool {
        self.queue.is_empty()
            && self
                .lease
                .as_ref()
                .is_some_and(|lease| lease.is_read() && now >= lease.last_progress + self.rules.takeover_after)
    }

    fn refuse_overdue(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let busy = self.busy();
        let committing = match &self.phase {
            Phase::Committing { digest, .. } => Some(digest.clone()),
            _ => None,
        };
        // Whoever brings the content that is being committed has the commit's answer, or his turn, when it ends.
        let may_be_overdue = |waiting: &Waiting| committing.is_none() || waiting.claim.digest != committing;
        self.waiting.retain(|waiting| {
            let is_overdue = waiting.deadline <= now && may_be_overdue(waiting);
            if is_overdue {
                refuse(waiting.ticket, busy.clone(), actions);
            }
            !is_overdue
        });
        let next = self.waiting.iter().filter(|waiting| may_be_overdue(waiting)).map(|waiting| waiting.deadline).min();
        let Some(mut wake_at) = next else { return };
        if let Some(lease) = self.lease.as_ref().filter(|lease| lease.is_read() && self.running.is_none()) {
            wake_at = wake_at.min(lease.last_progress + self.rules.takeover_after);
        }
        actions.push(Action::WakeAt(wake_at.max(now)));
    }
}

impl Claim {
    /// Whether it comes to a commit of `size` bytes as this digest, as far as it says: its body, from where it begins, ends
    /// where the upload does. A body that is not empty may complete what a commit without it lacks.
    fn may_be_commit_of(&self, digest: &Digest, size: u64) -> bool {
        let start = match self.start {
            Start::Current => size,
            Start::Exactly(start) | Start::Replay(start) => start,
        };
        let ends_there = self.length.is_none_or(|length| start.checked_add(length) == Some(size));
        self.digest.as_ref() == Some(digest) && ends_there
    }
}
