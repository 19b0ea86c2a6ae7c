//! How the upload stands in the eyes of others: what is shown, what counts as written to, and how it leaves.

use super::*;

impl UploadActor {
    /// Shows to others where it stands. Whoever is answered finds it so.
    pub(super) fn show(&self) {
        let (Some(machine), Some(live)) = (&self.machine, self.registration.live()) else { return };
        let since_start = |at: Duration| self.started_at.saturating_add(millis(at));
        let state = match (machine.is_writing(), machine.is_committing()) {
            (_, true) => UploadState::Committing,
            (true, false) => UploadState::Writing,
            (false, false) => UploadState::Open,
        };
        let deadline = machine.deadline().map(|(at, policy)| (since_start(at), policy));
        live.show(self.roster.now(), machine.offset(), since_start(machine.last_byte()), state, deadline);
    }

    /// Stops to count as written to, where nobody writes and nobody but those whom `actions` answer wants to: whoever hears
    /// that a body has ended finds the room of it.
    pub(super) fn make_room(&mut self, actions: &[Action]) {
        let is_writing = self.machine.as_ref().is_some_and(Machine::is_writing);
        let is_answered =
            |ticket: &Ticket| actions.iter().any(|action| matches!(action, Action::Answer(to, _) if to == ticket));
        // One that came before the machine waits here, and not yet there.
        let is_claimed =
            self.waiting.iter().any(|(ticket, waiter)| matches!(waiter, Waiter::Claim(..)) && !is_answered(ticket));
        if !is_writing && !is_claimed {
            self.stop_counting_as_writing();
        }
    }

    pub(super) fn after_step(&mut self) {
        let Some(machine) = &self.machine else { return };
        let is_writing = machine.is_writing();
        let waits_for_bytes = !machine.has_queued_work();
        let is_expiring = machine.is_expiring();
        let look_at = machine.next_look().map(|(at, _)| self.started_at.saturating_add(millis(at)));
        // Only an earlier time than the one it knows is news to the roster.
        if let Some(at) = look_at.filter(|at| self.look_at.is_none_or(|known| *at < known)) {
            self.look_at = Some(at);
            self.roster.look_by(&self.name, at);
        }
        self.make_room(&[]);
        if !is_expiring {
            self.lookers.clear();
        }
        // An upload that nobody writes to holds no descriptor, and one that waits for bytes only while there are enough.
        if let Some(parts) = self.parts.as_mut()
            && (!is_writing || waits_for_bytes && self.store.files.are_scarce())
        {
            parts.close();
        }
    }

    /// Counts as written to, from the claim on.
    pub(super) fn count_as_writing(&mut self, client: Option<IpAddr>) -> Result<(), UploadError> {
        if self.counted_as_writing.is_none() {
            self.roster.start_writing(&self.name, client)?;
            self.counted_as_writing = Some(client);
        }
        Ok(())
    }

    /// Whoever takes over counts from then on, and not the one before.
    pub(super) fn count_for(&mut self, client: Option<IpAddr>) {
        if let Some(counted) = self.counted_as_writing.filter(|counted| *counted != client) {
            self.roster.hand_over_writing(&self.name, counted, client);
            self.counted_as_writing = Some(client);
        }
    }

    pub(super) fn stop_counting_as_writing(&mut self) {
        if let Some(client) = self.counted_as_writing.take() {
            self.roster.stop_writing(&self.name, client);
        }
    }

    pub(super) fn end(&mut self, stop: Stop, ctx: &mut Context<Self>) {
        let offset = self.machine.as_ref().map_or(0, Machine::offset);
        let progress_at = self.machine.as_ref().map_or(Duration::ZERO, Machine::last_byte);
        let progress_at = self.started_at.saturating_add(millis(progress_at));
        match stop {
            Stop::Ended(reason) => {
                self.roster.remove(&self.name);
                self.count_end(reason, offset);
            }
            Stop::Expired(policy) => {
                self.leave_expired(policy, offset, progress_at);
                self.count_end(EndReason::Expired, offset);
            }
            Stop::Drained => self.roster.passivate(&self.name, progress_at, offset),
            Stop::Passive => {
                self.roster.passivate(&self.name, progress_at, offset);
                self.store.metrics.upload_passivations.inc();
            }
        }
        self.registration.give_up();
        self.stop_counting_as_writing();
        self.lookers.clear();
        if let Some(wake) = self.wake.take() {
            ctx.cancel_future(wake);
        }
        self.parts = None;
        // Questions may be on their way still, and are answered. When nobody has its address any more, the actor goes.
    }

    pub(super) fn leave_expired(&mut self, policy: Policy, offset: u64, progress_at: u64) {
        self.store.metrics.uploads_expired.get_or_create(&PolicyLabels { policy: policy.as_str() }).inc();
        let idle_millis = self.roster.now().saturating_sub(progress_at);
        log::info!(
            repository:% = self.name.repository, upload:% = self.name.id, policy = policy.as_str(), bytes = offset,
            idle_millis, client:? = self.client;
            "upload expired"
        );
        match self.parts.as_ref().and_then(|parts| parts.record.expired) {
            None => self.roster.remove(&self.name),
            Some(expired) => {
                let found = FoundUpload {
                    client: self.client,
                    started_at: from_millis(self.started_at),
                    progress_at: from_millis(progress_at),
                    offset,
                };
                self.roster.keep(&self.name, found, Kept { policy, at: to_millis(expired.at), bytes: offset });
            }
        }
    }

    pub(super) fn count_end(&self, reason: EndReason, offset: u64) {
        self.store.metrics.uploads_ended.get_or_create(&EndLabels { reason: reason.as_str() }).inc();
        log::info!(
            repository:% = self.name.repository, upload:% = self.name.id, reason = reason.as_str(), bytes = offset;
            "upload ended"
        );
    }
}
