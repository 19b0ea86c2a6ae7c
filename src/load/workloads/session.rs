use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use http::Method;

use super::push::How;
use super::task::Task;
use super::uploads::OpenUploads;
use super::{cancel, contend, failure, image, lookups, mount, pull, push, replay, resume, stall, trace};
use crate::client::{Access, Client, RawCall};
use crate::load::measure::{Failure, Recorder};
use crate::load::plan::Workload;
use crate::load::run::{Context, Done, Ledger, PushedBlob, PushedManifest, Session};
use crate::load::verify::{Queue, verify};
use crate::load::wire::Wire;
use crate::oci::Reference;

/// How many uploads are cancelled at once when a run is broken off.
const CANCELS_AT_ONCE: usize = 64;

/// A registry that does not answer to a cancel is left alone.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// One turn of a target.
pub(super) struct HttpSession {
    pub(super) client: Client,
    /// For what is no part of the load: its connections are not counted.
    pub(super) quiet: Client,
    pub(super) wire: Wire,
    pub(super) uploads: Arc<OpenUploads>,
    pub(super) to_verify: Arc<Queue>,
}

#[async_trait]
impl Session for HttpSession {
    async fn run(&self, workload: &Workload, context: &mut Context) -> Result<Done, Failure> {
        let mut task = Task::new(self, context);
        let task = &mut task;
        match workload {
            Workload::PushMonolithic => push::run(task, How::Monolithic).await,
            Workload::PushSinglePost => push::run(task, How::SinglePost).await,
            Workload::PushStreamed => push::run(task, How::Streamed).await,
            Workload::PushChunked(plan) => push::run(task, How::Chunked(plan)).await,
            Workload::Resume(plan) => resume::run(task, plan).await,
            Workload::Stall(plan) => stall::run(task, plan).await,
            Workload::Replay(plan) => replay::run(task, plan).await,
            Workload::Contend(plan) => contend::run(task, plan).await,
            Workload::Mount => mount::run(task).await,
            Workload::Cancel(plan) => cancel::run(task, plan).await,
            Workload::PullWhole => pull::whole(task).await,
            Workload::PullRanges(plan) => pull::ranges(task, plan).await,
            Workload::HeadMany(plan) => lookups::heads(task, plan).await,
            Workload::ManifestByTag => lookups::manifest_by_tag(task).await,
            Workload::TagsList(plan) => lookups::tags(task, plan).await,
            Workload::ImagePush(plan) => image::push(task, plan).await,
            Workload::ImagePull(plan) => image::pull(task, plan).await,
            Workload::Trace(plan) => trace::run(task, plan).await,
        }
    }

    async fn cancel_uploads(&self) -> usize {
        let open = self.uploads.take_all();
        let count = open.len();
        let cancels = open.into_iter().map(|(repository, location)| async move {
            let call = RawCall::new("cancel upload", Method::DELETE, location, Access::Push);
            // What is gone already, or cannot be cancelled, is left to the registry.
            let _ = tokio::time::timeout(CANCEL_PATIENCE, repository.send(call)).await;
        });
        stream::iter(cancels).buffer_unordered(CANCELS_AT_ONCE).collect::<()>().await;
        count
    }

    async fn delete_manifest(&self, manifest: &PushedManifest) -> Result<(), Failure> {
        let repository = self.quiet.repository(&manifest.repository);
        let reference = Reference::Digest(manifest.digest.clone());
        repository.delete_manifest(&reference).await.map_err(|error| failure::of(&error))
    }

    async fn delete_blob(&self, blob: &PushedBlob) -> Result<(), Failure> {
        let repository = self.quiet.repository(&blob.repository);
        repository.delete_blob(blob.blob.digest()).await.map_err(|error| failure::of(&error))
    }

    async fn verify(&self, _ledger: &Ledger, recorder: &Recorder) {
        verify(&self.quiet, &self.to_verify, recorder).await;
    }

    async fn close(&self) {
        // Tasks that failed may have left some.
        self.cancel_uploads().await;
        self.wire.close_free();
    }
}
