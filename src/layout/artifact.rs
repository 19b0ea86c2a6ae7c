//! One file as an artifact.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::LayoutError;
use super::extent::FileExtent;
use super::index::IndexEntry;
use crate::hashing::RunningDigest;
use crate::oci::{Algorithm, Digest, ManifestType};

/// The type of a config that says nothing.
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

/// The annotation that keeps a file's name.
const TITLE: &str = "org.opencontainers.image.title";

const BUFFER_BYTES: u64 = 1 << 20;

/// What a file is said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactOptions {
    /// `artifactType` of the manifest.
    pub artifact_type: String,
    /// The media type of the file itself.
    pub media_type: String,
}

impl Default for ArtifactOptions {
    fn default() -> Self {
        ArtifactOptions {
            artifact_type: "application/vnd.unknown.artifact.v1".to_owned(),
            media_type: "application/octet-stream".to_owned(),
        }
    }
}

/// A file, the empty config, and the manifest that binds them.
#[derive(Clone, Debug)]
pub(super) struct Artifact {
    pub(super) entry: IndexEntry,
    pub(super) manifest: Bytes,
    config: Digest,
    layer: Digest,
    file: FileExtent,
}

/// The blobs of an artifact.
pub(super) enum Part {
    Manifest(Bytes),
    Config(Bytes),
    Layer(FileExtent),
}

impl Artifact {
    /// Reads the file once for its digest.
    ///
    /// Source: image-spec, `manifest.md`, "Guidelines for Artifact Usage". There is no time in it, so that the same
    /// file is the same artifact.
    pub(super) fn new(file: File, path: &Path, options: &ArtifactOptions) -> Result<Artifact, LayoutError> {
        let size_bytes = file.metadata().map_err(LayoutError::io("look at", path))?.len();
        let file = FileExtent { file: Arc::new(file), path: path.to_owned(), offset: 0, size_bytes };
        let (config, layer) = (digest_of(EMPTY), digest_of_file(&file)?);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": ManifestType::OciImage.as_str(),
            "artifactType": options.artifact_type,
            "config": {"mediaType": EMPTY_TYPE, "digest": config, "size": EMPTY.len(), "data": "e30="},
            "layers": [{
                "mediaType": options.media_type, "digest": layer, "size": size_bytes, "annotations": { TITLE: name },
            }],
        });
        let manifest = Bytes::from(manifest.to_string());
        let entry = IndexEntry {
            media_type: ManifestType::OciImage.as_str().to_owned(),
            digest: digest_of(&manifest),
            size_bytes: manifest.len() as u64,
            name: None,
        };
        Ok(Artifact { entry, manifest, config, layer, file })
    }

    pub(super) fn part(&self, digest: &Digest) -> Option<Part> {
        match digest {
            _ if *digest == self.entry.digest => Some(Part::Manifest(self.manifest.clone())),
            // Before the config: the file itself may be what the empty config is.
            _ if *digest == self.layer => Some(Part::Layer(self.file.clone())),
            _ if *digest == self.config => Some(Part::Config(Bytes::from_static(EMPTY))),
            _ => None,
        }
    }
}

pub(super) fn digest_of(data: &[u8]) -> Digest {
    let mut running = RunningDigest::new(Algorithm::default());
    running.update(data);
    running.finish()
}

fn digest_of_file(file: &FileExtent) -> Result<Digest, LayoutError> {
    let mut running = RunningDigest::new(Algorithm::default());
    while running.offset() < file.size_bytes {
        let end = file.size_bytes.min(running.offset() + BUFFER_BYTES);
        running.update(&file.read(running.offset()..end)?);
    }
    Ok(running.finish())
}
