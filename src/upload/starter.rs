//! Starts uploads' actors: new ones for whoever asks, on his own thread, and known ones for the supervisor.

use std::net::IpAddr;
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::Semaphore;

use super::UploadError;
use super::actor::{Origin, Setup, UploadActor};
use super::index::{Index, Registration};
use super::messages::{Reply, Status};
use super::roster::{LiveUpload, Name, Roster};
use super::store::UploadStore;
use crate::oci::{Algorithm, RepositoryName, UploadId};

/// What every actor is made of.
pub(super) struct Starter {
    pub index: Arc<Index>,
    pub roster: Arc<Roster>,
    pub store: Arc<UploadStore>,
    /// Whose turn it is to remove what has expired.
    pub reaps: Arc<Semaphore>,
    /// The threads that uploads run on, at least one; an upload stays on one.
    pub arbiters: Vec<ArbiterHandle>,
}

impl Starter {
    /// Starts the actor of a new upload if it is admitted. The actor answers itself: it notices when whoever asked has
    /// left.
    pub fn begin(
        &self,
        repository: &RepositoryName,
        algorithm: Algorithm,
        client: Option<IpAddr>,
        reply: Reply<(UploadId, Status)>,
    ) {
        // Whoever drains waits for this, and finds the actor.
        let Some(_admitting) = self.index.admitting() else {
            drop(reply.send(Err(UploadError::Draining)));
            return;
        };
        match self.roster.admit(repository, UploadId::random(), client) {
            Err(cause) => drop(reply.send(Err(cause))),
            Ok((name, live)) => drop(self.start(name, Some(live), Origin::New { algorithm, client, reply })),
        }
    }

    /// Starts the actor of an upload.
    pub fn start(&self, name: Name, live: Option<Arc<LiveUpload>>, origin: Origin) -> Addr<UploadActor> {
        let setup = Setup {
            name: name.clone(),
            store: self.store.clone(),
            roster: self.roster.clone(),
            registration: Registration::new(self.index.clone(), self.roster.clone(), name.clone(), live),
            reaps: self.reaps.clone(),
        };
        let arbiter = &self.arbiters[(name.id.as_u128() % self.arbiters.len() as u128) as usize];
        self.index
            .insert_with(name, || UploadActor::start_in_arbiter(arbiter, move |_| UploadActor::new(setup, origin)))
    }
}
