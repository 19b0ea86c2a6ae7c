//! `/v2/<name>/referrers/<digest>`.
//!
//! Source: distribution-spec, end-12a and end-12b.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, LINK};
use serde_json::json;

use crate::http::answer::{Answer, Content};
use crate::http::error::ApiError;
use crate::http::pagination::{next_link, page_request};
use crate::http::server::Context;
use crate::oci::{Digest, DigestError, RepositoryName};
use crate::registry::{Page, Referrers, ReferrersRequest};

const IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const ARTIFACT_TYPE: &str = "artifactType";

/// `GET`: an image index of the manifests whose subject is the digest. Never 404: a subject that nobody
/// refers to, or whose algorithm is not verified here, has an empty one.
pub(super) async fn list(
    context: &Context<'_>,
    name: &RepositoryName,
    subject: Result<Digest, DigestError>,
) -> Result<Answer, ApiError> {
    let page = page_request(&context.query)?;
    let artifact_type = context.query.get(ARTIFACT_TYPE).filter(|wanted| !wanted.is_empty()).map(str::to_string);
    let repository = context.repository(name)?;
    let subject = match subject {
        Ok(subject) => subject,
        Err(DigestError::UnsupportedAlgorithm) => {
            return Ok(index(&Page { items: Vec::new(), more: false }, artifact_type.as_deref()));
        }
        Err(error) => return Err(error.into()),
    };
    let request = ReferrersRequest { subject, artifact_type, page };
    let referrers = repository.manifests().referrers(&request).await?;
    let mut answer = index(&referrers, request.artifact_type.as_deref());
    let last = referrers.items.last().and_then(|descriptor| descriptor.get("digest")?.as_str());
    if let (true, Some(last)) = (referrers.more, last) {
        let path = format!("/v2/{name}/referrers/{}", request.subject);
        let filters: Vec<(&str, &str)> =
            request.artifact_type.iter().map(|wanted| (ARTIFACT_TYPE, wanted.as_str())).collect();
        answer = answer.header(LINK, next_link(&path, &request.page, last, &filters));
    }
    Ok(answer)
}

fn index(referrers: &Referrers, artifact_type: Option<&str>) -> Answer {
    let document = json!({"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": referrers.items});
    let answer = Answer::new(StatusCode::OK)
        .header_static(CONTENT_TYPE, IMAGE_INDEX)
        .content(Content::Whole(document.to_string().into()));
    match artifact_type {
        Some(_) => answer.header_static(FILTERS_APPLIED, ARTIFACT_TYPE),
        None => answer,
    }
}
