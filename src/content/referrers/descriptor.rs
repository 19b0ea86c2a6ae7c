use bytes::Bytes;
use serde_json::{Map, Value};

use crate::content::store::Store;
use crate::oci::{Digest, Manifest, RepositoryName};
use crate::storage::{PutMode, StorageError, keys};

/// The descriptor of a referrer, as it stands in the list.
///
/// Source: distribution-spec, "Listing Referrers".
pub(super) fn descriptor(digest: &Digest, size_bytes: u64, manifest: &Manifest) -> Map<String, Value> {
    let mut descriptor = Map::new();
    descriptor.insert("mediaType".into(), manifest.manifest_type.as_str().into());
    descriptor.insert("digest".into(), digest.to_string().into());
    descriptor.insert("size".into(), size_bytes.into());
    if let Some(artifact_type) = &manifest.artifact_type {
        descriptor.insert("artifactType".into(), artifact_type.as_str().into());
    }
    if !manifest.annotations.is_empty() {
        let annotations = manifest.annotations.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
        descriptor.insert("annotations".into(), Value::Object(annotations.collect()));
    }
    descriptor
}

/// Reads a descriptor that the index holds; `None` when it is not the one of `digest`.
pub(super) fn parse(data: &[u8], digest: &Digest) -> Option<Map<String, Value>> {
    let descriptor: Map<String, Value> = serde_json::from_slice(data).ok()?;
    let is_its_own = descriptor.get("digest").and_then(Value::as_str).is_some_and(|text| text == digest.to_string());
    is_its_own.then_some(descriptor)
}

impl Store {
    /// Enters a manifest that has a subject into the index. One driver call, none without a subject.
    pub(in crate::content) async fn index_referrer(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size_bytes: u64,
        manifest: &Manifest,
    ) -> Result<(), StorageError> {
        let Some(subject) = &manifest.subject else { return Ok(()) };
        let text = Value::Object(descriptor(digest, size_bytes, manifest)).to_string();
        let key = keys::referrer(repository, subject, digest);
        self.driver.put(&key, Bytes::from(text), PutMode::Overwrite, self.options.durability).await?;
        Ok(())
    }
}
