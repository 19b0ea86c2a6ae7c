use std::sync::Arc;

use async_trait::async_trait;

use super::{Context, Ledger, PushedBlob, PushedManifest};
use crate::load::measure::{Failure, Recorder};
use crate::load::plan::{Credentials, TargetAddress, Workload};
use crate::load::report::TargetKind;

/// A registry under load.
#[derive(Clone, Debug)]
pub struct Target {
    /// As it is called in the plan.
    pub name: String,
    /// Where it is.
    pub address: TargetAddress,
    /// Who runs it.
    pub kind: TargetKind,
    /// Who pushes and pulls.
    pub credentials: Option<Credentials>,
    /// The id of its process on this machine, where that is known.
    pub server_pid: Option<u32>,
    /// How many connections to it there may be at once; 0: as many as the work needs.
    pub max_connections: usize,
}

/// Speaks to registries on behalf of a run.
#[async_trait]
pub trait Driver: Send + Sync {
    /// Gets ready for one turn of a target. Connections are opened here or when they are needed, and belong to the turn.
    ///
    /// # Errors
    /// [`Failure`] when the target cannot be used at all; the run ends with it.
    async fn begin(&self, target: &Arc<Target>, recorder: &Recorder) -> Result<Arc<dyn Session>, Failure>;
}

/// One turn of a target.
#[async_trait]
pub trait Session: Send + Sync {
    /// Does one task. It records its requests, connections, resumes, stalls and findings, and what it pushed into
    /// the context's ledger; the runner records the task itself. It may be dropped at any await (Ctrl-C): uploads that
    /// are open then are ended by [`Session::cancel_uploads`].
    ///
    /// # Errors
    /// [`Failure`] when it did not come to its end.
    async fn run(&self, workload: &Workload, context: &mut Context) -> Result<Done, Failure>;

    /// Cancels the uploads that tasks of this turn began and that have not ended, as far as that is known. Gives how
    /// many there were. The runner gives it a bounded time.
    async fn cancel_uploads(&self) -> usize;

    /// Deletes a manifest, and its tags with it, that this run pushed.
    ///
    /// # Errors
    /// [`Failure`], also when the registry does not offer it.
    async fn delete_manifest(&self, manifest: &PushedManifest) -> Result<(), Failure>;

    /// Deletes a blob that this run pushed from its repository.
    ///
    /// # Errors
    /// [`Failure`], also when the registry does not offer it.
    async fn delete_blob(&self, blob: &PushedBlob) -> Result<(), Failure>;

    /// Checks once more, after the load, what the registry acknowledged (each push was looked up by its task).
    async fn verify(&self, ledger: &Ledger, recorder: &Recorder);

    /// Closes the turn's connections.
    async fn close(&self);
}

/// What a task did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Bytes of content that it moved; what was sent again counts once.
    pub bytes: u64,
}
