//! One function for each call of the admin API.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use bytes::Bytes;

use super::control::{ControlError, UploadControl};
use super::{documents, input};
use crate::http::access_log::RequestRecord;
use crate::http::answer::{Answer, Content};
use crate::http::error::ApiError;
use crate::http::query::Query;
use crate::oci::UploadId;
use crate::upload::UploadView;

/// What the API serves, in OpenAPI 3.1.
pub(in crate::http) const OPENAPI: &str = include_str!("openapi.json");

/// One call, as the handlers see it.
pub(super) struct Call<'a> {
    pub(super) control: &'a dyn UploadControl,
    /// The path's `{id}`, as it was sent.
    pub(super) id: Option<&'a str>,
    pub(super) query: Query,
    pub(super) body: Bytes,
    pub(super) record: &'a RequestRecord,
}

pub(super) fn openapi(call: &Call<'_>) -> Result<Answer, ApiError> {
    input::check_names(&call.query, &[])?;
    let content = Content::Whole(Bytes::from_static(OPENAPI.as_bytes()));
    Ok(Answer::new(StatusCode::OK).header_static(CONTENT_TYPE, "application/json").content(content))
}

pub(super) async fn list_uploads(call: &Call<'_>) -> Result<Answer, ApiError> {
    let page = call.control.list(input::list_uploads(&call.query)?).await?;
    Ok(Answer::json(StatusCode::OK, &documents::page(&page)))
}

pub(super) async fn show_upload(call: &Call<'_>) -> Result<Answer, ApiError> {
    let upload = find(call).await?;
    Ok(Answer::json(StatusCode::OK, &documents::upload(&upload)))
}

pub(super) async fn cancel_upload(call: &Call<'_>) -> Result<Answer, ApiError> {
    input::nothing(&call.body)?;
    let upload = find(call).await?;
    call.control.cancel(&upload.repository, upload.id).await?;
    log_end(call, &upload, "an operator cancelled an upload");
    Ok(Answer::json(StatusCode::OK, &documents::ended(&upload)))
}

pub(super) async fn expire_upload(call: &Call<'_>) -> Result<Answer, ApiError> {
    input::nothing(&call.body)?;
    let upload = find(call).await?;
    call.control.expire(&upload.repository, upload.id).await?;
    log_end(call, &upload, "an operator made an upload expire");
    Ok(Answer::json(StatusCode::OK, &documents::ended(&upload)))
}

pub(super) async fn start_scan(call: &Call<'_>) -> Result<Answer, ApiError> {
    input::check_names(&call.query, &[])?;
    let wanted: input::ScanBody = input::object(&call.body)?;
    call.control.scan(wanted.dry_run).await?;
    Ok(Answer::json(StatusCode::ACCEPTED, &documents::report(&call.control.scan_report())))
}

pub(super) fn show_scan(call: &Call<'_>) -> Result<Answer, ApiError> {
    input::check_names(&call.query, &[])?;
    Ok(Answer::json(StatusCode::OK, &documents::report(&call.control.scan_report())))
}

pub(super) async fn reload(call: &Call<'_>) -> Result<Answer, ApiError> {
    input::check_names(&call.query, &[])?;
    input::nothing(&call.body)?;
    let reloaded = call.control.reload().await?;
    Ok(Answer::json(StatusCode::OK, &documents::reloaded(&reloaded)))
}

/// The one upload that a call is about. An id is random, so two repositories have the same one only when somebody made
/// it so, by a copy of a folder for instance.
async fn find(call: &Call<'_>) -> Result<UploadView, ApiError> {
    input::check_names(&call.query, &["repository"])?;
    let repository = input::repository(&call.query)?;
    // What is no id is the id of no upload.
    let id: UploadId = call.id.unwrap_or("").parse().map_err(|_| ControlError::Unknown)?;
    call.record.set_upload(id);
    let mut found = call.control.find(id, repository).await?;
    match found.len() {
        0 | 1 => found.pop().ok_or_else(|| ControlError::Unknown.into()),
        _ => Err(ApiError::several_uploads(found.iter().map(|upload| upload.repository.as_str()))),
    }
}

fn log_end(call: &Call<'_>, upload: &UploadView, message: &str) {
    log::info!(
        request_id = call.record.id(), repository = upload.repository.as_str(), upload_id:% = upload.id,
        offset_bytes = upload.offset;
        "{message}"
    );
}
