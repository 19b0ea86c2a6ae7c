//! `/v2/<name>/blobs/uploads/` and the addresses below it.
//!
//! Source: distribution-spec, end-4a to end-6, end-11, end-13 and end-14.

use actix_web::http::StatusCode;
use actix_web::http::header::RANGE;

use super::transfer::{Placement, receive};
use crate::http::answer::{Answer, DOCKER_UPLOAD_UUID};
use crate::http::body::RequestBody;
use crate::http::error::ApiError;
use crate::http::server::Context;
use crate::oci::{Algorithm, Digest, ErrorCode, RepositoryName, UploadId};
use crate::registry::{RegistryError, Repository, StartPoint, Upload, WriteRequest};

/// `POST`: a mount, a whole blob, or a new upload.
pub(super) async fn start(
    context: &Context<'_>,
    name: &RepositoryName,
    body: &mut RequestBody,
) -> Result<Answer, ApiError> {
    let repository = context.repository(name)?;
    let mount = digest_parameter(context, "mount")?;
    let digest = digest_parameter(context, "digest")?;
    let hint: Option<Algorithm> = context.query.get("digest-algorithm").map(str::parse).transpose()?;
    if let Some(mount) = &mount
        && let Some(answer) = try_mount(context, &*repository, mount).await?
    {
        return Ok(answer);
    }
    if let Some(digest) = &digest {
        return push_whole(context, &*repository, digest, body).await;
    }
    let algorithm = hint.or(mount.as_ref().map(Digest::algorithm)).unwrap_or_default();
    let upload = repository.uploads().start(algorithm).await?;
    context.record.set_upload(upload.id());
    Ok(progress(context, StatusCode::ACCEPTED, name, upload.id(), 0))
}

/// `None`: it has to be uploaded.
async fn try_mount(
    context: &Context<'_>,
    repository: &dyn Repository,
    digest: &Digest,
) -> Result<Option<Answer>, ApiError> {
    let from: Option<RepositoryName> = match context.query.get("from").filter(|from| !from.is_empty()) {
        None => None,
        Some(from) => match from.parse() {
            Ok(from) => Some(from),
            // No repository has such a name, so none has the blob.
            Err(_) => return Ok(None),
        },
    };
    let mounted = repository.blobs().mount(digest, from.as_ref()).await?;
    Ok(mounted.map(|_| created(context, repository.name(), digest)))
}

/// A blob in one request. Its upload is told to nobody, so nothing of it stays when it fails.
async fn push_whole(
    context: &Context<'_>,
    repository: &dyn Repository,
    digest: &Digest,
    body: &mut RequestBody,
) -> Result<Answer, ApiError> {
    let upload = repository.uploads().start(digest.algorithm()).await?;
    context.record.set_upload(upload.id());
    let request = WriteRequest {
        start: StartPoint::Current,
        length: body.content_length(),
        digest: Some(digest.clone()),
        discard_on_cut: true,
    };
    let pushed = async {
        let writer = receive(body, upload.write(request).await?).await?;
        Ok::<_, ApiError>(writer.commit(digest).await?)
    };
    if let Err(error) = pushed.await {
        discard(&*upload, context).await;
        return Err(error);
    }
    Ok(created(context, repository.name(), digest))
}

async fn discard(upload: &dyn Upload, context: &Context<'_>) {
    match upload.cancel().await {
        Ok(()) | Err(RegistryError::UploadUnknown | RegistryError::UploadExpired { .. }) => {}
        Err(error) => {
            let (request_id, upload_id) = (context.record.id(), upload.id().to_string());
            log::warn!(request_id, upload_id, error:% = error; "a failed upload could not be removed");
        }
    }
}

/// `PATCH`: some bytes.
pub(super) async fn append(
    context: &Context<'_>,
    name: &RepositoryName,
    id: UploadId,
    body: &mut RequestBody,
) -> Result<Answer, ApiError> {
    let placement = Placement::of(context, body)?;
    let repository = context.repository(name)?;
    let upload = repository.uploads().resume(id).await?;
    let appended = async {
        let writer = receive(body, upload.write(placement.request(None)).await?).await?;
        Ok::<u64, ApiError>(writer.finish().await?)
    };
    match appended.await {
        Ok(offset) => Ok(progress(context, StatusCode::ACCEPTED, name, id, offset)),
        Err(error) => Err(located(context, name, &*upload, error).await),
    }
}

