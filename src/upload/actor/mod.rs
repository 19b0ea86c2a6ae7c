//! The actor of one upload. It owns the state machine, the data and whoever waits for an answer, and runs one storage
//! job at a time; everything it decides, the machine decides.

mod handlers;
mod job;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix::prelude::*;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::index::Registration;
use super::machine::{self, Action, Answer, EndReason, Event, Job, Limits, Machine, Outcome, Ticket};
use super::messages::{Cancel, Claim, Drain, End, EndOfBody, GetStatus, Grant, Join, Piece, Reply, Status};
use super::store::{Found, Parts, UploadStore};
use super::{MAILBOX_CAPACITY, UploadError};
use crate::clock::SharedClock;
use crate::oci::{Algorithm, RepositoryName, UploadId};
use crate::storage::Durability;
use crate::telemetry::EndLabels;

/// How an actor comes to its upload.
pub(super) enum Origin {
    /// It is new; the reply is given when it is written down.
    New { algorithm: Algorithm, reply: Reply<(UploadId, Status)> },
    /// It is looked for in storage.
    Stored,
}

/// What an actor is made of.
pub(super) struct Setup {
    pub repository: RepositoryName,
    pub id: UploadId,
    pub store: Arc<UploadStore>,
    pub clock: SharedClock,
    pub limits: Limits,
    pub registration: Registration,
}

pub(super) struct UploadActor {
    repository: RepositoryName,
    id: UploadId,
    store: Arc<UploadStore>,
    clock: SharedClock,
    born: Instant,
    limits: Limits,
    /// Its place in the index, given up when it stops.
    registration: Registration,
    started_at: SystemTime,
    origin: Option<Origin>,
    /// `None` until the upload is created or found.
    machine: Option<Machine>,
    /// Why there will never be one.
    not_found: Option<UploadError>,
    /// Messages that came before the machine.
    early: Vec<Early>,
    /// `None` while a job has them.
    parts: Option<Parts>,
    batches: HashMap<Ticket, Vec<Bytes>>,
    waiting: HashMap<Ticket, Waiter>,
    last_ticket: Ticket,
    /// Tells the holder of the right to write that it has ended.
    revoke: Option<(u64, oneshot::Sender<UploadError>)>,
    wake: Option<SpawnHandle>,
    /// The right to write that was granted to a request which has left meanwhile.
    abandoned: Option<u64>,
    counted_as_writing: bool,
}

/// Who waits for a ticket's answer.
enum Waiter {
    Claim(Reply<Grant>),
    Done(Reply<()>),
    Number(Reply<u64>),
}

enum Early {
    Status(Reply<Status>),
    Event(Event),
}

impl UploadActor {
    pub fn new(setup: Setup, origin: Origin) -> Self {
        UploadActor {
            repository: setup.repository,
            id: setup.id,
            store: setup.store,
            born: setup.clock.now(),
            started_at: setup.clock.now_utc(),
            clock: setup.clock,
            limits: setup.limits,
            registration: setup.registration,
            origin: Some(origin),
            machine: None,
            not_found: None,
            early: Vec::new(),
            parts: None,
            batches: HashMap::new(),
            waiting: HashMap::new(),
            last_ticket: 0,
            revoke: None,
            wake: None,
            abandoned: None,
            counted_as_writing: false,
        }
    }

    fn status(&self, offset: u64) -> Status {
        Status { offset, started_at: self.started_at }
    }

    fn ticket_for(&mut self, waiter: Waiter) -> Ticket {
        self.last_ticket += 1;
        self.waiting.insert(self.last_ticket, waiter);
        self.last_ticket
    }

