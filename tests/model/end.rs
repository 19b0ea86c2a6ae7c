//! The end of a run: everything is ended, and then nothing is left but what was committed.

use std::time::Instant;

use longshore::oci::{Algorithm, RepositoryName};
use longshore::storage::keys;

use crate::policies;
use crate::steps::everything;
use crate::upload::digest_of;
use crate::world::{HANGS_AFTER, REPOSITORIES, World};

impl World {
    pub async fn end(&mut self) {
        self.tell("end");
        self.clear_faults();
        self.faulty.set_free_space(None);
        self.bodies.clear();
        self.hanging.clear();
        self.set_policies(policies::last());
        self.let_all_expire().await;
        self.gauges_come_to_nothing().await;
        self.check_contents().await;
        self.tally.resumed_bytes += self.metrics.upload_resumed_bytes.get();
        self.tally.takeovers += self.metrics.upload_takeovers.get();
        self.last_engine_leaves().await;
    }

    async fn let_all_expire(&mut self) {
        let began = Instant::now();
        loop {
            self.pass(3600 * 1000);
            let engine = self.engine.clone();
            self.within("last scan", async move {
                engine.start_scan(false);
                engine.scan_ended().await;
                engine.look_now().await;
            })
            .await;
            let listed = self.engine.list(&everything()).unwrap();
            let stored = self.stored_uploads().await;
            if listed.total == 0 && stored.is_empty() && self.engine.live_uploads() == 0 {
                return;
            }
            if began.elapsed() > HANGS_AFTER {
                let live = self.engine.live_uploads();
                let report = self.engine.scan_report();
                self.violated(format!("left at the end: {listed:?}, stored {stored:?}, {live} live, {report:?}"));
            }
        }
    }

    async fn stored_uploads(&self) -> Vec<String> {
        let mut stored = Vec::new();
        for repository in REPOSITORIES {
            let name: RepositoryName = repository.parse().unwrap();
            if let Ok(page) = self.store.list(&keys::uploads(&name), None, 1000).await {
                stored.extend(page.entries.into_iter().map(|entry| format!("{repository}/{}", entry.name)));
            }
        }
        for upload in &self.uploads {
            let name: RepositoryName = REPOSITORIES[upload.repository].parse().unwrap();
            if self.store.stat(&keys::upload_data(&name, upload.id)).await.is_ok() {
                stored.push(format!("data of {name}/{}", upload.id));
            }
        }
        stored
    }

    async fn gauges_come_to_nothing(&self) {
        let began = Instant::now();
        loop {
            let metrics = &self.metrics;
            let gauges = [
                ("open", metrics.uploads_open.get()),
                ("writing", metrics.uploads_writing.get()),
                ("passive", metrics.uploads_passive.get()),
                ("kept", metrics.uploads_kept.get()),
                ("kept bytes", metrics.uploads_kept_bytes.get()),
            ];
            let Some((gauge, value)) = gauges.into_iter().find(|(_, value)| *value != 0) else { return };
            if began.elapsed() > HANGS_AFTER {
                self.violated(format!("at the end the gauge of uploads {gauge} is {value}"));
            }
            tokio::task::yield_now().await;
        }
    }

    /// All that was committed is there, and nothing stands under a digest that is not its own.
    async fn check_contents(&self) {
        for (digest, content) in self.contents.values() {
            let stored = self.store.get(&keys::blob_data(digest), u64::MAX).await;
            if !stored.is_ok_and(|object| object.data == *content) {
                self.violated(format!("{digest} is not what was committed"));
            }
        }
        for (repository, digest) in &self.links {
            let name: RepositoryName = REPOSITORIES[*repository].parse().unwrap();
            let link = self.store.get(&keys::layer_link(&name, digest), 1000).await;
            if !link.is_ok_and(|object| object.data == digest.to_string().as_bytes()) {
                self.violated(format!("{digest} is not linked in {name}"));
            }
        }
        for algorithm in Algorithm::ALL {
            let Ok(prefixes) = self.store.list(&keys::blobs(algorithm), None, 1000).await else { continue };
            for prefix in prefixes.entries {
                let folder = keys::blobs(algorithm).child(&prefix.name).unwrap();
                for blob in self.store.list(&folder, None, 10_000).await.unwrap().entries {
                    let key = folder.child(&blob.name).unwrap().child("data").unwrap();
                    let data = self.store.get(&key, u64::MAX).await.unwrap().data;
                    if digest_of(algorithm, &data).hex() != blob.name {
                        self.violated(format!("{key} holds something else"));
                    }
                }
            }
        }
    }
}
