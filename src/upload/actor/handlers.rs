//! What each message becomes: an event for the machine, and a ticket for its answer.

use super::*;

impl UploadActor {
    /// Keeps the bytes of a batch until the machine says what becomes of them.
    fn take_in(&mut self, batch: Batch) -> LastPiece {
        let len = batch.received.pieces.iter().map(|piece| piece.len() as u64).sum();
        let ticket = self.ticket_for(Waiter::Done(batch.reply));
        self.batches.insert(ticket, batch.received);
        LastPiece { ticket, offset: batch.offset, len }
    }
}

impl Handler<GetStatus> for UploadActor {
    type Result = ();

    fn handle(&mut self, message: GetStatus, ctx: &mut Self::Context) {
        if self.machine.is_none() && self.not_found.is_none() {
            self.early.push(Early::Status(message.reply));
            return;
        }
        self.answer_status(message.reply, ctx);
    }
}

impl Handler<Claim> for UploadActor {
    type Result = ();

    fn handle(&mut self, message: Claim, ctx: &mut Self::Context) {
        match (&self.machine, &self.not_found) {
            (None, None) => self.early.push(Early::Claim(message)),
            (None, Some(cause)) => drop(message.reply.send(Err(cause.clone()))),
            (Some(_), _) => self.claim(message, ctx),
        }
    }
}

impl Handler<Piece> for UploadActor {
    type Result = ();

    fn handle(&mut self, message: Piece, ctx: &mut Self::Context) {
        let LastPiece { ticket, offset, len } = self.take_in(message.batch);
        self.feed(Event::Piece { ticket, epoch: message.epoch, offset, len }, ctx);
    }
}

impl Handler<HeldUp> for UploadActor {
    type Result = ();

    fn handle(&mut self, message: HeldUp, ctx: &mut Self::Context) {
        self.feed(Event::HeldUp { epoch: message.epoch, is_held_up: message.is_held_up }, ctx);
    }
}

impl Handler<EndOfBody> for UploadActor {
    type Result = ();

    fn handle(&mut self, message: EndOfBody, ctx: &mut Self::Context) {
        let epoch = message.epoch;
        let ticket = self.ticket_for(Waiter::Number(message.reply));
        let event = match message.kind {
            End::Cut => Event::Cut { ticket, epoch },
            End::Finish { end } => Event::Finish { ticket, epoch, end },
            End::Commit { end, digest, last } => {
                let last = last.map(|batch| self.take_in(batch));
                Event::Commit { ticket, epoch, end, digest, last }
            }
        };
        self.feed(event, ctx);
    }
}

impl Handler<Join> for UploadActor {
    type Result = ();

    fn handle(&mut self, message: Join, ctx: &mut Self::Context) {
        let ticket = self.ticket_for(Waiter::Number(message.reply));
        self.feed(Event::Join { ticket, digest: message.digest }, ctx);
    }
}

impl Handler<Cancel> for UploadActor {
    type Result = ();

    fn handle(&mut self, message: Cancel, ctx: &mut Self::Context) {
        let ticket = self.ticket_for(Waiter::Done(message.reply));
        self.feed(Event::Cancel { ticket }, ctx);
    }
}

impl Handler<Drain> for UploadActor {
    type Result = ();

    fn handle(&mut self, message: Drain, ctx: &mut Self::Context) {
        let ticket = self.ticket_for(Waiter::Done(message.reply));
        self.feed(Event::Drain { ticket }, ctx);
    }
}

impl Handler<Expire> for UploadActor {
    type Result = ();

    fn handle(&mut self, message: Expire, ctx: &mut Self::Context) {
        let ticket = self.ticket_for(Waiter::Done(message.reply));
        self.feed(Event::Expire { ticket }, ctx);
    }
}

impl Handler<Look> for UploadActor {
    type Result = ();

    fn handle(&mut self, message: Look, ctx: &mut Self::Context) {
        match (&self.machine, &self.not_found) {
            (None, None) => self.early.push(Early::Look(message.done)),
            (None, Some(_)) => {}
            (Some(_), _) => self.look(message.done, ctx),
        }
    }
}
