use std::collections::VecDeque;
use std::sync::Arc;

use rand::RngExt;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use super::{Ledger, Stop, Target};
use crate::load::content::{Blob, Source};
use crate::load::measure::Recorder;
use crate::load::plan::{Plan, Sizes, Workload};
use crate::oci::RepositoryName;

/// What a task is given: it belongs to a worker, and is used by its tasks one after the other.
pub struct Context {
    /// The registry.
    pub target: Arc<Target>,
    /// The whole plan (`verify`, `content`).
    pub plan: Arc<Plan>,
    /// The worker's own randomness.
    pub random: SmallRng,
    /// Where blobs come from; see [`Context::blob`].
    pub source: Source,
    /// Where everything is recorded.
    pub recorder: Recorder,
    /// What this run pushed to the target.
    pub ledger: Arc<Ledger>,
    /// Tells that the run or its turn ends.
    pub stop: Stop,
    /// When this task was due. The times of its first request count from here, so that a server that makes tasks wait
    /// is not let off; those of the others from when the one before ended.
    pub should_start: Instant,
    /// Number of the worker, from 0.
    pub worker: u32,
    pub(super) repositories: Arc<[RepositoryName]>,
    /// Blobs that were made before the task began, so that making them is not timed.
    pub(super) ready: VecDeque<Blob>,
}

impl Context {
    /// A blob to push: most often a new one of a size that `content.sizes` says, and by the share that
    /// `content.duplicate_ratio` says one that was pushed before.
    pub async fn blob(&mut self) -> Blob {
        if let Some(blob) = self.ready.pop_front() {
            return blob;
        }
        let plan = Arc::clone(&self.plan);
        self.draw(&plan.content.sizes).await
    }

    /// The same, with other sizes.
    pub async fn blob_of(&mut self, sizes: &Sizes) -> Blob {
        if let Some(blob) = self.ready.pop_front() {
            return blob;
        }
        self.draw(sizes).await
    }

    /// One of the run's own repositories.
    pub fn repository(&mut self) -> RepositoryName {
        self.repositories[self.random.random_range(0..self.repositories.len())].clone()
    }

    /// Another one of the run's own repositories than `other`, where there are several.
    pub fn repository_other_than(&mut self, other: &RepositoryName) -> RepositoryName {
        let others: Vec<&RepositoryName> = self.repositories.iter().filter(|name| *name != other).collect();
        match others.len() {
            0 => other.clone(),
            length => others[self.random.random_range(0..length)].clone(),
        }
    }

    /// Makes what a task needs before it begins.
    pub(super) async fn get_ready(&mut self, workload: &Workload) {
        self.ready.clear();
        let (count, sizes) = workload.new_blobs();
        let plan = Arc::clone(&self.plan);
        let sizes = sizes.unwrap_or(&plan.content.sizes);
        for _ in 0..count {
            let blob = self.draw(sizes).await;
            self.ready.push_back(blob);
        }
    }

    async fn draw(&mut self, sizes: &Sizes) -> Blob {
        let ratio = self.plan.content.duplicate_ratio;
        if ratio > 0.0
            && self.random.random_bool(ratio)
            && let Some(pushed) = self.ledger.any_blob(&mut self.random)
        {
            return pushed.blob;
        }
        let size = sizes.draw(&mut self.random);
        self.source.blob(size).await
    }
}
