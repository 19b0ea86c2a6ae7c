//! `/v2/_catalog`: the repositories.
//!
//! Source: Docker's registry API, "Catalog".

use actix_web::http::StatusCode;
use actix_web::http::header::LINK;
use serde_json::json;

use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::pagination::{next_link, page_request};
use crate::http::server::Context;
use crate::oci::RepositoryName;

/// `GET`: a page of names.
pub(super) async fn list(context: &Context<'_>) -> Result<Answer, ApiError> {
    let request = page_request(&context.query)?;
    let page = context.shared.registry.catalog(&request).await?;
    let names: Vec<&str> = page.items.iter().map(RepositoryName::as_str).collect();
    let mut answer = Answer::json(StatusCode::OK, &json!({ "repositories": names }));
    if let (true, Some(last)) = (page.more, names.last()) {
        answer = answer.header(LINK, next_link("/v2/_catalog", &request, last, &[]));
    }
    Ok(answer)
}
