//! Registries in memory, and content to copy.

use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use longshore::clock::SystemClock;
use longshore::config::UploadsConfig;
use longshore::content::{Content, ContentOptions};
use longshore::hashing::{HashPool, RunningDigest};
use longshore::layout::{IndexEntry, Layout, LayoutWriter};
use longshore::oci::{Algorithm, Digest, Reference, Tag};
use longshore::registry::{LocalRegistry, LocalRegistryOptions};
use longshore::services::{Caller, Registry, RegistryError, Repository};
use longshore::storage::memory::{Memory, MemoryOptions};
use longshore::storage::{Durability, SharedDriver};
use longshore::telemetry::Metrics;
use longshore::transfer::{
    Copied, CopyOptions, Destination, Event, Journal, Progress, RepositoryEnd, Source, TransferError, copy,
};
use longshore::upload::{Engine, EngineOptions};
use serde_json::{Value, json};

pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

pub fn registry() -> LocalRegistry {
    let driver: SharedDriver = Arc::new(Memory::new(MemoryOptions { max_bytes: 256 << 20 }));
    let content = Content::new(driver.clone(), ContentOptions::default(), Metrics::unregistered());
    let engine = Engine::start(EngineOptions {
        driver,
        blobs: content.blobs().clone(),
        hashes: HashPool::start(1).unwrap(),
        metrics: Metrics::unregistered(),
        clock: Arc::new(SystemClock),
        uploads: UploadsConfig::default(),
        max_open_files: 100,
        boot: None,
        syncs: true,
        scans: false,
        batch_bytes: EngineOptions::BATCH_BYTES,
        checkpoint_durability: Durability::Process,
        threads: 1,
    });
    LocalRegistry::new(LocalRegistryOptions { anonymous_mount: false, ..Default::default() }, content, engine)
}

pub fn digest_of(data: &[u8]) -> Digest {
    let mut running = RunningDigest::new(Algorithm::Sha256);
    running.update(data);
    running.finish()
}

/// Bytes that are nobody else's.
pub fn bytes(seed: u8, length: usize) -> Bytes {
    let mut state = u64::from(seed) + 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

pub fn config_of(architecture: &str) -> String {
    json!({"os": "linux", "architecture": architecture}).to_string()
}

/// The length of the config of an image for amd64.
pub fn config_bytes() -> u64 {
    config_of("amd64").len() as u64
}

/// A layout in a folder, to copy from.
pub struct Made {
    pub folder: tempfile::TempDir,
    writer: LayoutWriter,
}

impl Made {
    pub async fn new() -> Made {
        let folder = tempfile::tempdir().unwrap();
        let writer = LayoutWriter::open(folder.path()).await.unwrap();
        Made { folder, writer }
    }

    pub async fn blob(&self, data: &[u8]) -> Value {
        self.writer.put(&digest_of(data), Bytes::copy_from_slice(data)).await.unwrap();
        json!({"mediaType": LAYER, "digest": digest_of(data), "size": data.len()})
    }

    /// An image for a platform, of these layers.
    pub async fn image(&self, architecture: &str, layers: &[Value]) -> Value {
        self.image_about(architecture, layers, None).await
    }

    pub async fn image_about(&self, architecture: &str, layers: &[Value], subject: Option<&Value>) -> Value {
        let mut config = self.blob(config_of(architecture).as_bytes()).await;
        config["mediaType"] = json!(CONFIG);
        let mut manifest = json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers});
        if let Some(subject) = subject {
            manifest["subject"] = json!({"mediaType": IMAGE, "digest": subject["digest"], "size": subject["size"]});
        }
        let mut descriptor = self.manifest(IMAGE, &manifest).await;
        descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
        descriptor
    }

    pub async fn index(&self, manifests: &[Value]) -> Value {
        self.manifest(INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})).await
    }

    pub async fn manifest(&self, media_type: &str, manifest: &Value) -> Value {
        let data = manifest.to_string();
        let mut descriptor = self.blob(data.as_bytes()).await;
        descriptor["mediaType"] = json!(media_type);
        descriptor
    }

    /// Lists a manifest under a name.
    pub async fn list(&self, descriptor: &Value, name: Option<&str>) {
        let entry = IndexEntry {
            media_type: descriptor["mediaType"].as_str().unwrap().to_owned(),
            digest: digest(descriptor),
            size_bytes: descriptor["size"].as_u64().unwrap(),
            name: name.map(str::to_owned),
        };
        self.writer.list(entry).await.unwrap();
    }

    pub async fn source(&self, name: &str) -> Source {
        layout_source(self.folder.path(), name).await
    }
}

pub fn digest(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

pub async fn layout_source(path: &Path, name: &str) -> Source {
    Source::Layout { layout: Layout::open(path).await.unwrap(), name: Some(name.to_owned()) }
}

pub fn end(registry: &dyn Registry, address: &str, name: &str) -> RepositoryEnd {
    RepositoryEnd::new(registry, address, &name.parse().unwrap()).unwrap()
}

pub fn from(end: &RepositoryEnd, reference: &str) -> Source {
    Source::Repository { end: end.clone(), reference: reference.parse().unwrap() }
}

pub fn to(end: &RepositoryEnd, tag: &str, journal: Option<&Journal>) -> Destination {
    Destination::Repository { end: end.clone(), tag: Some(tag.parse().unwrap()), journal: journal.cloned() }
}

pub async fn to_layout(path: &Path, tag: &str) -> Destination {
    Destination::Layout { writer: LayoutWriter::open(path).await.unwrap(), tag: Some(tag.parse().unwrap()) }
}

pub fn repository(registry: &dyn Registry, name: &str) -> Box<dyn Repository> {
    registry.repository(&name.parse().unwrap(), &Caller::default()).unwrap()
}

pub async fn blob_of(registry: &dyn Registry, name: &str, digest: &Digest) -> Result<Vec<u8>, RegistryError> {
    let content = repository(registry, name).blobs().fetch(digest, None).await?;
    Ok(content.stream.try_collect::<Vec<_>>().await?.concat())
}

pub async fn tag_of(registry: &dyn Registry, name: &str, tag: &str) -> Option<Digest> {
    let reference = Reference::Tag(tag.parse::<Tag>().unwrap());
    repository(registry, name).manifests().get(&reference).await.ok().map(|content| content.digest)
}

/// What happened, as text.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn has(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }
}

impl Progress for Told {
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

pub async fn run(source: Source, destination: Destination) -> Result<Copied, TransferError> {
    run_with(source, destination, CopyOptions::default()).await
}

pub async fn run_with(source: Source, destination: Destination, options: CopyOptions) -> Result<Copied, TransferError> {
    copy(source, destination, options, Arc::new(Told::default())).await
}
