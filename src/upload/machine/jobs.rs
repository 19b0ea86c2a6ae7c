//! The jobs: which comes next, and what follows from how one ended.

use std::time::Duration;

use super::step::refuse;
use super::*;

/// A removal that failed is tried again after so long.
const REMOVAL_RETRY: Duration = Duration::from_secs(60);

impl Machine {
    pub(super) fn start_next_job(&mut self, actions: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Removing { .. } => return self.run(Job::Remove, Running::Remove, actions),
            Phase::Expiring { policy, .. } => {
                let policy = *policy;
                return self.run(Job::Expire(policy), Running::Expire, actions);
            }
            Phase::Draining { tickets, is_checkpointed } => {
                if !self.stale && !*is_checkpointed {
                    *is_checkpointed = true;
                    return self.run(Job::Rest, Running::Checkpoint { ticket: None, epoch: None }, actions);
                }
                let tickets = std::mem::take(tickets);
                return self.end(Ending::Drained, Stop::Drained, tickets, actions);
            }
            Phase::Open => {}
            Phase::Committing { .. } | Phase::NotRemoved { .. } | Phase::Ended(_) => return,
        }
        if !self.askers.is_empty() {
            return self.look_for_askers(actions);
        }
        let Some(lease) = &self.lease else { return };
        let (epoch, discard) = (lease.epoch, lease.discard_on_cut);
        let is_overdue = self.offset.saturating_sub(self.checkpointed) >= self.rules.checkpoint_every;
        if is_overdue && matches!(self.queue.front(), Some(Work::Piece { .. })) {
            return self.run(Job::MidCheckpoint, Running::MidCheckpoint, actions);
        }
        match self.queue.pop_front() {
            None => {}
            Some(Work::Piece { ticket, offset, len }) => {
                let overlap = self.offset.saturating_sub(offset).min(len);
                // Of a larger body the last piece gives its memory back before the commit, which may take long.
                let may_be_whole = offset == 0 && self.offset == 0;
                if may_be_whole && let Some((last, digest)) = self.commit_that_follows() {
                    self.begin_commit(last, &digest, len, discard, actions);
                    let running = Running::WriteAndCommit { ticket, epoch };
                    return self.run(Job::WriteAndCommit { ticket, offset, overlap, digest }, running, actions);
                }
                self.run(Job::Write { ticket, offset, overlap }, Running::Write { ticket, epoch }, actions);
            }
            Some(Work::Cut { ticket }) if discard => {
                self.lease = None;
                let answers = vec![(ticket, Answer::Refused(UploadError::Unknown))];
                self.phase = Phase::Removing { reason: EndReason::Failed, answers };
                self.run(Job::Remove, Running::Remove, actions);
            }
            Some(Work::Finish { ticket } | Work::Cut { ticket }) => {
                let running = Running::Checkpoint { ticket: Some(ticket), epoch: Some(epoch) };
                self.run(Job::Checkpoint, running, actions);
            }
            Some(Work::Commit { ticket, digest }) => {
                self.begin_commit(ticket, &digest, self.offset, discard, actions);
                self.run(Job::Commit(digest), Running::Commit, actions);
            }
        }
    }

    /// The commit that is asked for right behind the piece that was just taken off the queue.
    fn commit_that_follows(&mut self) -> Option<(Ticket, Digest)> {
        match self.queue.pop_front()? {
            Work::Commit { ticket, digest } => Some((ticket, digest)),
            other => {
                self.queue.push_front(other);
                None
            }
        }
    }

    fn begin_commit(&mut self, ticket: Ticket, digest: &Digest, size: u64, discard: bool, actions: &mut Vec<Action>) {
        self.phase = Phase::Committing { digest: digest.clone(), size, tickets: vec![ticket], discard };
        self.follow_waiting(digest, size, actions);
    }

    /// Makes sure of what those who ask are to be told.
    fn look_for_askers(&mut self, actions: &mut Vec<Action>) {
        if self.stale && self.lease.is_none() {
            return self.run(Job::Reopen, Running::Reopen, actions);
        }
        if self.rules.sync_offsets && self.synced < self.offset && !self.stale {
            return self.run(Job::Checkpoint, Running::ForAskers, actions);
        }
        let offset = self.offset;
        for ticket in std::mem::take(&mut self.askers) {
            actions.push(Action::Answer(ticket, Answer::Stands(offset)));
        }
        self.start_next_job(actions);
    }

    pub(super) fn run(&mut self, job: Job, running: Running, actions: &mut Vec<Action>) {
        debug_assert!(self.running.is_none(), "one job at a time");
        self.running = Some(running);
        actions.push(Action::Run(job));
    }

    pub(super) fn on_done(&mut self, outcome: Outcome, now: Duration, actions: &mut Vec<Action>) {
        let Some(running) = self.running.take() else { return };
        match (running, outcome) {
            (Running::Write { ticket, epoch }, Outcome::Written(result)) => {
                self.on_written(ticket, epoch, result, now, actions);
            }
            (Running::WriteAndCommit { ticket, epoch }, Outcome::WrittenAndCommitted(result)) => {
                self.on_written_and_committed(ticket, epoch, result, now, actions);
            }
            (Running::Checkpoint { ticket, epoch }, Outcome::Checkpointed(result)) => {
                self.on_checkpointed(ticket, epoch, result, actions);
            }
            (Running::MidCheckpoint, Outcome::Checkpointed(result)) => self.on_mid_checkpointed(result, now, actions),
            (Running::ForAskers, Outcome::Checkpointed(result)) => {
                self.on_checkpointed_for_askers(result, now, actions)
            }
            (Running::Rest, Outcome::Checkpointed(result)) => self.on_rested(result, actions),
            (Running::Expire, Outcome::Expired(result)) => self.on_expired(result, now, actions),
            (Running::Commit, Outcome::Committed(result)) => self.on_committed(result, actions),
            (Running::Remove, Outcome::Removed(result)) => self.on_removed(result, now, actions),
            (Running::Reopen, Outcome::Reopened(result)) => self.on_reopened(result, actions),
            (running, outcome) => {
                debug_assert!(false, "job {running:?} ended as {outcome:?}");
            }
        }
    }

    fn on_written(
        &mut self,
        ticket: Ticket,
        epoch: u64,
        result: Result<u64, UploadError>,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        match result {
            Ok(offset) => {
                self.offset = offset;
                if let Some(lease) = self.lease.as_mut().filter(|lease| lease.epoch == epoch) {
                    (lease.last_progress, lease.ready_since) = (now, now);
                }
                actions.push(Action::Answer(ticket, Answer::Accepted));
            }
            Err(cause) => {
                // What differs was found before anything was written; after a fault nobody knows what was.
                self.stale |= !matches!(cause, UploadError::RangeMismatch { .. });
                let discard = self.lease.as_ref().is_some_and(|lease| lease.epoch == epoch && lease.discard_on_cut);
                if self.lease.as_ref().is_some_and(|lease| lease.epoch == epoch) {
                    self.revoke(cause.clone(), actions);
                }
                if discard && matches!(self.phase, Phase::Open) {
                    let answers = vec![(ticket, Answer::Refused(cause))];
                    self.phase = Phase::Removing { reason: EndReason::Failed, answers };
                    return;
                }
                refuse(ticket, cause, actions);
            }
        }
    }

    /// The writer goes on, unless the store is in a state that nobody knows.
    fn on_mid_checkpointed(&mut self, result: Result<(), UploadError>, now: Duration, actions: &mut Vec<Action>) {
        if let Some(lease) = self.lease.as_mut() {
            (lease.last_progress, lease.ready_since) = (now, now);
        }
        match result {
            Ok(()) => self.checkpointed = self.offset,
            Err(cause) => self.lose_track(cause, actions),
        }
    }

    fn on_written_and_committed(
        &mut self,
        ticket: Ticket,
        epoch: u64,
        result: Result<(u64, Result<u64, UploadError>), UploadError>,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        match result {
            Ok((offset, committed)) => {
                self.on_written(ticket, epoch, Ok(offset), now, actions);
                self.on_committed(committed, actions);
            }
            // The commit was not begun: what followed it, and what waits for it to end, goes on as after a failed write.
            Err(cause) => {
                if let Phase::Committing { tickets, .. } = std::mem::replace(&mut self.phase, Phase::Open) {
                    for ticket in tickets {
                        refuse(ticket, cause.clone(), actions);
                    }
                }
                self.on_written(ticket, epoch, Err(cause), now, actions);
                for ender in std::mem::take(&mut self.enders) {
                    self.on_ender(ender, actions);
                }
            }
        }
    }

    fn on_checkpointed_for_askers(
        &mut self,
        result: Result<(), UploadError>,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        if let Some(lease) = self.lease.as_mut() {
            (lease.last_progress, lease.ready_since) = (now, now);
        }
        match result {
            Ok(()) => self.note_checkpoint(),
            Err(cause) => {
                for ticket in std::mem::take(&mut self.askers) {
                    refuse(ticket, cause.clone(), actions);
                }
                self.lose_track(cause, actions);
            }
        }
    }

    /// Nobody knows what the store holds: whoever writes has to come again.
    fn lose_track(&mut self, cause: UploadError, actions: &mut Vec<Action>) {
        self.stale = true;
        let is_discarded = self.is_discarded();
        self.revoke(cause, actions);
        if is_discarded && matches!(self.phase, Phase::Open) {
            self.phase = Phase::Removing { reason: EndReason::Failed, answers: Vec::new() };
        }
    }

    fn note_checkpoint(&mut self) {
        self.checkpointed = self.offset;
        if self.rules.sync_offsets {
            self.synced = self.offset;
        }
    }

    /// Whoever came meanwhile keeps the upload in memory.
    fn on_rested(&mut self, result: Result<(), UploadError>, actions: &mut Vec<Action>) {
        match result {
            Ok(()) => self.note_checkpoint(),
            Err(_) => self.stale = true,
        }
        let is_wanted = !self.waiting.is_empty() || !self.enders.is_empty() || !self.askers.is_empty();
        if matches!(self.phase, Phase::Open) && !is_wanted {
            self.end(Ending::Passive, Stop::Passive, Vec::new(), actions);
        }
    }

    fn on_expired(&mut self, result: Result<(), UploadError>, now: Duration, actions: &mut Vec<Action>) {
        let Phase::Expiring { policy, answers } = std::mem::replace(&mut self.phase, Phase::Open) else { return };
        match result {
            Ok(()) => {
                actions.extend(answers.into_iter().map(|(ticket, answer)| Action::Answer(ticket, answer)));
                self.end(Ending::Expired, Stop::Expired(policy), Vec::new(), actions);
            }
            Err(cause) => self.stay_unremoved(EndReason::Expired, answers, cause, now, actions),
        }
    }

    fn on_checkpointed(
        &mut self,
        ticket: Option<Ticket>,
        epoch: Option<u64>,
        result: Result<(), UploadError>,
        actions: &mut Vec<Action>,
    ) {
        let answer = match result {
            Ok(()) => {
                self.note_checkpoint();
                Answer::Stands(self.offset)
            }
            Err(cause) => {
                self.stale = true;
                Answer::Refused(cause)
            }
        };
        if self.lease.as_ref().is_some_and(|lease| Some(lease.epoch) == epoch) {
            self.lease = None;
        }
        if let Some(ticket) = ticket {
            actions.push(Action::Answer(ticket, answer));
            return;
        }
        // Nobody waits but those who drain: stop also when it failed, what is kept can be hashed again.
        if let Phase::Draining { tickets, .. } = &mut self.phase {
            let tickets = std::mem::take(tickets);
            self.end(Ending::Drained, Stop::Drained, tickets, actions);
        }
    }

    fn on_committed(&mut self, result: Result<u64, UploadError>, actions: &mut Vec<Action>) {
        let Phase::Committing { digest, tickets, discard, .. } = std::mem::replace(&mut self.phase, Phase::Open) else {
            return;
        };
        self.lease = None;
        match result {
            Ok(size) => {
                for ticket in tickets {
                    actions.push(Action::Answer(ticket, Answer::Committed(size)));
                }
                let stop = Stop::Ended(EndReason::Committed);
                self.end(Ending::Committed { digest, size }, stop, Vec::new(), actions);
                for ender in std::mem::take(&mut self.enders) {
                    self.on_ender(ender, actions);
                }
            }
            Err(cause) => {
                self.stale |= !matches!(cause, UploadError::DigestMismatch { .. });
                let answers: Vec<(Ticket, Answer)> =
                    tickets.into_iter().map(|ticket| (ticket, Answer::Refused(cause.clone()))).collect();
                if discard {
                    self.phase = Phase::Removing { reason: EndReason::Failed, answers };
                } else {
                    actions.extend(answers.into_iter().map(|(ticket, answer)| Action::Answer(ticket, answer)));
                }
                for ender in std::mem::take(&mut self.enders) {
                    self.on_ender(ender, actions);
                }
            }
        }
    }

    fn on_removed(&mut self, result: Result<(), UploadError>, now: Duration, actions: &mut Vec<Action>) {
        let Phase::Removing { reason, answers } = std::mem::replace(&mut self.phase, Phase::Open) else { return };
        match result {
            Ok(()) => {
                actions.extend(answers.into_iter().map(|(ticket, answer)| Action::Answer(ticket, answer)));
                self.end(Ending::Gone, Stop::Ended(reason), Vec::new(), actions);
            }
            Err(cause) => self.stay_unremoved(reason, answers, cause, now, actions),
        }
    }

    fn stay_unremoved(
        &mut self,
        reason: EndReason,
        answers: Vec<(Ticket, Answer)>,
        cause: UploadError,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        for (ticket, answer) in answers {
            let answer = match answer {
                Answer::Removed | Answer::Refused(UploadError::Unknown) => Answer::Refused(cause.clone()),
                other => other,
            };
            actions.push(Action::Answer(ticket, answer));
        }
        self.revoke(cause.clone(), actions);
        self.phase = Phase::NotRemoved { reason, cause, retry_at: now + REMOVAL_RETRY };
    }

    fn on_reopened(&mut self, result: Result<u64, UploadError>, actions: &mut Vec<Action>) {
        match result {
            Ok(offset) => {
                self.offset = offset;
                self.stale = false;
                self.synced = self.synced.min(offset);
                self.checkpointed = self.checkpointed.min(offset);
            }
            Err(cause) => {
                for ticket in std::mem::take(&mut self.askers) {
                    refuse(ticket, cause.clone(), actions);
                }
                for waiting in std::mem::take(&mut self.waiting) {
                    refuse(waiting.ticket, cause.clone(), actions);
                }
                // A cancel or a drain that came meanwhile goes on.
                if matches!(cause, UploadError::Unknown) && matches!(self.phase, Phase::Open) {
                    self.end(Ending::Gone, Stop::Ended(EndReason::Failed), Vec::new(), actions);
                }
            }
        }
    }
}
