//! What the tests of this folder share: a store over memory that records each driver call, and can make one fail or
//! stop it.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::manifests::testing::digest_of_bytes;
use super::{Content, ContentOptions, NewManifest, TagCondition};
use crate::oci::{Algorithm, Digest, RepositoryName, Tag};
use crate::storage::adapters::{Adapter, Around, Call, Fault, Faulty, Gate, Operation};
use crate::storage::memory::{Memory, MemoryOptions};
use crate::storage::{Driver, Durability, EntryKind, Key, PutMode, SharedDriver, StorageError, StorageErrorKind, keys};
use crate::telemetry::Metrics;

/// Memory with faults, and what was asked of it.
pub(super) struct Probe {
    memory: Memory,
    faulty: Faulty,
    calls: Arc<Mutex<Vec<String>>>,
}

/// Keeps each call and its key, `get docker/registry/v2/…`.
#[derive(Debug)]
struct Record {
    calls: Arc<Mutex<Vec<String>>>,
}

impl Around for Record {
    async fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T, StorageError>> + Send,
    ) -> Result<T, StorageError> {
        if call.operation != Operation::ReadPiece {
            self.calls.lock().unwrap().push(format!("{} {}", call.operation.as_str(), call.key));
        }
        work.await
    }
}

impl Probe {
    fn new() -> Self {
        let memory = Memory::new(MemoryOptions { max_bytes: 256 << 20 });
        let faulty = Faulty::new(Arc::new(memory.clone()));
        Probe { memory, faulty, calls: Arc::default() }
    }

    fn driver(&self) -> SharedDriver {
        Arc::new(Adapter::around(Arc::new(self.faulty.clone()), Record { calls: self.calls.clone() }))
    }

    /// The calls since the last time, in their order.
    pub(super) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// Lets the next such call fail without having done anything.
    pub(super) fn fail(&self, operation: Operation, key: &Key, kind: StorageErrorKind) {
        self.faulty.inject(Fault::fail(kind).at(operation).on(key.as_str()));
    }

    /// Lets the n-th call from now fail, counted from 1, before it does anything or after it did all.
    pub(super) fn fail_nth(&self, nth: u64, kind: StorageErrorKind, is_after: bool) {
        let fault = Fault::fail(kind).nth(nth);
        self.faulty.inject(if is_after { fault.after_effect() } else { fault });
    }

    /// Forgets the faults; whether one struck.
    pub(super) fn clear_faults(&self) -> bool {
        let struck = self.faulty.struck() > 0;
        self.faulty.clear();
        struck
    }

    /// Every key there is.
    pub(super) async fn all_keys(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec!["docker".parse::<Key>().unwrap()];
        while let Some(folder) = folders.pop() {
            let page = self.memory.list(&folder, None, usize::MAX).await.unwrap();
            for entry in page.entries {
                let key = folder.child(&entry.name).unwrap();
                match entry.kind {
                    EntryKind::Folder => folders.push(key),
                    EntryKind::Object => found.push(key.to_string()),
                }
            }
        }
        found.sort();
        found
    }

    /// Stops the next such call when it has done its work and before it returns.
    pub(super) fn stop(&self, operation: Operation, key: &Key) -> Gate {
        let gate = Gate::new();
        self.faulty.inject(Fault::hang(&gate).at(operation).on(key.as_str()).after_effect());
        gate
    }

    /// Stops the next such call before it does anything.
    pub(super) fn stop_before(&self, operation: Operation, key: &Key) -> Gate {
        let gate = Gate::new();
        self.faulty.inject(Fault::hang(&gate).at(operation).on(key.as_str()));
        gate
    }

    /// Stops every such call before it does anything.
    pub(super) fn stop_all_before(&self, operation: Operation) -> Gate {
        let gate = Gate::new();
        self.faulty.inject(Fault::hang(&gate).at(operation).times(u64::MAX));
        gate
    }

    pub(super) async fn write(&self, key: &Key, data: impl Into<Bytes>) {
        self.memory.put(key, data.into(), PutMode::Overwrite, Durability::Process).await.unwrap();
    }

