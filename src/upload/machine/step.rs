//! Requests, as they come.

use std::time::Duration;

use super::*;

impl Machine {
    /// Takes one event at the time `now` (since the upload was started) and says what to do.
    pub fn step(&mut self, event: Event, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        if !matches!(event, Event::Done(_) | Event::Tick | Event::Look) {
            self.last_request = now;
        }
        match event {
            Event::Claim { ticket, claim } => self.on_claim(ticket, claim, now, &mut actions),
            Event::Piece { ticket, epoch, offset, len } => {
                self.on_piece(Work::Piece { ticket, offset, len }, ticket, epoch, now, &mut actions)
            }
            Event::HeldUp { epoch, is_held_up } => self.on_held_up(epoch, is_held_up, now),
            Event::Finish { ticket, epoch, end } => {
                self.on_end_of_body(Work::Finish { ticket }, ticket, epoch, Some(end), &mut actions)
            }
            Event::Cut { ticket, epoch } => {
                self.is_interrupted = true;
                self.on_end_of_body(Work::Cut { ticket }, ticket, epoch, None, &mut actions)
            }
            Event::Commit { ticket, epoch, end, digest, last } => {
                if let Some(LastPiece { ticket, offset, len }) = last {
                    self.on_piece(Work::Piece { ticket, offset, len }, ticket, epoch, now, &mut actions);
                }
                self.on_end_of_body(Work::Commit { ticket, digest }, ticket, epoch, Some(end), &mut actions)
            }
            Event::Join { ticket, digest } => self.on_join(ticket, &digest, &mut actions),
            Event::Status { ticket } => self.on_status(ticket, &mut actions),
            Event::Cancel { ticket } => self.on_ender(Ender::Cancel(ticket), &mut actions),
            Event::Expire { ticket } => self.on_ender(Ender::Expire(Policy::Operator, Some(ticket)), &mut actions),
            Event::Drain { ticket } => self.on_ender(Ender::Drain(ticket), &mut actions),
            Event::Look => self.on_look(now, &mut actions),
            Event::Done(outcome) => self.on_done(outcome, now, &mut actions),
            Event::Tick => {}
        }
        self.go_on(now, &mut actions);
        self.note_pace(now);
        actions
    }

    /// A request that is answered without a step came.
    pub fn note_request(&mut self, now: Duration) {
        self.last_request = now;
    }

    fn on_piece(&mut self, work: Work, ticket: Ticket, epoch: u64, now: Duration, actions: &mut Vec<Action>) {
        let Work::Piece { offset, len, .. } = work else { return };
        // What is being removed expires no more.
        let max_size = self.rules.max_size.filter(|_| !self.is_removing());
        let is_too_large = max_size.is_some_and(|max_size| offset + len > max_size);
        let Some(lease) = self.lease.as_mut().filter(|lease| lease.epoch == epoch && !lease.closing) else {
            return refuse(ticket, self.late_cause(), actions);
        };
        // A send that was dropped half-way makes a hole in the sequence; what comes after it must not be taken.
        if offset != lease.next {
            return refuse(ticket, UploadError::Gap, actions);
        }
        if is_too_large {
            refuse(ticket, UploadError::Struck { policy: Policy::MaxSize }, actions);
            return self.on_ender(Ender::Expire(Policy::MaxSize, None), actions);
        }
        self.last_byte = now;
        self.pace.add(len);
        lease.next += len;
        lease.last_progress = now;
        lease.is_held_up = false;
        self.queue.push_back(work);
    }

    fn on_held_up(&mut self, epoch: u64, is_held_up: bool, now: Duration) {
        if let Some(lease) = self.lease.as_mut().filter(|lease| lease.epoch == epoch) {
            if lease.is_held_up && !is_held_up {
                // What nobody read of it was no silence.
                (lease.last_progress, lease.ready_since) = (now, now);
            }
            lease.is_held_up = is_held_up;
        }
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
            Phase::Removing { answers, .. } => answers.push((ticket, Answer::Refused(UploadError::Unknown))),
            Phase::Ended(_) | Phase::Expiring { .. } | Phase::NotRemoved { .. } => {
                refuse(ticket, self.late_cause(), actions);
            }
            // The commit that it followed has failed; the client comes again and finds the upload open.
            _ => refuse(ticket, self.busy(), actions),
        }
    }

    fn on_status(&mut self, ticket: Ticket, actions: &mut Vec<Action>) {
        match self.live_offset() {
            _ if self.is_removing() => self.askers.push(ticket),
            Err(cause) => refuse(ticket, cause, actions),
            Ok(offset) if !self.must_look_before_telling() => {
                actions.push(Action::Answer(ticket, Answer::Stands(offset)));
            }
            Ok(_) if self.can_look() => self.askers.push(ticket),
            Ok(_) if matches!(self.phase, Phase::Expiring { .. }) => refuse(ticket, self.busy(), actions),
            Ok(_) => refuse(ticket, self.late_cause(), actions),
        }
    }

    /// After an event: starts the next job, lets the next claim in, or says when to look again.
    fn go_on(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.refuse_late_askers(actions);
        if self.running.is_none() {
            self.start_next_job(actions);
        }
        self.serve_claims(now, actions);
    }

    fn refuse_late_askers(&mut self, actions: &mut Vec<Action>) {
        if self.askers.is_empty() || self.can_look() || self.is_removing() {
            return;
        }
        let cause = self.late_cause();
        for ticket in std::mem::take(&mut self.askers) {
            refuse(ticket, cause.clone(), actions);
        }
    }
}

pub(super) fn refuse(ticket: Ticket, cause: UploadError, actions: &mut Vec<Action>) {
    actions.push(Action::Answer(ticket, Answer::Refused(cause)));
}
