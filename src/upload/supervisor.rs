//! The supervisor revives, looks after and drains uploads. It decides who acts for one that is known and does no I/O
//! itself: the actors and tasks that it starts do.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::StreamExt;
use tokio::sync::{Notify, oneshot};

use super::actor::Origin;
use super::messages::{Drain, DrainAll, Look, LookNow, Revive};
use super::reaper::Reaper;
use super::starter::Starter;
use super::{SUPERVISOR_MAILBOX_CAPACITY, UploadError};

/// How many uploads are made to last at the same time when the process ends: enough to keep a disk busy, few enough
/// not to open a descriptor for each.
const DRAINED_AT_ONCE: usize = 64;

/// How often the schedule is looked at. What a policy says in seconds may well be a fraction of one late.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How many live uploads are told to look before other messages get their turn.
const LOOKS_AT_ONCE: usize = 1000;

/// How many expired uploads are removed at once. Few: a crowd that expires in one second must not take disk and cores
/// away from those who push.
pub(super) const REAPS_AT_ONCE: usize = 2;

pub(super) struct Supervisor {
    starter: Arc<Starter>,
    /// Rung when there may be something to reap.
    reap: Arc<Notify>,
}

impl Supervisor {
    pub fn new(starter: Arc<Starter>) -> Self {
        Supervisor { starter, reap: Arc::new(Notify::new()) }
    }

    /// Tells the live uploads whose time has come to look, and wakes those who see to the stored ones.
    fn look_at_what_is_due(&self, ctx: &mut Context<Self>) {
        self.reap.notify_waiters();
        let now = self.starter.roster.now();
        for _ in 0..LOOKS_AT_ONCE {
            let Some(name) = self.starter.roster.take_due_live(now) else { return };
            let told =
                self.starter.index.get(&name).map(|address| address.try_send(Look { done: oneshot::channel().0 }));
            if !matches!(told, Some(Ok(()))) {
                // It is busy with other messages, or just ending.
                self.starter.roster.look_by(&name, now + 1000);
            }
        }
        // There are more. Other messages come first.
        ctx.run_later(Duration::from_millis(1), |supervisor, ctx| supervisor.look_at_what_is_due(ctx));
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(SUPERVISOR_MAILBOX_CAPACITY);
        ctx.run_interval(LOOK_EVERY, |supervisor, ctx| supervisor.look_at_what_is_due(ctx));
        for _ in 0..REAPS_AT_ONCE {
            let reaper = Reaper {
                roster: self.starter.roster.clone(),
                store: self.starter.store.clone(),
                supervisor: ctx.address(),
                wake: self.reap.clone(),
            };
            ctx.spawn(reaper.run().into_actor(self));
        }
        let (store, roster) = (self.starter.store.clone(), self.starter.roster.clone());
        ctx.spawn(super::space::watch(store, roster).into_actor(self));
    }
}

impl Handler<Revive> for Supervisor {
    type Result = ();

    fn handle(&mut self, message: Revive, _: &mut Self::Context) {
        // Two requests may have missed the index at once: only the first starts an actor.
        let live = self.starter.index.get(&message.name).filter(Addr::connected);
        if live.is_none() && self.starter.index.is_draining() {
            let _ = message.reply.send(Err(UploadError::Draining));
            return;
        }
        let address = live.unwrap_or_else(|| self.starter.start(message.name, None, Origin::Stored));
        let _ = message.reply.send(Ok(address));
    }
}

impl Handler<LookNow> for Supervisor {
    type Result = ();

    fn handle(&mut self, message: LookNow, ctx: &mut Self::Context) {
        self.look_at_what_is_due(ctx);
        let (store, roster) = (self.starter.store.clone(), self.starter.roster.clone());
        let look = async move {
            super::space::look(&store, &roster).await;
            let _ = message.reply.send(());
        };
        ctx.spawn(look.into_actor(self));
    }
}

impl Handler<DrainAll> for Supervisor {
    type Result = ();

    fn handle(&mut self, message: DrainAll, ctx: &mut Self::Context) {
        self.starter.index.set_draining();
        let addresses = self.starter.index.addresses();
        let drain = async move {
            futures_util::stream::iter(addresses)
                .for_each_concurrent(DRAINED_AT_ONCE, |address| async move {
                    let (reply, drained) = oneshot::channel();
                    if address.send(Drain { reply }).await.is_ok() {
                        // An actor that has just ended drops the question: nothing is left to drain.
                        let _ = drained.await;
                    }
                })
                .await;
            let _ = message.reply.send(());
        };
        ctx.spawn(drain.into_actor(self));
    }
}
