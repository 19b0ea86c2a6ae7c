//! The supervisor admits, revives and drains uploads. It decides who acts for an upload and does no I/O itself: the
//! actors that it starts do.

use std::sync::Arc;

use actix::prelude::*;
use futures_util::StreamExt;
use tokio::sync::oneshot;

use super::actor::{Origin, Setup, UploadActor};
use super::index::{Index, Registration};
use super::machine::Limits;
use super::messages::{Begin, Drain, DrainAll, Revive};
use super::store::UploadStore;
use super::{SUPERVISOR_MAILBOX_CAPACITY, UploadError};
use crate::clock::SharedClock;
use crate::oci::{RepositoryName, UploadId};

/// How many uploads are made to last at the same time when the process ends: enough to keep a disk busy, few enough
/// not to open a descriptor for each.
const DRAINED_AT_ONCE: usize = 64;

pub(super) struct Supervisor {
    index: Arc<Index>,
    store: Arc<UploadStore>,
    clock: SharedClock,
    limits: Limits,
    /// The threads that uploads run on; an upload stays on one.
    arbiters: Vec<Arbiter>,
}

impl Supervisor {
    pub fn new(
        index: Arc<Index>,
        store: Arc<UploadStore>,
        clock: SharedClock,
        limits: Limits,
        arbiters: Vec<Arbiter>,
    ) -> Self {
        Supervisor { index, store, clock, limits, arbiters }
    }

    fn start_actor(&self, repository: RepositoryName, id: UploadId, origin: Origin) -> Addr<UploadActor> {
        let name = (repository.clone(), id);
        let setup = Setup {
            repository,
            id,
            store: self.store.clone(),
            clock: self.clock.clone(),
            limits: self.limits,
            registration: Registration::new(self.index.clone(), name.clone()),
        };
        let arbiter = &self.arbiters[(id.as_u128() % self.arbiters.len() as u128) as usize];
        self.index.insert_with(name, || {
            UploadActor::start_in_arbiter(&arbiter.handle(), move |_| UploadActor::new(setup, origin))
        })
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(SUPERVISOR_MAILBOX_CAPACITY);
    }
}

impl Handler<Begin> for Supervisor {
    type Result = ();

    fn handle(&mut self, message: Begin, _: &mut Self::Context) {
        if self.index.is_draining() {
            let _ = message.reply.send(Err(UploadError::Draining));
            return;
        }
        // The actor answers itself: it notices when whoever asked has left.
        let origin = Origin::New { algorithm: message.algorithm, reply: message.reply };
        self.start_actor(message.repository, UploadId::random(), origin);
    }
}

impl Handler<Revive> for Supervisor {
    type Result = ();

    fn handle(&mut self, message: Revive, _: &mut Self::Context) {
        // Two requests may have missed the index at once: only the first starts an actor.
        let name = (message.repository, message.id);
        let live = self.index.get(&name).filter(Addr::connected);
        if live.is_none() && self.index.is_draining() {
            let _ = message.reply.send(Err(UploadError::Draining));
            return;
        }
        let address = live.unwrap_or_else(|| self.start_actor(name.0, name.1, Origin::Stored));
        let _ = message.reply.send(Ok(address));
    }
}

impl Handler<DrainAll> for Supervisor {
    type Result = ();

    fn handle(&mut self, message: DrainAll, ctx: &mut Self::Context) {
        self.index.set_draining();
        let addresses = self.index.addresses();
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
