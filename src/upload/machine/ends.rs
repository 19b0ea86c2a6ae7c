//! Cancel, expiry, drain: what ends an upload, and what it tells those who come too late.

use super::step::refuse;
use super::*;

impl Machine {
    pub(super) fn on_ender(&mut self, ender: Ender, actions: &mut Vec<Action>) {
        match (&mut self.phase, ender) {
            (Phase::Committing { .. }, _) => self.enders.push(ender),
            (Phase::Open, Ender::Cancel(ticket)) => {
                // Whoever writes is told when it is gone; nothing of it is begun any more.
                self.phase = Phase::Removing { reason: EndReason::Cancelled, answers: vec![(ticket, Answer::Removed)] };
            }
            (Phase::Open, Ender::Drain(ticket)) => {
                let is_discarded = self.is_discarded();
                self.revoke(UploadError::Draining, actions);
                self.phase = match is_discarded {
                    true => {
                        let answers = vec![(ticket, Answer::Removed)];
                        Phase::Removing { reason: EndReason::Failed, answers }
                    }
                    false => Phase::Draining { tickets: vec![ticket], is_checkpointed: false },
                };
            }
            (Phase::Open, Ender::Expire(policy, ticket)) => self.begin_to_expire(policy, ticket, actions),
            // What is kept of an expired upload is not removed by its client: the next time it is asked, it is told so.
            (Phase::Expiring { answers, .. }, Ender::Cancel(ticket)) => {
                answers.push((ticket, Answer::Refused(UploadError::Passivated)));
            }
            (
                Phase::Removing { answers, .. } | Phase::Expiring { answers, .. },
                Ender::Cancel(ticket) | Ender::Expire(_, Some(ticket)) | Ender::Drain(ticket),
            ) => answers.push((ticket, Answer::Removed)),
            (Phase::NotRemoved { reason, .. }, Ender::Cancel(ticket) | Ender::Expire(_, Some(ticket))) => {
                self.phase = Phase::Removing { reason: *reason, answers: vec![(ticket, Answer::Removed)] };
            }
            (Phase::NotRemoved { .. }, Ender::Drain(ticket)) => {
                self.end(Ending::Drained, Stop::Drained, vec![ticket], actions);
            }
            (Phase::Draining { tickets, .. }, Ender::Drain(ticket)) => tickets.push(ticket),
            (Phase::Ended(_), Ender::Drain(ticket)) => actions.push(Action::Answer(ticket, Answer::Removed)),
            (Phase::Draining { .. } | Phase::Ended(_), Ender::Cancel(ticket) | Ender::Expire(_, Some(ticket))) => {
                refuse(ticket, self.late_cause(), actions);
            }
            // A policy that strikes what ends already has nothing to say.
            (_, Ender::Expire(_, None)) => {}
        }
    }

    /// Of a single POST nothing is kept: its session was told to nobody, and its data is the request's own.
    fn begin_to_expire(&mut self, policy: Policy, ticket: Option<Ticket>, actions: &mut Vec<Action>) {
        let is_discarded = self.is_discarded();
        self.revoke(UploadError::Struck { policy }, actions);
        let answers = ticket.map(|ticket| (ticket, Answer::Removed)).into_iter().collect();
        self.phase = match is_discarded {
            true => Phase::Removing { reason: EndReason::Expired, answers },
            false => Phase::Expiring { policy, answers },
        };
    }

    /// Whether it is a single POST's, of which nothing is kept when it does not come to its end.
    pub(super) fn is_discarded(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.discard_on_cut)
    }

    /// Takes the right to write away from whoever has it; what it has sent and is not yet begun is refused.
    pub(super) fn revoke(&mut self, cause: UploadError, actions: &mut Vec<Action>) {
        let Some(lease) = self.lease.take() else { return };
        self.is_interrupted = true;
        for work in std::mem::take(&mut self.queue) {
            let (Work::Piece { ticket, .. }
            | Work::Finish { ticket }
            | Work::Cut { ticket }
            | Work::Commit { ticket, .. }) = work;
            refuse(ticket, cause.clone(), actions);
        }
        actions.push(Action::Revoke { epoch: lease.epoch, cause });
    }

    pub(super) fn end(&mut self, ending: Ending, stop: Stop, drained: Vec<Ticket>, actions: &mut Vec<Action>) {
        self.phase = Phase::Ended(ending);
        let cause = self.late_cause();
        self.revoke(cause.clone(), actions);
        for waiting in std::mem::take(&mut self.waiting) {
            match &self.phase {
                Phase::Ended(Ending::Committed { digest, .. }) if waiting.claim.digest.as_ref() == Some(digest) => {
                    actions.push(Action::Answer(waiting.ticket, Answer::Following));
                }
                _ => refuse(waiting.ticket, cause.clone(), actions),
            }
        }
        for ticket in std::mem::take(&mut self.askers) {
            refuse(ticket, cause.clone(), actions);
        }
        actions.extend(drained.into_iter().map(|ticket| Action::Answer(ticket, Answer::Removed)));
        actions.push(Action::Stop(stop));
    }

    /// What a request is told that comes too late.
    pub(super) fn late_cause(&self) -> UploadError {
        match &self.phase {
            Phase::Ended(Ending::Drained) | Phase::Draining { .. } => UploadError::Draining,
            // Whoever asks again finds it in storage: as it is, or as it expired.
            Phase::Ended(Ending::Passive | Ending::Expired) => UploadError::Passivated,
            Phase::Expiring { policy, .. } => UploadError::Struck { policy: *policy },
            // A part of it may be there still: that is a fault, and no absence.
            Phase::NotRemoved { cause, .. } => cause.clone(),
            Phase::Ended(Ending::Gone | Ending::Committed { .. }) => UploadError::Unknown,
            // Only earlier writers come too late for a removal: all others wait for its end.
            Phase::Open | Phase::Committing { .. } | Phase::Removing { .. } => UploadError::Superseded,
        }
    }

    pub(super) fn busy(&self) -> UploadError {
        UploadError::Busy { retry_after: self.rules.takeover_after.max(Duration::from_secs(1)) }
    }
}
