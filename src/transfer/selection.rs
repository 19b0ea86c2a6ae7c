//! Which part of an index is copied.

use bytes::Bytes;
use serde_json::Value;

use super::error::{End, TransferError};
use super::platform::Platform;
use super::survey::Document;
use super::{Source, ends};
use crate::hashing::RunningDigest;
use crate::oci::{Algorithm, Descriptor};

/// The longest image config that is read to see what the image is for.
const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// How buildkit says which image its attestation is about.
const ATTESTED: &str = "vnd.docker.reference.digest";

/// What is left of a manifest when only these platforms are wanted; no platforms are all.
///
/// For one platform it is the image itself. For several it is a new index, which lists what the old one has of them and
/// what attests it; its digest is another one.
pub(super) async fn select(source: &Source, root: Document, platforms: &[Platform]) -> Result<Document, TransferError> {
    if platforms.is_empty() {
        return Ok(root);
    }
    if !root.manifest.manifest_type.is_index() {
        return check_image(source, root, platforms).await;
    }
    let Listing { mut document, entries } = Listing::read(&root)?;
    let mut chosen = Vec::new();
    for platform in platforms {
        let taken = entries.iter().position(|entry| entry.platform.as_ref().is_some_and(|found| platform.takes(found)));
        let Some(position) = taken else {
            let known = entries.into_iter().filter_map(|entry| entry.platform).collect();
            return Err(TransferError::NoSuchPlatform { platform: platform.clone(), known });
        };
        if !chosen.contains(&position) {
            chosen.push(position);
        }
    }
    if let [only] = chosen[..] {
        return Document::of(source, &root.manifest.manifests[only]).await;
    }
    let digests: Vec<&str> = chosen.iter().map(|position| entries[*position].digest.as_str()).collect();
    let kept: Vec<Value> = entries
        .iter()
        .enumerate()
        .filter(|(position, entry)| {
            chosen.contains(position) || entry.attested.as_deref().is_some_and(|about| digests.contains(&about))
        })
        .map(|(_, entry)| entry.value.clone())
        .collect();
    document["manifests"] = Value::Array(kept);
    let data = Bytes::from(document.to_string());
    let mut running = RunningDigest::new(Algorithm::default());
    running.update(&data);
    Document::parse(running.finish(), data)
}

/// An index as its JSON, beside what is needed of its entries.
struct Listing {
    document: Value,
    entries: Vec<Entry>,
}

struct Entry {
    value: Value,
    digest: String,
    platform: Option<Platform>,
    attested: Option<String>,
}

impl Listing {
    fn read(root: &Document) -> Result<Listing, TransferError> {
        let invalid = || TransferError::invalid(format_args!("index {}", root.digest), "its manifests cannot be read");
        let document: Value = serde_json::from_slice(&root.data).map_err(|_| invalid())?;
        let manifests = document.get("manifests").and_then(Value::as_array).cloned().unwrap_or_default();
        if manifests.len() != root.manifest.manifests.len() {
            return Err(invalid());
        }
        let entries = manifests.into_iter().map(|value| {
            let text = |value: Option<&Value>| Some(value?.as_str()?.to_owned());
            let platform = value.get("platform").and_then(|platform| serde_json::from_value(platform.clone()).ok());
            let attested = text(value.get("annotations").and_then(|annotations| annotations.get(ATTESTED)));
            Entry { digest: text(value.get("digest")).unwrap_or_default(), platform, attested, value }
        });
        let entries = entries.collect();
        Ok(Listing { document, entries })
    }
}

/// A single image is for one platform, which its config tells.
async fn check_image(source: &Source, root: Document, platforms: &[Platform]) -> Result<Document, TransferError> {
    let config = root.manifest.blobs.first().filter(|config| config.size <= MAX_CONFIG_BYTES);
    let found = match config {
        Some(config) => platform_of(source, config).await?,
        None => None,
    };
    let unwanted = platforms.iter().find(|platform| !found.as_ref().is_some_and(|found| platform.takes(found)));
    match unwanted {
        None => Ok(root),
        Some(platform) => {
            Err(TransferError::NoSuchPlatform { platform: platform.clone(), known: found.into_iter().collect() })
        }
    }
}

async fn platform_of(source: &Source, config: &Descriptor) -> Result<Option<Platform>, TransferError> {
    use futures_util::StreamExt as _;
    let mut pieces = source.open(config, 0).await?;
    let mut data = Vec::new();
    while let Some(piece) = pieces.next().await {
        data.extend_from_slice(&piece.map_err(End::Source.failed(ends::named(&config.digest)))?);
        if data.len() as u64 > config.size {
            return Err(ends::wrong_size(config, data.len() as u64));
        }
    }
    Ok(serde_json::from_slice(&data).ok())
}
