//! `/v2/<name>/tags/list`.
//!
//! Source: distribution-spec, end-8a and end-8b.

use actix_web::http::StatusCode;
use actix_web::http::header::LINK;
use serde_json::json;

use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::pagination::{next_link, page_request};
use crate::http::server::Context;
use crate::oci::{RepositoryName, Tag};

/// `GET`: a page of tags.
pub(super) async fn list(context: &Context<'_>, name: &RepositoryName) -> Result<Answer, ApiError> {
    let request = page_request(&context.query)?;
    let repository = context.repository(name)?;
    let page = repository.tags().list(&request).await?;
    let tags: Vec<&str> = page.items.iter().map(Tag::as_str).collect();
    let mut answer = Answer::json(StatusCode::OK, &json!({ "name": name.as_str(), "tags": tags }));
    if let (true, Some(last)) = (page.more, tags.last()) {
        answer = answer.header(LINK, next_link(&format!("/v2/{name}/tags/list"), &request, last, &[]));
    }
    Ok(answer)
}
