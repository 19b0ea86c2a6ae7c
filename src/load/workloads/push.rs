//! Pushes that go well: in one PUT, one POST, one stream, chunk by chunk.

use http::{Method, StatusCode};
use rand::rngs::SmallRng;

use super::answers::{Op, Refused};
use super::body::Part;
use super::lane::Lane;
use super::task::Task;
use super::upload::{PATCH, Tells, Upload, with_part};
use crate::client::{Access, RawCall, RepositoryClient};
use crate::load::content::Blob;
use crate::load::measure::Failure;
use crate::load::plan::{PushChunked, Sizes};
use crate::load::run::{Done, PushedBlob};

const SINGLE_POST: Op = Op::new("blob.post");

/// How often a registry may keep less of a chunk than it was sent before it is given up.
const MOST_SHORT_CHUNKS: u32 = 10;

/// By which requests a blob is pushed.
#[derive(Clone, Copy)]
pub(super) enum How<'a> {
    Monolithic,
    SinglePost,
    Streamed,
    Chunked(&'a PushChunked),
}

/// Pushes one blob.
pub(super) async fn run(task: &mut Task<'_>, how: How<'_>) -> Result<Done, Failure> {
    let blob = task.context.blob().await;
    this(task, &blob, how).await
}

/// Pushes this one.
pub(super) async fn this(task: &mut Task<'_>, blob: &Blob, how: How<'_>) -> Result<Done, Failure> {
    let repository = task.repository();
    match how {
        How::Monolithic => monolithic(&mut task.lane, &repository, blob).await?,
        How::SinglePost => single_post(&mut task.lane, &repository, blob).await?,
        How::Streamed => streamed(&mut task.lane, &repository, blob).await?,
        How::Chunked(plan) => {
            chunked(&mut task.lane, &repository, blob, &plan.chunk_sizes, &mut task.context.random).await?;
        }
    }
    let history = task.lane.history.clone();
    task.pushed(&repository, blob, &history);
    Ok(Done { bytes: blob.size() })
}

/// A blob that this run pushed. While there is none, one is pushed.
pub(super) async fn any(task: &mut Task<'_>) -> Result<PushedBlob, Failure> {
    if let Some(pushed) = task.context.ledger.any_blob(&mut task.context.random) {
        return Ok(pushed);
    }
    run(task, How::Monolithic).await?;
    let pushed = task.context.ledger.any_blob(&mut task.context.random);
    pushed.ok_or_else(|| super::failure::protocol("no blob was pushed"))
}

/// POST, then a PUT with all of it.
pub(super) async fn monolithic(lane: &mut Lane, repository: &RepositoryClient, blob: &Blob) -> Result<(), Refused> {
    let mut upload = Upload::start(lane, repository, blob).await?;
    upload.commit(lane, Some((Part::whole(blob), Tells::Nothing))).await
}

/// One POST with all of it. A registry that does not take it so begins an upload instead.
async fn single_post(lane: &mut Lane, repository: &RepositoryClient, blob: &Blob) -> Result<(), Refused> {
    let mut url = repository.url(["blobs", "uploads", ""]);
    url.query_pairs_mut().append_pair("digest", &blob.digest().to_string());
    let call = RawCall::new("push blob", Method::POST, url, Access::Push);
    let call = with_part(call, Part::whole(blob), Tells::Nothing, lane);
    let answer = lane.call(SINGLE_POST, repository, call).await?;
    match answer.status {
        StatusCode::CREATED => Ok(()),
        StatusCode::ACCEPTED => {
            let mut upload = Upload::of_answer(lane, repository, blob, &answer)?;
            upload.commit(lane, Some((Part::whole(blob), Tells::Nothing))).await
        }
        other => Err(Refused::answer(format!("status {}, neither 201 nor 202", other.as_u16()))),
    }
}

/// POST, a PATCH whose length nobody is told, an empty PUT.
async fn streamed(lane: &mut Lane, repository: &RepositoryClient, blob: &Blob) -> Result<(), Refused> {
    let mut upload = Upload::start(lane, repository, blob).await?;
    let held = upload.patch(lane, PATCH, Part::whole(blob).streamed(), Tells::Nothing).await?;
    if held < blob.size() {
        return Err(Refused::answer(format!("it holds {held} of {} bytes", blob.size())));
    }
    upload.commit(lane, None).await
}

/// POST, PATCH after PATCH, an empty PUT.
async fn chunked(
    lane: &mut Lane,
    repository: &RepositoryClient,
    blob: &Blob,
    sizes: &Sizes,
    random: &mut SmallRng,
) -> Result<(), Refused> {
    let mut upload = Upload::start(lane, repository, blob).await?;
    let (mut offset, mut short_chunks) = (0, 0);
    while offset < blob.size() {
        let length = sizes.draw(random).max(upload.min_chunk).max(1);
        let end = offset.saturating_add(length).min(blob.size());
        let held = upload.patch(lane, PATCH, Part::of(blob, offset..end), Tells::Range).await?;
        short_chunks += u32::from(held < end);
        if short_chunks > MOST_SHORT_CHUNKS {
            return Err(Refused::answer(format!("it holds {held} bytes after chunks up to {end}")));
        }
        offset = held;
    }
    upload.commit(lane, None).await
}
