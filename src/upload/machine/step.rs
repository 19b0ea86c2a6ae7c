use std::time::Duration;

use super::*;

impl Machine {
    /// Takes one event at the time `now` (since any fixed origin) and says what to do.
    pub fn step(&mut self, event: Event, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Claim { ticket, claim } => self.on_claim(ticket, claim, now, &mut actions),
            Event::Piece { ticket, epoch, offset, len } => {
                self.on_piece(Work::Piece { ticket, offset, len }, ticket, epoch, now, &mut actions)
            }
            Event::Finish { ticket, epoch, end } => {
                self.on_end_of_body(Work::Finish { ticket }, ticket, epoch, Some(end), &mut actions)
            }
            Event::Cut { ticket, epoch } => {
                self.on_end_of_body(Work::Cut { ticket }, ticket, epoch, None, &mut actions)
            }
            Event::Commit { ticket, epoch, end, digest } => {
                self.on_end_of_body(Work::Commit { ticket, digest }, ticket, epoch, Some(end), &mut actions)
            }
            Event::Join { ticket, digest } => self.on_join(ticket, &digest, &mut actions),
            Event::Cancel { ticket } => self.on_ender(Ender::Cancel(ticket), &mut actions),
            Event::Drain { ticket } => self.on_ender(Ender::Drain(ticket), &mut actions),
            Event::Done(outcome) => self.on_done(outcome, now, &mut actions),
            Event::Tick => {}
        }
        self.go_on(now, &mut actions);
        actions
    }

    fn on_piece(&mut self, work: Work, ticket: Ticket, epoch: u64, now: Duration, actions: &mut Vec<Action>) {
        let Work::Piece { offset, len, .. } = work else { return };
        let Some(lease) = self.lease.as_mut().filter(|lease| lease.epoch == epoch && !lease.closing) else {
            return refuse(ticket, self.late_cause(), actions);
        };
        // A send that was dropped half-way makes a hole in the sequence; what comes after it must not be taken.
        if offset != lease.next {
            return refuse(ticket, UploadError::Gap, actions);
        }
        lease.next += len;
        lease.last_progress = now;
        self.queue.push_back(work);
    }

    fn on_end_of_body(&mut self, work: Work, ticket: Ticket, epoch: u64, end: Option<u64>, actions: &mut Vec<Action>) {
        let Some(lease) = self.lease.as_mut().filter(|lease| lease.epoch == epoch && !lease.closing) else {
            return refuse(ticket, self.late_cause(), actions);
        };
        if end.is_some_and(|end| end != lease.next) {
            self.revoke(UploadError::Gap, actions);
            return refuse(ticket, UploadError::Gap, actions);
        }
        lease.closing = true;
        self.queue.push_back(work);
    }

    fn on_join(&mut self, ticket: Ticket, digest: &Digest, actions: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Committing { digest: running, tickets, .. } if running == digest => tickets.push(ticket),
            Phase::Ended(Ending::Committed { digest: published, size }) if published == digest => {
                actions.push(Action::Answer(ticket, Answer::Committed(*size)));
            }
            Phase::Ended(_) | Phase::Removing { .. } | Phase::NotRemoved { .. } => {
                refuse(ticket, self.late_cause(), actions);
            }
            // The commit that it followed has failed; the client comes again and finds the upload open.
            _ => refuse(ticket, self.busy(), actions),
        }
    }

    fn on_ender(&mut self, ender: Ender, actions: &mut Vec<Action>) {
        match (&mut self.phase, ender) {
            (Phase::Committing { .. }, _) => self.enders.push(ender),
            (Phase::Removing { answers, .. }, Ender::Cancel(ticket) | Ender::Drain(ticket)) => {
                answers.push((ticket, Answer::Removed));
            }
            (Phase::NotRemoved { reason, .. }, Ender::Cancel(ticket)) => {
                self.phase = Phase::Removing { reason: *reason, answers: vec![(ticket, Answer::Removed)] };
            }
            (Phase::NotRemoved { .. }, Ender::Drain(ticket)) => self.end(Ending::Drained, None, vec![ticket], actions),
            (Phase::Open, Ender::Cancel(ticket)) => {
                self.revoke(UploadError::Unknown, actions);
                self.phase = Phase::Removing { reason: EndReason::Cancelled, answers: vec![(ticket, Answer::Removed)] };
            }
            (Phase::Open, Ender::Drain(ticket)) => {
                self.revoke(UploadError::Draining, actions);
                self.phase = Phase::Draining { tickets: vec![ticket], is_checkpointed: false };
            }
            (Phase::Draining { tickets, .. }, Ender::Drain(ticket)) => tickets.push(ticket),
            (Phase::Draining { .. }, Ender::Cancel(ticket)) => refuse(ticket, UploadError::Draining, actions),
            (Phase::Ended(_), Ender::Cancel(ticket)) => refuse(ticket, self.late_cause(), actions),
            (Phase::Ended(_), Ender::Drain(ticket)) => actions.push(Action::Answer(ticket, Answer::Removed)),
        }
    }

    fn on_done(&mut self, outcome: Outcome, now: Duration, actions: &mut Vec<Action>) {
        let Some(running) = self.running.take() else { return };
        match (running, outcome) {
            (Running::Write { ticket, epoch }, Outcome::Written(result)) => {
                self.on_written(ticket, epoch, result, now, actions);
            }
            (Running::Checkpoint { ticket, epoch }, Outcome::Checkpointed(result)) => {
                self.on_checkpointed(ticket, epoch, result, actions);
            }
            (Running::Commit, Outcome::Committed(result)) => self.on_committed(result, actions),
            (Running::Remove, Outcome::Removed(result)) => self.on_removed(result, actions),
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
                    lease.last_progress = now;
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

    fn on_checkpointed(
        &mut self,
        ticket: Option<Ticket>,
        epoch: Option<u64>,
        result: Result<(), UploadError>,
        actions: &mut Vec<Action>,
    ) {
        let answer = match result {
            Ok(()) => Answer::Stands(self.offset),
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
            self.end(Ending::Drained, None, tickets, actions);
        }
    }

    fn on_committed(&mut self, result: Result<u64, UploadError>, actions: &mut Vec<Action>) {
        let Phase::Committing { digest, tickets, discard } = std::mem::replace(&mut self.phase, Phase::Open) else {
            return;
        };
        self.lease = None;
        match result {
            Ok(size) => {
                for ticket in tickets {
                    actions.push(Action::Answer(ticket, Answer::Committed(size)));
                }
                self.end(Ending::Committed { digest, size }, Some(EndReason::Committed), Vec::new(), actions);
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

    fn on_removed(&mut self, result: Result<(), UploadError>, actions: &mut Vec<Action>) {
        let Phase::Removing { reason, answers } = std::mem::replace(&mut self.phase, Phase::Open) else { return };
        match result {
            Ok(()) => {
                actions.extend(answers.into_iter().map(|(ticket, answer)| Action::Answer(ticket, answer)));
                self.end(Ending::Gone, Some(reason), Vec::new(), actions);
            }
            Err(cause) => {
                for (ticket, answer) in answers {
                    let answer = match answer {
                        Answer::Removed => Answer::Refused(cause.clone()),
                        other => other,
                    };
                    actions.push(Action::Answer(ticket, answer));
                }
                self.phase = Phase::NotRemoved { reason, cause };
            }
        }
    }

    fn on_reopened(&mut self, result: Result<u64, UploadError>, actions: &mut Vec<Action>) {
        match result {
            Ok(offset) => {
                self.offset = offset;
                self.stale = false;
            }
            Err(cause) => {
                for waiting in std::mem::take(&mut self.waiting) {
                    refuse(waiting.ticket, cause.clone(), actions);
                }
                // A cancel or a drain that came meanwhile goes on.
                if matches!(cause, UploadError::Unknown) && matches!(self.phase, Phase::Open) {
                    self.end(Ending::Gone, Some(EndReason::Failed), Vec::new(), actions);
                }
            }
        }
    }

    /// After an event: starts the next job, lets the next claim in, or says when to look again.
    fn go_on(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.running.is_none() {
            self.start_next_job(actions);
        }
        self.serve_claims(now, actions);
    }

    fn start_next_job(&mut self, actions: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Removing { .. } => return self.run(Job::Remove, Running::Remove, actions),
            Phase::Draining { tickets, is_checkpointed } => {
                if !self.stale && !*is_checkpointed {
                    *is_checkpointed = true;
                    return self.run(Job::Checkpoint, Running::Checkpoint { ticket: None, epoch: None }, actions);
                }
                let tickets = std::mem::take(tickets);
                return self.end(Ending::Drained, None, tickets, actions);
            }
            Phase::Open => {}
            Phase::Committing { .. } | Phase::NotRemoved { .. } | Phase::Ended(_) => return,
        }
        let Some(lease) = &self.lease else { return };
        let (epoch, discard) = (lease.epoch, lease.discard_on_cut);
        match self.queue.pop_front() {
            None => {}
            Some(Work::Piece { ticket, offset, len }) => {
                let overlap = self.offset.saturating_sub(offset).min(len);
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
                self.phase = Phase::Committing { digest: digest.clone(), tickets: vec![ticket], discard };
                self.follow_waiting(&digest, actions);
                self.run(Job::Commit(digest), Running::Commit, actions);
            }
        }
    }

    pub(super) fn run(&mut self, job: Job, running: Running, actions: &mut Vec<Action>) {
        debug_assert!(self.running.is_none(), "one job at a time");
        self.running = Some(running);
        actions.push(Action::Run(job));
    }

    /// Takes the right to write away from whoever has it; what it has sent and is not yet begun is refused.
    pub(super) fn revoke(&mut self, cause: UploadError, actions: &mut Vec<Action>) {
        let Some(lease) = self.lease.take() else { return };
        for work in std::mem::take(&mut self.queue) {
            let (Work::Piece { ticket, .. }
            | Work::Finish { ticket }
            | Work::Cut { ticket }
            | Work::Commit { ticket, .. }) = work;
            refuse(ticket, cause.clone(), actions);
        }
        actions.push(Action::Revoke { epoch: lease.epoch, cause });
    }

    fn end(&mut self, ending: Ending, reason: Option<EndReason>, drained: Vec<Ticket>, actions: &mut Vec<Action>) {
        self.phase = Phase::Ended(ending);
        let cause = self.late_cause();
        self.revoke(cause.clone(), actions);
        for waiting in std::mem::take(&mut self.waiting) {
            refuse(waiting.ticket, cause.clone(), actions);
        }
        actions.extend(drained.into_iter().map(|ticket| Action::Answer(ticket, Answer::Removed)));
        actions.push(Action::Stop(reason));
    }

    /// What a request is told that comes too late.
    pub(super) fn late_cause(&self) -> UploadError {
        match &self.phase {
            Phase::Ended(Ending::Drained) | Phase::Draining { .. } => UploadError::Draining,
            // A part of it may be there still: that is a fault, and no absence.
            Phase::NotRemoved { cause, .. } => cause.clone(),
            Phase::Ended(_) | Phase::Removing { .. } => UploadError::Unknown,
            Phase::Open | Phase::Committing { .. } => UploadError::Superseded,
        }
    }

    pub(super) fn busy(&self) -> UploadError {
        UploadError::Busy { retry_after: self.limits.takeover_after.max(Duration::from_secs(1)) }
    }
}

pub(super) fn refuse(ticket: Ticket, cause: UploadError, actions: &mut Vec<Action>) {
    actions.push(Action::Answer(ticket, Answer::Refused(cause)));
}