    pub(super) async fn remove(&self, key: &Key) {
        self.memory.delete(key).await.unwrap();
    }

    pub(super) async fn has(&self, key: &Key) -> bool {
        self.memory.stat(key).await.is_ok()
    }

    /// The names in a folder; none when there is no folder.
    pub(super) async fn names(&self, folder: &Key) -> Vec<String> {
        match self.memory.list(folder, None, usize::MAX).await {
            Ok(page) => page.entries.into_iter().map(|entry| entry.name).collect(),
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Every file below a folder, by its path from there, sorted.
pub(super) fn files_below(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(inside) = open.pop() {
        for entry in std::fs::read_dir(inside).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Content over a [`Probe`].
pub(super) struct Fixture {
    pub probe: Arc<Probe>,
    pub content: Content,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Fixture::with(ContentOptions::default())
    }

    pub(super) fn with(options: ContentOptions) -> Self {
        let probe = Arc::new(Probe::new());
        let content = Content::new(probe.driver(), options, Metrics::unregistered());
        Fixture { probe, content }
    }

    /// The same storage after a restart: nothing is known.
    pub(super) fn restarted(&self) -> Self {
        let content = Content::new(self.probe.driver(), ContentOptions::default(), Metrics::unregistered());
        self.probe.take_calls();
        Fixture { probe: self.probe.clone(), content }
    }

    /// What the upload engine does at a commit.
    pub(super) async fn push_blob(&self, name: &RepositoryName, data: &[u8]) -> Digest {
        let digest = digest_of(data);
        self.probe.write(&keys::blob_data(&digest), data.to_vec()).await;
        self.content.blobs().published(&digest, data.len() as u64);
        self.content.blobs().link(name, &digest, data.len() as u64).await.unwrap();
        digest
    }

    /// An image manifest with one config of its own, pushed by a tag.
    pub(super) async fn push_image(&self, name: &RepositoryName, tag_name: &str) -> Digest {
        let config = self.push_blob(name, tag_name.as_bytes()).await;
        let data = image(&config, &[], "");
        self.content.manifests().put(new_manifest(name, tag_name, data)).await.unwrap().digest
    }

    /// What distribution does with a manifest that it takes.
    pub(super) async fn write_as_distribution(&self, name: &RepositoryName, data: &str) -> Digest {
        let digest = digest_of(data.as_bytes());
        self.probe.write(&keys::blob_data(&digest), data.to_owned()).await;
        self.probe.write(&keys::revision_link(name, &digest), digest.to_string()).await;
        digest
    }

    pub(super) async fn point_as_distribution(&self, name: &RepositoryName, tag_name: &str, digest: &Digest) {
        self.probe.write(&keys::tag_index(name, &tag(tag_name), digest), digest.to_string()).await;
        self.probe.write(&keys::tag_current(name, &tag(tag_name)), digest.to_string()).await;
    }
}

pub(super) fn repository(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

pub(super) fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

pub(super) fn digest_of(data: &[u8]) -> Digest {
    digest_of_bytes(Algorithm::Sha256, data)
}

pub(super) fn descriptor(media_type: &str, digest: &Digest) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":1}}"#)
}

/// An OCI image manifest; `extra` are further fields, each after a comma.
pub(super) fn image(config: &Digest, layers: &[Digest], extra: &str) -> String {
    let layers: Vec<_> =
        layers.iter().map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer)).collect();
    let config = descriptor("application/vnd.oci.image.config.v1+json", config);
    format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]{extra}}}"#, layers.join(","))
}

/// A manifest to be put under a tag or a digest.
pub(super) fn new_manifest(name: &RepositoryName, reference: &str, data: impl Into<Bytes>) -> NewManifest {
    NewManifest {
        repository: name.clone(),
        reference: reference.parse().unwrap(),
        tags: Vec::new(),
        media_type: None,
        data: data.into(),
        condition: TagCondition::Any,
    }
}
