//! Sees to the uploads that are in storage only and whose time has come: those that a policy strikes, and those that
//! were kept for a look for long enough.

use std::sync::Arc;
use std::time::Instant;

use actix::Addr;
use tokio::sync::{Notify, oneshot};

use super::UploadError;
use super::ask::ask;
use super::messages::{Look, Revive};
use super::roster::{Name, Reap, Roster};
use super::store::UploadStore;
use super::supervisor::Supervisor;

/// One of a few that work side by side: each takes one upload after the other.
pub(super) struct Reaper {
    pub roster: Arc<Roster>,
    pub store: Arc<UploadStore>,
    pub supervisor: Addr<Supervisor>,
    pub wake: Arc<Notify>,
}

impl Reaper {
    pub async fn run(self) {
        loop {
            let woken = self.wake.notified();
            while let Some(reap) = self.roster.take_due_stored(self.roster.now()) {
                let started = Instant::now();
                self.reap(reap).await;
                let rest = self.roster.rest_after(started.elapsed());
                // Even a sleep of no time takes a millisecond.
                if !rest.is_zero() {
                    tokio::time::sleep(rest).await;
                }
            }
            woken.await;
        }
    }

    async fn reap(&self, reap: Reap) {
        match reap {
            Reap::Look(name) => match look(&self.supervisor, &name).await {
                // It has an actor now, or is found to be gone: the roster knows. One that an actor was just leaving to
                // storage is seen to again.
                Ok(()) => self.roster.try_again_later(&name),
                // Nothing is changed any more; the next process finds it.
                Err(UploadError::Draining) => {}
                Err(error) => {
                    log::warn!(repository:% = name.repository, upload:% = name.id, error:%; "upload could not be looked at");
                    self.roster.try_again_later(&name);
                }
            },
            Reap::Forget(name) => match self.store.remove_kept(&name.repository, name.id).await {
                Ok(()) => self.roster.remove(&name),
                Err(error) => {
                    log::warn!(repository:% = name.repository, upload:% = name.id, error:%; "expired upload was not removed");
                    self.roster.try_again_later(&name);
                }
            },
            Reap::Strip(name) => {
                if let Err(error) = self.store.strip(&name.repository, name.id).await {
                    // It goes when the whole does.
                    log::warn!(repository:% = name.repository, upload:% = name.id, error:%; "data of an expired upload was not removed");
                }
            }
        }
    }
}

/// Gives an upload an actor, which finds out whether a policy strikes, and waits for what comes of it.
pub(super) async fn look(supervisor: &Addr<Supervisor>, name: &Name) -> Result<(), UploadError> {
    let address = ask(supervisor, |reply| Revive { name: name.clone(), reply }).await?;
    let (done, is_done) = oneshot::channel();
    address.send(Look { done }).await.map_err(|_| UploadError::Died)?;
    let _ = is_done.await;
    Ok(())
}
