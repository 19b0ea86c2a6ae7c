//! Whole images: layers, configuration, manifest, tag.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use rand::Rng as _;
use serde_json::json;

use super::answers::expect;
use super::answers::{Op, Refused};
use super::lane::Lane;
use super::task::Task;
use super::{lookups, pull, push};
use crate::client::transport::Body;
use crate::client::{Access, RawCall, RepositoryClient};
use crate::hashing::RunningDigest;
use crate::load::content::Blob;
use crate::load::measure::Failure;
use crate::load::plan::{ImagePull, ImagePush};
use crate::load::run::{Done, PushedManifest};
use crate::oci::Algorithm;

pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A type that no registry reads: the configuration is as incompressible as all else.
const CONFIG_TYPE: &str = "application/vnd.longshore.load.config.v1";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

const CONFIG_BYTES: u64 = 2 << 10;

const HEAD_BEFORE: Op = Op::accepting("blob.head", &[404]);
const PUT_MANIFEST: Op = Op::new("manifest.put");

/// An image that other workloads need: as small as can be.
const SMALL: ImagePush = ImagePush { layers: 1, layer_sizes: None, head_before: false, parallel: 1 };

pub(super) async fn push(task: &mut Task<'_>, plan: &ImagePush) -> Result<Done, Failure> {
    let repository = task.repository();
    let mut blobs = Vec::new();
    for _ in 0..plan.layers {
        blobs.push(match &plan.layer_sizes {
            Some(sizes) => task.context.blob_of(sizes).await,
            None => task.context.blob().await,
        });
    }
    blobs.push(task.context.source.blob(CONFIG_BYTES).await);
    let blob_bytes = push_blobs(task, &repository, &blobs, plan).await?;
    let manifest_bytes = put_manifest(task, &repository, blobs).await?;
    Ok(Done { bytes: blob_bytes + manifest_bytes })
}

/// Gives how many bytes were pushed.
async fn push_blobs(
    task: &mut Task<'_>,
    repository: &RepositoryClient,
    blobs: &[Blob],
    plan: &ImagePush,
) -> Result<u64, Failure> {
    // The first of them counts from when the task was due.
    let mut lanes = vec![task.lane.fork_due()];
    lanes.extend((1..blobs.len()).map(|_| task.lane.fork()));
    let mut bytes = 0;
    let head_before = plan.head_before;
    let pushes = blobs.iter().cloned().zip(lanes).map(|(blob, mut lane)| async move {
        let pushed = push_one(&mut lane, repository, &blob, head_before).await;
        (blob, lane, pushed)
    });
    let at_once = usize::try_from(plan.parallel.max(1)).unwrap_or(usize::MAX);
    let mut pushes = stream::iter(pushes).buffer_unordered(at_once);
    while let Some((blob, lane, pushed)) = pushes.next().await {
        if pushed? {
            bytes += blob.size();
            task.pushed(repository, &blob, &lane.history);
        }
    }
    Ok(bytes)
}

/// Gives whether it was not there before.
async fn push_one(
    lane: &mut Lane,
    repository: &RepositoryClient,
    blob: &Blob,
    head_before: bool,
) -> Result<bool, Refused> {
    if head_before {
        let url = repository.url(["blobs", &blob.digest().to_string()]);
        let call = RawCall::new("look up blob", Method::HEAD, url, Access::Pull);
        match lane.call(HEAD_BEFORE, repository, call).await {
            Ok(answer) => return expect(&answer, StatusCode::OK).map(|()| false),
            Err(refused) if refused.status() == 404 => {}
            Err(refused) => return Err(refused),
        }
    }
    push::monolithic(lane, repository, blob).await.map(|()| true)
}

/// Pushes a manifest that names `blobs` (the last one is the configuration) under a tag of its own; gives its size.
async fn put_manifest(task: &mut Task<'_>, repository: &RepositoryClient, blobs: Vec<Blob>) -> Result<u64, Failure> {
    let nonce = task.context.random.next_u64();
    let bytes = manifest(&blobs, nonce);
    let mut running = RunningDigest::new(Algorithm::Sha256);
    running.update(&bytes);
    let digest = running.finish();
    let tag = format!("load-{nonce:016x}");
    let size = bytes.len() as u64;
    let call = RawCall::new("push manifest", Method::PUT, repository.url(["manifests", &tag]), Access::Push)
        .header(CONTENT_TYPE, HeaderValue::from_static(MANIFEST_TYPE))
        .body(Body::Bytes(bytes));
    let answer = task.lane.call(PUT_MANIFEST, repository, call).await?;
    expect(&answer, StatusCode::CREATED)?;
    let pushed = PushedManifest { repository: repository.name().clone(), digest, tag: Some(tag), size, blobs };
    task.context.ledger.manifest(pushed, &mut task.context.random);
    Ok(size)
}

fn manifest(blobs: &[Blob], nonce: u64) -> Bytes {
    let descriptor = |media_type: &str, blob: &Blob| json!({"mediaType": media_type, "digest": blob.digest().to_string(), "size": blob.size()});
    let (layers, config) = blobs.split_at(blobs.len().saturating_sub(1));
    let layers: Vec<serde_json::Value> = layers.iter().map(|layer| descriptor(LAYER_TYPE, layer)).collect();
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config.first().map(|config| descriptor(CONFIG_TYPE, config)),
        "layers": layers,
        "annotations": {"longshore.load.nonce": format!("{nonce:016x}")},
    });
    document.to_string().into()
}

/// Pulls an image that this run pushed: its manifest by tag, then its blobs.
pub(super) async fn pull(task: &mut Task<'_>, plan: &ImagePull) -> Result<Done, Failure> {
    let pushed = any(task).await?;
    let repository = task.session.client.repository(&pushed.repository);
    lookups::manifest(&mut task.lane, &repository, &pushed).await?;
    let at_once = usize::try_from(plan.parallel.max(1)).unwrap_or(usize::MAX);
    let lanes: Vec<Lane> = pushed.blobs.iter().map(|_| task.lane.fork()).collect();
    let pulls = pushed.blobs.clone().into_iter().zip(lanes).map(|(blob, mut lane)| {
        let repository = &repository;
        async move { pull::pull(&mut lane, pull::GET, repository, &blob).await }
    });
    let mut pulls = stream::iter(pulls).buffer_unordered(at_once);
    while let Some(pulled) = pulls.next().await {
        pulled?;
    }
    Ok(Done { bytes: pushed.size + pushed.blobs.iter().map(Blob::size).sum::<u64>() })
}

/// A manifest that this run pushed. While there is none, a small image is pushed.
pub(super) async fn any(task: &mut Task<'_>) -> Result<PushedManifest, Failure> {
    if let Some(pushed) = task.context.ledger.any_manifest(&mut task.context.random) {
        return Ok(pushed);
    }
    push(task, &SMALL).await?;
    let pushed = task.context.ledger.any_manifest(&mut task.context.random);
    pushed.ok_or_else(|| super::failure::protocol("no manifest was pushed"))
}

/// Pushes another manifest for the blobs of one that this run pushed.
pub(super) async fn push_manifest(task: &mut Task<'_>) -> Result<Done, Failure> {
    let pushed = any(task).await?;
    let repository = task.session.client.repository(&pushed.repository);
    let bytes = put_manifest(task, &repository, pushed.blobs).await?;
    Ok(Done { bytes })
}
