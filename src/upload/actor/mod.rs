//! The actor of one upload. It owns the state machine, the data and whoever waits for an answer, and runs one storage
//! job at a time; everything it decides, the machine decides.

mod birth;
mod handlers;
mod job;
mod standing;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{Semaphore, oneshot};

use super::index::Registration;
use super::machine::{self, Action, Answer, EndReason, Event, Job, LastPiece, Machine, Outcome, Stop, Ticket};
use super::messages::{
    Batch, Cancel, Claim, Drain, End, EndOfBody, Expire, GetStatus, Grant, HeldUp, Join, Look, Piece, Reply, Status,
};
use super::roster::{FoundUpload, Kept, Name, Roster, from_millis, millis, to_millis};
use super::store::{Found, Parts, UploadStore};
use super::turns::Received;
use super::{MAILBOX_CAPACITY, Policy, UploadError, UploadState};
use crate::oci::{Algorithm, UploadId};
use crate::telemetry::{EndLabels, PolicyLabels};

/// How an actor comes to its upload.
pub(super) enum Origin {
    /// It is new; the reply is given when it is written down.
    New { algorithm: Algorithm, client: Option<IpAddr>, reply: Reply<(UploadId, Status)> },
    /// It is looked for in storage.
    Stored,
}

/// What an actor is made of.
pub(super) struct Setup {
    pub name: Name,
    pub store: Arc<UploadStore>,
    pub roster: Arc<Roster>,
    pub registration: Registration,
    /// Whose turn it is to remove what has expired.
    pub reaps: Arc<Semaphore>,
}

pub(super) struct UploadActor {
    name: Name,
    store: Arc<UploadStore>,
    roster: Arc<Roster>,
    reaps: Arc<Semaphore>,
    /// Its place in the index, given up when it stops.
    registration: Registration,
    /// When it was started; by this the machine's time is counted. Never in the future.
    started_at: u64,
    origin: Option<Origin>,
    /// `None` until the upload is created or found.
    machine: Option<Machine>,
    /// Why there will never be one.
    not_found: Option<UploadError>,
    /// Messages that came before the machine.
    early: Vec<Early>,
    /// `None` while a job has them.
    parts: Option<Parts>,
    batches: HashMap<Ticket, Received>,
    waiting: HashMap<Ticket, Waiter>,
    last_ticket: Ticket,
    /// Tells the holder of the right to write that it has ended.
    revoke: Option<(u64, oneshot::Sender<UploadError>)>,
    wake: Option<SpawnHandle>,
    /// The right to write that was granted to a request which has left meanwhile.
    abandoned: Option<u64>,
    /// Under whose name it counts as written to.
    counted_as_writing: Option<Option<IpAddr>>,
    /// Who started it or wrote last.
    client: Option<IpAddr>,
    /// When the roster will ask it to look, as far as it was told.
    look_at: Option<u64>,
    /// Dropped when what a look led to is through.
    lookers: Vec<oneshot::Sender<()>>,
}

/// What a job needs beside the upload's data.
struct Work {
    store: Arc<UploadStore>,
    roster: Arc<Roster>,
    reaps: Arc<Semaphore>,
    /// How many bytes are kept.
    offset: u64,
}

/// Who waits for a ticket's answer.
enum Waiter {
    Claim(Reply<Grant>, Option<IpAddr>),
    Status(Reply<Status>),
    Done(Reply<()>),
    Number(Reply<u64>),
}

enum Early {
    Status(Reply<Status>),
    /// It counts as writing only from when there is something to write to.
    Claim(Claim),
    Look(oneshot::Sender<()>),
    Event(Event),
}

impl UploadActor {
    pub fn new(setup: Setup, origin: Origin) -> Self {
        UploadActor {
            name: setup.name,
            store: setup.store,
            started_at: setup.roster.now(),
            roster: setup.roster,
            reaps: setup.reaps,
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
            counted_as_writing: None,
            client: None,
            look_at: None,
            lookers: Vec::new(),
        }
    }

    /// The machine's time: since the upload was started.
    fn now(&self) -> Duration {
        Duration::from_millis(self.roster.now().saturating_sub(self.started_at))
    }

    fn status(&self, offset: u64) -> Status {
        Status { offset, started_at: from_millis(self.started_at) }
    }

    fn ticket_for(&mut self, waiter: Waiter) -> Ticket {
        self.last_ticket += 1;
        self.waiting.insert(self.last_ticket, waiter);
        self.last_ticket
    }

    fn answer_status(&mut self, reply: Reply<Status>, ctx: &mut Context<Self>) {
        let now = self.now();
        let answer = match self.machine.as_mut() {
            Some(machine) if machine.must_look_before_telling() => {
                let ticket = self.ticket_for(Waiter::Status(reply));
                return self.feed(Event::Status { ticket }, ctx);
            }
            Some(machine) => {
                machine.note_request(now);
                machine.live_offset()
            }
            None => Err(self.not_found.clone().unwrap_or(UploadError::Died)),
        };
        let _ = reply.send(answer.map(|offset| self.status(offset)));
    }