    fn on_created(
        &mut self,
        result: Result<Parts, UploadError>,
        reply: Reply<(UploadId, Status)>,
        ctx: &mut Context<Self>,
    ) {
        match result {
            Ok(parts) => {
                self.parts = Some(parts);
                self.begin(Machine::new(self.limits, 0), ctx);
                // The client left before it knew the id: nobody can ever use this upload.
                if reply.send(Ok((self.id, self.status(0)))).is_err() {
                    let ticket = self.ticket_for(Waiter::Done(oneshot::channel().0));
                    self.feed(Event::Cancel { ticket }, ctx);
                }
            }
            Err(cause) => {
                // What may have been written is of no use, since nobody knows the id.
                let (store, repository, id) = (self.store.clone(), self.repository.clone(), self.id);
                let clean_up = async move {
                    if let Err(error) = store.remove(&repository, id).await {
                        log::warn!(repository:%, upload:% = id, error:%; "upload that could not begin was not removed");
                    }
                };
                ctx.spawn(clean_up.into_actor(self).map(move |(), actor, _| {
                    actor.fail_early(cause.clone());
                    let _ = reply.send(Err(cause));
                }));
            }
        }
    }

    fn on_found(&mut self, result: Result<Found, UploadError>, ctx: &mut Context<Self>) {
        match result {
            Ok(Found { parts, offset }) => {
                self.started_at = parts.record.started_at;
                self.parts = Some(parts);
                self.begin(Machine::new(self.limits, offset), ctx);
            }
            Err(cause) => self.fail_early(cause),
        }
    }

    fn begin(&mut self, machine: Machine, ctx: &mut Context<Self>) {
        self.machine = Some(machine);
        self.store.metrics.uploads_open.inc();
        for early in std::mem::take(&mut self.early) {
            match early {
                Early::Status(reply) => self.answer_status(reply),
                Early::Event(event) => self.feed(event, ctx),
            }
        }
    }

    /// There is no upload to act for: tells everybody, also those whose questions are still on their way. The actor
    /// goes when nobody has its address any more.
    fn fail_early(&mut self, cause: UploadError) {
        self.registration.give_up();
        for early in std::mem::take(&mut self.early) {
            if let Early::Status(reply) = early {
                let _ = reply.send(Err(cause.clone()));
            }
        }
        self.refuse_waiting(&cause);
        self.not_found = Some(cause);
    }

    fn refuse_waiting(&mut self, cause: &UploadError) {
        for (_, waiter) in self.waiting.drain() {
            waiter.refuse(cause.clone());
        }
    }

    fn answer_status(&self, reply: Reply<Status>) {
        let answer = match &self.machine {
            Some(machine) => machine.live_offset().map(|offset| self.status(offset)),
            None => Err(self.not_found.clone().unwrap_or(UploadError::Died)),
        };
        let _ = reply.send(answer);
    }

    /// Gives the machine an event and does what it says.
    fn feed(&mut self, event: Event, ctx: &mut Context<Self>) {
        let now = self.clock.now().saturating_duration_since(self.born);
        let Some(machine) = self.machine.as_mut() else {
            match self.not_found.clone() {
                Some(cause) => self.refuse_waiting(&cause),
                None => self.early.push(Early::Event(event)),
            }
            return;
        };
        let mut actions = machine.step(event, now);
        // Whoever is answered finds nothing of an upload that has ended: it leaves the index before.
        actions.sort_by_key(|action| !matches!(action, Action::Stop(_)));
        for action in actions {
            self.perform(action, now, ctx);
        }
        self.after_step();
        if let Some(epoch) = self.abandoned.take() {
            let ticket = self.ticket_for(Waiter::Number(oneshot::channel().0));
            self.feed(Event::Cut { ticket, epoch }, ctx);
        }
    }