/// `PUT`: the last bytes, if any, and the end. It answers 201 as well when the upload is gone because an
/// earlier such request has ended it.
pub(super) async fn finish(
    context: &Context<'_>,
    name: &RepositoryName,
    id: UploadId,
    body: &mut RequestBody,
) -> Result<Answer, ApiError> {
    let digest = digest_parameter(context, "digest")?.ok_or_else(ApiError::digest_missing)?;
    let placement = Placement::of(context, body)?;
    let repository = context.repository(name)?;
    match commit(context, &*repository, id, &digest, &placement, body).await {
        Ok(()) => Ok(created(context, name, &digest)),
        Err(error) if error.code() == ErrorCode::BlobUploadUnknown => match repository.blobs().stat(&digest).await {
            Ok(size_bytes) => {
                // The blob is there, so its bytes are sent for nothing; a client that has sent them finds its answer.
                body.drop_rest(size_bytes).await;
                Ok(created(context, name, &digest))
            }
            Err(RegistryError::BlobUnknown(_) | RegistryError::NameUnknown) => Err(error),
            Err(fault) => Err(fault.into()),
        },
        Err(error) => Err(error),
    }
}

async fn commit(
    context: &Context<'_>,
    repository: &dyn Repository,
    id: UploadId,
    digest: &Digest,
    placement: &Placement,
    body: &mut RequestBody,
) -> Result<(), ApiError> {
    let upload = repository.uploads().resume(id).await?;
    let committed = async {
        // Nothing to write, so no right to write is needed.
        if body.is_absent() && !placement.is_ranged {
            upload.commit(digest).await?;
            return Ok::<(), ApiError>(());
        }
        let writer = receive(body, upload.write(placement.request(Some(digest))).await?).await?;
        writer.commit(digest).await?;
        Ok(())
    };
    match committed.await {
        Ok(()) => Ok(()),
        Err(error) => Err(located(context, repository.name(), &*upload, error).await),
    }
}

/// `GET` and `HEAD`: where it stands.
pub(super) async fn status(context: &Context<'_>, name: &RepositoryName, id: UploadId) -> Result<Answer, ApiError> {
    let repository = context.repository(name)?;
    let status = repository.uploads().resume(id).await?.status().await?;
    Ok(progress(context, StatusCode::NO_CONTENT, name, id, status.offset))
}

/// `DELETE`: the end, with nothing left.
pub(super) async fn cancel(context: &Context<'_>, name: &RepositoryName, id: UploadId) -> Result<Answer, ApiError> {
    let repository = context.repository(name)?;
    repository.uploads().resume(id).await?.cancel().await?;
    Ok(Answer::new(StatusCode::NO_CONTENT).header(DOCKER_UPLOAD_UUID, id.to_string()))
}

fn digest_parameter(context: &Context<'_>, name: &str) -> Result<Option<Digest>, ApiError> {
    Ok(context.query.get(name).map(str::parse).transpose()?)
}

fn created(context: &Context<'_>, name: &RepositoryName, digest: &Digest) -> Answer {
    let path = format!("/v2/{name}/blobs/{digest}");
    Answer::new(StatusCode::CREATED).location(context.location(path)).digest(digest)
}

/// Where to go on. The offset in the address is the one it was issued for: a body that is sent to it
/// again is known as the same one.
fn upload_location(context: &Context<'_>, name: &RepositoryName, id: UploadId, offset: u64) -> String {
    context.location(format!("/v2/{name}/blobs/uploads/{id}?offset={offset}"))
}

/// The last byte's position, as the specification has it; an empty upload says `0-0` too.
fn range_text(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}

fn progress(context: &Context<'_>, status: StatusCode, name: &RepositoryName, id: UploadId, offset: u64) -> Answer {
    Answer::new(status)
        .location(upload_location(context, name, id, offset))
        .header(RANGE, range_text(offset))
        .header(DOCKER_UPLOAD_UUID, id.to_string())
}

/// Tells with a failed body where the upload stands now, so that the client can go on without asking.
async fn located(context: &Context<'_>, name: &RepositoryName, upload: &dyn Upload, error: ApiError) -> ApiError {
    if error.has_nothing_to_go_on_with() {
        return error;
    }
    // Where the upload is gone meanwhile, there is nothing to tell.
    let Ok(status) = upload.status().await else {
        return error;
    };
    error
        .with_header(actix_web::http::header::LOCATION, &upload_location(context, name, status.id, status.offset))
        .with_header(RANGE, &range_text(status.offset))
        .with_header(DOCKER_UPLOAD_UUID, &status.id.to_string())
}
