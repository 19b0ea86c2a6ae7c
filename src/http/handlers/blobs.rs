//! `/v2/<name>/blobs/<digest>`.
//!
//! Source: distribution-spec, end-2 and end-10; RFC 9110, sections 13 and 14, for conditions and ranges.

use std::ops::Range;
use std::time::SystemTime;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    LAST_MODIFIED,
};

use crate::http::answer::{Answer, Content};
use crate::http::conditions::{entity_tag, is_not_modified, range_applies};
use crate::http::error::ApiError;
use crate::http::range::{Wanted, wanted};
use crate::http::server::Context;
use crate::oci::{Digest, DigestError, RepositoryName};
use crate::registry::{BlobContent, Blobs};
use crate::telemetry::DirectionLabels;

/// Bytes under a digest never change. Only the client's own cache may keep them: whoever asks a shared
/// one would still see what was deleted here.
const CACHE_FOR_EVER: &str = "private, max-age=31536000, immutable";

/// `GET` and `HEAD`.
pub(super) async fn get(
    context: &Context<'_>,
    name: &RepositoryName,
    digest: Result<Digest, DigestError>,
) -> Result<Answer, ApiError> {
    let digest = digest?;
    let repository = context.repository(name)?;
    let blobs = repository.blobs();
    let headers = context.request.headers();
    if context.is_head() {
        let size_bytes = blobs.stat(&digest).await?;
        if headers.contains_key(IF_NONE_MATCH) && is_not_modified(headers, &digest, None) {
            return Ok(not_modified(&digest));
        }
        return Ok(described(StatusCode::OK, &digest, None).content(Content::Length(size_bytes)));
    }
    if headers.contains_key(IF_NONE_MATCH) && is_not_modified(headers, &digest, None) {
        blobs.stat(&digest).await?;
        return Ok(not_modified(&digest));
    }
    let range = context.header("range");
    if range.is_none() || headers.contains_key(IF_MODIFIED_SINCE) || headers.contains_key(IF_RANGE) {
        return get_dated(context, blobs, &digest, range).await;
    }
    get_range(context, blobs, &digest, range).await
}

/// The whole, or what depends on the blob's date.
async fn get_dated(
    context: &Context<'_>,
    blobs: &dyn Blobs,
    digest: &Digest,
    range: Option<&str>,
) -> Result<Answer, ApiError> {
    let content = blobs.fetch(digest, None).await?;
    let headers = context.request.headers();
    if is_not_modified(headers, digest, content.modified) {
        return Ok(not_modified(digest));
    }
    if range.is_some() && range_applies(headers, digest, content.modified) {
        return get_range(context, blobs, digest, range).await;
    }
    Ok(whole(context, digest, content))
}

async fn get_range(
    context: &Context<'_>,
    blobs: &dyn Blobs,
    digest: &Digest,
    range: Option<&str>,
) -> Result<Answer, ApiError> {
    let size_bytes = blobs.stat(digest).await?;
    match wanted(range, size_bytes) {
        Wanted::Whole => Ok(whole(context, digest, blobs.fetch(digest, None).await?)),
        Wanted::Nothing => Err(ApiError::range_not_satisfiable(size_bytes)),
        Wanted::Part(range) => Ok(part(context, digest, blobs.fetch(digest, Some(range)).await?)),
    }
}

fn whole(context: &Context<'_>, digest: &Digest, content: BlobContent) -> Answer {
    let size_bytes = content.size_bytes;
    described(StatusCode::OK, digest, content.modified).content(streamed(context, content, 0..size_bytes))
}

fn part(context: &Context<'_>, digest: &Digest, content: BlobContent) -> Answer {
    let range = content.range.clone();
    let shown = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), content.size_bytes);
    described(StatusCode::PARTIAL_CONTENT, digest, content.modified)
        .header(CONTENT_RANGE, shown)
        .content(streamed(context, content, range))
}

fn streamed(context: &Context<'_>, content: BlobContent, range: Range<u64>) -> Content {
    let sent = context.shared.metrics.blob_bytes.get_or_create_owned(&DirectionLabels { direction: "out" });
    Content::Stream { length: range.end - range.start, stream: content.stream, sender: content.sender, sent }
}

fn described(status: StatusCode, digest: &Digest, modified: Option<SystemTime>) -> Answer {
    let answer = Answer::new(status)
        .digest(digest)
        .header_static(CONTENT_TYPE, "application/octet-stream")
        .header_static(ACCEPT_RANGES, "bytes")
        .header_static(CACHE_CONTROL, CACHE_FOR_EVER)
        .header(ETAG, entity_tag(digest));
    match modified {
        Some(modified) => answer.header(LAST_MODIFIED, httpdate::fmt_http_date(modified)),
        None => answer,
    }
}

fn not_modified(digest: &Digest) -> Answer {
    Answer::new(StatusCode::NOT_MODIFIED)
        .digest(digest)
        .header_static(CACHE_CONTROL, CACHE_FOR_EVER)
        .header(ETAG, entity_tag(digest))
}

/// `DELETE`: the repository's link goes.
pub(super) async fn delete(
    context: &Context<'_>,
    name: &RepositoryName,
    digest: Result<Digest, DigestError>,
) -> Result<Answer, ApiError> {
    let digest = digest?;
    context.repository(name)?.blobs().delete(&digest).await?;
    Ok(Answer::new(StatusCode::ACCEPTED).digest(&digest))
}
