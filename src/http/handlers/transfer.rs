//! The way of a body into an upload: where its bytes go, and the pump.

use actix_web::http::header::CONTENT_RANGE;
use bytes::Bytes;

use crate::http::body::{BodyError, RequestBody};
use crate::http::content_range::ContentRange;
use crate::http::error::ApiError;
use crate::http::server::Context;
use crate::oci::Digest;
use crate::registry::{RegistryError, StartPoint, UploadWriter, WriteRequest};

/// Where a body's bytes go, and how many there are, as the request says.
pub(super) struct Placement {
    start: StartPoint,
    /// By `Content-Range`, else by `Content-Length`.
    length: Option<u64>,
    /// Whether there was a `Content-Range`.
    pub(super) is_ranged: bool,
}

impl Placement {
    /// A range alone decides; without one it is the offset that the address was issued for; without
    /// that (a client that made the address itself, or another registry's address) where the upload
    /// stands. The body is told of it, before anything of it is received.
    pub(super) fn of(context: &Context<'_>, body: &RequestBody) -> Result<Placement, ApiError> {
        let content_length = body.content_length();
        if let Some(header) = context.request.headers().get(CONTENT_RANGE) {
            let range =
                header.to_str().ok().and_then(|text| ContentRange::parse(text).ok()).ok_or_else(|| {
                    ApiError::upload_invalid(crate::http::content_range::ContentRangeError.to_string())
                })?;
            if content_length.is_some_and(|length| length > range.length) {
                return Err(ApiError::longer_than_range(range.length));
            }
            body.lies_at(range.start);
            return Ok(Placement {
                start: StartPoint::Exactly(range.start),
                length: Some(range.length),
                is_ranged: true,
            });
        }
        let hint: Option<u64> = context.query.get("offset").and_then(|offset| offset.parse().ok());
        body.lies_at(hint.unwrap_or(0));
        let start = hint.map_or(StartPoint::Current, StartPoint::Replay);
        Ok(Placement { start, length: content_length, is_ranged: false })
    }

    /// `digest`: what the body is the last part of.
    pub(super) fn request(&self, digest: Option<&Digest>) -> WriteRequest {
        WriteRequest { start: self.start, length: self.length, digest: digest.cloned(), discard_on_cut: false }
    }
}

/// Sends the body on, piece by piece, and gives the writer back when it came whole. Otherwise the writer
/// is told that it was cut: what arrived is kept as far as the upload's request says.
///
/// The writer knows the length that was said: it refuses a longer body when it comes, a shorter one at
/// its end.
pub(super) async fn receive(
    body: &mut RequestBody,
    mut writer: Box<dyn UploadWriter>,
) -> Result<Box<dyn UploadWriter>, ApiError> {
    loop {
        match next_piece(body, &mut *writer).await? {
            Ok(Some(piece)) => writer.send(piece).await?,
            Ok(None) => return Ok(writer),
            Err(broken) => {
                return Err(match writer.cut().await {
                    // Of a single POST nothing stays, and that is all there is to say of it.
                    Ok(_) | Err(RegistryError::UploadUnknown) => broken.into(),
                    Err(error) => error.into(),
                });
            }
        }
    }
}

/// The next piece of the body, unless the right to write it is lost before. Where bodies take turns, it waits for its turn
/// when there is something to receive, and before that is received.
async fn next_piece(
    body: &mut RequestBody,
    writer: &mut dyn UploadWriter,
) -> Result<Result<Option<Bytes>, BodyError>, ApiError> {
    while writer.takes_turns() && body.can_wait_unreceived() {
        if let Some(received) = body.next_received() {
            return Ok(received);
        }
        if let Err(broken) = unless_lost(body.something_there(), writer).await? {
            return Ok(Err(broken));
        }
        let most_bytes = writer.turn().await?;
        writer.end_turn(body.receive_now(most_bytes)).await?;
    }
    unless_lost(body.next(), writer).await
}

async fn unless_lost<T>(what: impl Future<Output = T>, writer: &mut dyn UploadWriter) -> Result<T, ApiError> {
    tokio::select! {
        biased;
        outcome = what => Ok(outcome),
        lost = writer.lost() => Err(lost.into()),
    }
}
