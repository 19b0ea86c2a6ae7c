//! What is done before and after the load.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use super::runner::Runner;
use super::work::Moments;
use super::{RunError, Session};
use crate::load::live::Stage;
use crate::load::measure::Failure;
use crate::load::plan::{ImagePush, Lookup, Workload};
use crate::load::report::TargetKind;

/// How many deletions are under way at once.
const DELETIONS_AT_ONCE: usize = 8;

impl Runner<'_> {
    /// Pushes what workloads need that pull, mount or look up.
    pub(super) async fn prepare(&mut self, target: usize) -> Result<(), RunError> {
        let needs = |needed: fn(&Workload) -> bool| self.states[target].tasks.workloads.iter().any(needed);
        let (blobs, images) = (needs(Workload::needs_blobs), needs(Workload::needs_images));
        let image = ImagePush { layers: 3, head_before: false, ..ImagePush::default() };
        let mut pushes = Vec::new();
        pushes.extend(blobs.then_some(Workload::PushMonolithic));
        pushes.extend(images.then_some(Workload::ImagePush(image)));
        if pushes.is_empty() {
            return Ok(());
        }
        self.enter(Stage::Preparing, target);
        let session = self.begin(target).await?;
        let now = Instant::now();
        let moments = Moments { begin: now, from: Duration::ZERO, measured_from: now };
        let work = self.work(target, session.clone(), moments, self.stop.clone());
        let mut context = work.context(0);
        let mut stop = self.stop.clone();
        for workload in &pushes {
            for _ in 0..self.plan.content.prepared {
                context.get_ready(workload).await;
                context.should_start = Instant::now();
                tokio::select! {
                    biased;
                    () = stop.now() => {
                        self.close(&*session, true).await;
                        return Ok(());
                    }
                    done = session.run(workload, &mut context) => {
                        done.map_err(|failure| self.failed(target, "what the load needs cannot be pushed", failure))?;
                    }
                }
                self.refresh();
            }
        }
        self.close(&*session, false).await;
        Ok(())
    }

    /// Checks after the load what was acknowledged.
    pub(super) async fn verify(&mut self) -> Result<(), RunError> {
        let verify = &self.plan.verify;
        if verify.lookup == Lookup::Off && verify.pull_ratio == 0.0 {
            return Ok(());
        }
        for target in 0..self.states.len() {
            self.enter(Stage::Verifying, target);
            let session = self.begin(target).await?;
            let (ledger, recorder) = (self.states[target].ledger.clone(), self.states[target].recorder.clone());
            let mut stop = self.stop.clone();
            tokio::select! {
                biased;
                () = stop.now() => {}
                () = session.verify(&ledger, &recorder) => {}
            }
            self.close(&*session, false).await;
            self.refresh();
        }
        Ok(())
    }

    /// Deletes what this run pushed, and nothing else: manifests first, since blobs that one names may not go.
    pub(super) async fn clean(&mut self) -> Result<(), RunError> {
        for target in 0..self.states.len() {
            // A server of the run's own goes with its folder.
            if self.states[target].target.kind != TargetKind::Remote {
                continue;
            }
            self.enter(Stage::Cleaning, target);
            if self.is_interrupted() {
                let name = self.states[target].name();
                self.notes.push(format!("{name}: what was pushed is still there, since the run was interrupted"));
                continue;
            }
            let session = self.begin(target).await?;
            let mut stop = self.stop.clone();
            let left = tokio::select! {
                biased;
                () = stop.now() => Err("the run was interrupted".to_owned()),
                left = delete_all(&*session, &self.states[target].ledger) => match left {
                    (0, _) => Ok(()),
                    (left, example) => Err(format!("{left} deletions failed, one with: {example}")),
                },
            };
            let name = self.states[target].name().to_owned();
            self.noted(left.map_err(|cause| format!("{name}: not all of what was pushed could be deleted: {cause}")));
            self.close(&*session, false).await;
        }
        Ok(())
    }
}

/// Gives how many deletions failed, and why one of them did.
async fn delete_all(session: &dyn Session, ledger: &super::Ledger) -> (usize, String) {
    let mut seen = HashSet::new();
    let mut manifests = ledger.manifests();
    manifests.retain(|manifest| seen.insert((manifest.repository.clone(), manifest.digest.clone())));
    let mut seen = HashSet::new();
    let mut blobs = ledger.blobs();
    blobs.retain(|pushed| seen.insert((pushed.repository.clone(), pushed.blob.digest().clone())));
    let manifests = stream::iter(&manifests).map(|manifest| session.delete_manifest(manifest));
    let mut results: Vec<Result<(), Failure>> = manifests.buffer_unordered(DELETIONS_AT_ONCE).collect().await;
    let blobs = stream::iter(&blobs).map(|blob| session.delete_blob(blob));
    results.extend(blobs.buffer_unordered(DELETIONS_AT_ONCE).collect::<Vec<_>>().await);
    let failures: Vec<Failure> = results.into_iter().filter_map(Result::err).collect();
    (failures.len(), failures.first().map(ToString::to_string).unwrap_or_default())
}