    fn perform(&mut self, action: Action, now: Duration, ctx: &mut Context<Self>) {
        match action {
            Action::Answer(ticket, answer) => self.answer(ticket, answer),
            Action::Run(job) => self.run(job, ctx),
            Action::Revoke { epoch, cause } => {
                if let Some((_, revoke)) = self.revoke.take_if(|(held, _)| *held == epoch) {
                    let _ = revoke.send(cause);
                }
            }
            Action::WakeAt(at) => {
                if let Some(wake) = self.wake.take() {
                    ctx.cancel_future(wake);
                }
                let wait = at.saturating_sub(now);
                self.wake = Some(ctx.run_later(wait, |actor, ctx| {
                    actor.wake = None;
                    actor.feed(Event::Tick, ctx);
                }));
            }
            Action::Stop(reason) => self.end(reason, ctx),
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.batches.remove(&ticket);
        let Some(waiter) = self.waiting.remove(&ticket) else { return };
        match (waiter, answer) {
            (Waiter::Claim(reply), Answer::Granted { epoch, start }) => {
                let (revoke, revoked) = oneshot::channel();
                self.revoke = Some((epoch, revoke));
                if reply.send(Ok(Grant::Write { epoch, start, revoked })).is_err() {
                    self.abandoned = Some(epoch);
                }
            }
            (Waiter::Claim(reply), Answer::Following) => {
                let _ = reply.send(Ok(Grant::Follow));
            }
            (Waiter::Done(reply), Answer::Accepted | Answer::Removed) => {
                let _ = reply.send(Ok(()));
            }
            (Waiter::Number(reply), Answer::Stands(number) | Answer::Committed(number)) => {
                let _ = reply.send(Ok(number));
            }
            (waiter, Answer::Refused(cause)) => waiter.refuse(cause),
            (waiter, answer) => {
                debug_assert!(false, "answer {answer:?} to another question");
                waiter.refuse(UploadError::Died);
            }
        }
    }

    fn run(&mut self, job: Job, ctx: &mut Context<Self>) {
        let Some(mut parts) = self.parts.take() else {
            debug_assert!(false, "a job runs already");
            return;
        };
        let store = self.store.clone();
        let batch = match &job {
            Job::Write { ticket, .. } => self.batches.remove(ticket).unwrap_or_default(),
            _ => Vec::new(),
        };
        let draining = self.registration.is_draining();
        let work = async move {
            let outcome = job::perform(&store, &mut parts, job, batch, draining).await;
            (parts, outcome)
        };
        ctx.spawn(work.into_actor(self).map(|(parts, outcome), actor, ctx| {
            actor.parts = Some(parts);
            actor.feed(Event::Done(outcome), ctx);
        }));
    }

    fn after_step(&mut self) {
        let Some(machine) = &self.machine else { return };
        let writing = machine.is_writing();
        if writing != self.counted_as_writing {
            self.counted_as_writing = writing;
            if writing {
                self.store.metrics.uploads_writing.inc();
            } else {
                self.store.metrics.uploads_writing.dec();
            }
        }
        // An upload that nobody writes to holds no descriptor.
        if !writing && let Some(parts) = self.parts.as_mut() {
            parts.writer = None;
        }
    }

    fn end(&mut self, reason: Option<EndReason>, ctx: &mut Context<Self>) {
        self.store.metrics.uploads_open.dec();
        if let Some(reason) = reason {
            self.store.metrics.uploads_ended.get_or_create(&EndLabels { reason: reason.as_str() }).inc();
            let offset = self.machine.as_ref().map_or(0, Machine::offset);
            log::info!(
                repository:% = self.repository, upload:% = self.id, reason = reason.as_str(), bytes = offset;
                "upload ended"
            );
        }
        self.registration.give_up();
        if let Some(wake) = self.wake.take() {
            ctx.cancel_future(wake);
        }
        self.parts = None;
        // Questions may be on their way still, and are answered. When nobody has its address any more, the actor goes.
    }
}

impl Waiter {
    fn refuse(self, cause: UploadError) {
        // Whoever has left needs no answer.
        match self {
            Waiter::Claim(reply) => drop(reply.send(Err(cause))),
            Waiter::Done(reply) => drop(reply.send(Err(cause))),
            Waiter::Number(reply) => drop(reply.send(Err(cause))),
        }
    }
}

impl Actor for UploadActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        let (store, repository, id) = (self.store.clone(), self.repository.clone(), self.id);
        match self.origin.take() {
            Some(Origin::New { algorithm, reply }) => {
                let started_at = self.started_at;
                let create = async move { store.create(&repository, id, started_at, algorithm).await };
                ctx.spawn(create.into_actor(self).map(move |result, actor, ctx| actor.on_created(result, reply, ctx)));
            }
            Some(Origin::Stored) | None => {
                let find = async move { store.find(&repository, id).await };
                ctx.spawn(find.into_actor(self).map(|result, actor, ctx| actor.on_found(result, ctx)));
            }
        }
    }
}

impl Drop for UploadActor {
    fn drop(&mut self) {
        if self.counted_as_writing {
            self.store.metrics.uploads_writing.dec();
        }
    }
}
