//! How an actor comes to its upload, or finds that there is none.

use super::*;

impl UploadActor {
    pub(super) fn on_created(
        &mut self,
        result: Result<Parts, UploadError>,
        reply: Reply<(UploadId, Status)>,
        ctx: &mut Context<Self>,
    ) {
        match result {
            Ok(parts) => {
                self.parts = Some(parts);
                self.begin(machine::Found { now: self.now(), ..machine::Found::default() }, ctx);
                // The client left before it knew the id: nobody can ever use this upload.
                if reply.send(Ok((self.name.id, self.status(0)))).is_err() {
                    let ticket = self.ticket_for(Waiter::Done(oneshot::channel().0));
                    self.feed(Event::Cancel { ticket }, ctx);
                }
            }
            Err(cause) => {
                // What may have been written is of no use, since nobody knows the id.
                let (store, repository, id) = (self.store.clone(), self.name.repository.clone(), self.name.id);
                let clean_up = async move {
                    if let Err(error) = store.remove(&repository, id).await {
                        log::warn!(repository:%, upload:% = id, error:%; "upload that could not begin was not removed");
                    }
                };
                ctx.spawn(clean_up.into_actor(self).map(move |(), actor, _| {
                    actor.roster.remove(&actor.name);
                    actor.fail_early(cause.clone());
                    let _ = reply.send(Err(cause));
                }));
            }
        }
    }

    pub(super) fn on_found(&mut self, result: Result<Found, UploadError>, ctx: &mut Context<Self>) {
        match result {
            Ok(Found { parts, offset }) => {
                let record = &parts.record;
                let checkpointed = record.checkpoint.digest.offset();
                let synced = if record.checkpoint.synced { record.checkpoint.partial.offset } else { 0 };
                let found = FoundUpload {
                    client: record.client,
                    started_at: record.started_at,
                    progress_at: parts.progress_at,
                    offset,
                };
                self.client = record.client;
                self.started_at = to_millis(record.started_at).min(self.roster.now());
                let live = self.roster.revive(&self.name, found);
                let progress_at = live.view().progress_at;
                self.registration.set_live(live);
                self.store.metrics.upload_revivals.inc();
                self.parts = Some(parts);
                let last_byte = Duration::from_millis(progress_at.saturating_sub(self.started_at));
                self.begin(machine::Found { offset, checkpointed, synced, now: self.now(), last_byte }, ctx);
            }
            Err(cause) => {
                self.roster.not_found(&self.name, &cause);
                self.fail_early(cause);
            }
        }
    }

    pub(super) fn begin(&mut self, found: machine::Found, ctx: &mut Context<Self>) {
        self.machine = Some(Machine::new(self.roster.rules(&self.name.repository), found));
        self.show();
        self.after_step();
        for early in std::mem::take(&mut self.early) {
            match early {
                Early::Status(reply) => self.answer_status(reply, ctx),
                Early::Claim(claim) => self.claim(claim, ctx),
                Early::Look(done) => self.look(done, ctx),
                Early::Event(event) => self.feed(event, ctx),
            }
        }
    }

    /// There is no upload to act for: tells everybody, also those whose questions are still on their way. The actor
    /// goes when nobody has its address any more.
    pub(super) fn fail_early(&mut self, cause: UploadError) {
        self.registration.give_up();
        for early in std::mem::take(&mut self.early) {
            match early {
                Early::Status(reply) => drop(reply.send(Err(cause.clone()))),
                Early::Claim(claim) => drop(claim.reply.send(Err(cause.clone()))),
                Early::Look(_) | Early::Event(_) => {}
            }
        }
        self.refuse_waiting(&cause);
        self.stop_counting_as_writing();
        self.not_found = Some(cause);
    }

    pub(super) fn refuse_waiting(&mut self, cause: &UploadError) {
        for (_, waiter) in self.waiting.drain() {
            waiter.refuse(cause.clone());
        }
    }
}