    /// Looks whether a policy strikes, by what holds now.
    fn look(&mut self, done: oneshot::Sender<()>, ctx: &mut Context<Self>) {
        self.look_at = None;
        self.lookers.push(done);
        self.take_rules();
        self.feed(Event::Look, ctx);
    }

    fn take_rules(&mut self) {
        let rules = self.roster.rules(&self.name.repository);
        if let Some(machine) = self.machine.as_mut() {
            machine.set_rules(rules);
        }
    }

    /// Gives the machine an event and does what it says.
    fn feed(&mut self, event: Event, ctx: &mut Context<Self>) {
        let now = self.now();
        let Some(machine) = self.machine.as_mut() else {
            match self.not_found.clone() {
                Some(cause) => self.refuse_waiting(&cause),
                None => self.early.push(Early::Event(event)),
            }
            return;
        };
        let mut actions = machine.step(event, now);
        self.show();
        self.make_room(&actions);
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
                if matches!(cause, UploadError::Superseded) {
                    self.store.metrics.upload_takeovers.inc();
                }
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
            Action::Resumed(bytes) => {
                self.store.metrics.upload_resumes.inc();
                self.store.metrics.upload_resumed_bytes.inc_by(bytes);
            }
            Action::Stop(stop) => self.end(stop, ctx),
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.batches.remove(&ticket);
        let Some(waiter) = self.waiting.remove(&ticket) else { return };
        match (waiter, answer) {
            (Waiter::Claim(reply, client), Answer::Granted { epoch, start }) => {
                self.client = client.or(self.client);
                self.count_for(client);
                if let Some(live) = self.registration.live() {
                    live.set_client(self.client);
                }
                let (revoke, revoked) = oneshot::channel();
                self.revoke = Some((epoch, revoke));
                if reply.send(Ok(Grant::Write { epoch, start, revoked })).is_err() {
                    self.abandoned = Some(epoch);
                }
            }
            (Waiter::Claim(reply, _), Answer::Following) => {
                let _ = reply.send(Ok(Grant::Follow));
            }
            (Waiter::Done(reply), Answer::Accepted | Answer::Removed) => {
                let _ = reply.send(Ok(()));
            }
            (Waiter::Status(reply), Answer::Stands(offset)) => {
                let _ = reply.send(Ok(self.status(offset)));
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
        parts.record.client = self.client;
        let work = Work {
            store: self.store.clone(),
            roster: self.roster.clone(),
            reaps: self.reaps.clone(),
            offset: self.machine.as_ref().map_or(0, Machine::offset),
        };
        let batch = match &job {
            Job::Write { ticket, .. } | Job::WriteAndCommit { ticket, .. } => {
                self.batches.remove(ticket).unwrap_or_default()
            }
            _ => Received::default(),
        };
        let run = async move {
            let outcome = job::perform(&work, &mut parts, job, batch).await;
            (parts, outcome)
        };
        ctx.spawn(run.into_actor(self).map(|(parts, outcome), actor, ctx| {
            actor.parts = Some(parts);
            actor.feed(Event::Done(outcome), ctx);
        }));
    }

    fn claim(&mut self, message: Claim, ctx: &mut Context<Self>) {
        if let Err(cause) = self.count_as_writing(message.client) {
            let _ = message.reply.send(Err(cause));
            return;
        }
        // A body is under what holds when it begins, also right behind a reload, of which the actor hears a little later.
        self.take_rules();
        let claim = machine::Claim {
            start: message.start,
            digest: message.digest,
            length: message.length,
            discard_on_cut: message.discard_on_cut,
        };
        let ticket = self.ticket_for(Waiter::Claim(message.reply, message.client));
        self.feed(Event::Claim { ticket, claim }, ctx);
    }
}

impl Waiter {
    fn refuse(self, cause: UploadError) {
        // Whoever has left needs no answer.
        match self {
            Waiter::Claim(reply, _) => drop(reply.send(Err(cause))),
            Waiter::Status(reply) => drop(reply.send(Err(cause))),
            Waiter::Done(reply) => drop(reply.send(Err(cause))),
            Waiter::Number(reply) => drop(reply.send(Err(cause))),
        }
    }
}

impl Actor for UploadActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        let (store, repository, id) = (self.store.clone(), self.name.repository.clone(), self.name.id);
        match self.origin.take() {
            Some(Origin::New { algorithm, client, reply }) => {
                self.client = client;
                let started_at = from_millis(self.started_at);
                let create = async move { store.create(&repository, id, started_at, algorithm, client).await };
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
        self.stop_counting_as_writing();
    }
}
