//! `/v2/<name>/manifests/<tag-or-digest>`.
//!
//! Source: distribution-spec, end-3, end-7a, end-7b and end-9.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderName};

use crate::http::answer::{Answer, Content};
use crate::http::body::RequestBody;
use crate::http::conditions::{entity_tag, is_not_modified, precondition};
use crate::http::error::ApiError;
use crate::http::server::Context;
use crate::oci::{Digest, Reference, ReferenceError, RepositoryName, Tag};
use crate::registry::{PutManifest, RegistryError};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

/// The most `tag` parameters of one push; the specification wants ten at least.
const MAX_TAGS: usize = 100;

/// `GET` and `HEAD`. What is no reference is a manifest that is not there.
pub(super) async fn get(
    context: &Context<'_>,
    name: &RepositoryName,
    reference: Result<Reference, ReferenceError>,
) -> Result<Answer, ApiError> {
    let reference = known_form(reference)?;
    let repository = context.repository(name)?;
    let manifest = repository.manifests().get(&reference).await?;
    let headers = context.request.headers();
    if is_not_modified(headers, &manifest.digest, None) {
        return Ok(named(StatusCode::NOT_MODIFIED, &manifest.digest));
    }
    Ok(named(StatusCode::OK, &manifest.digest)
        .header(CONTENT_TYPE, manifest.media_type)
        .content(Content::Whole(manifest.data)))
}

/// `PUT`.
pub(super) async fn put(
    context: &Context<'_>,
    name: &RepositoryName,
    reference: Result<Reference, ReferenceError>,
    body: &mut RequestBody,
) -> Result<Answer, ApiError> {
    let reference = reference?;
    let tags = tags_of(context, &reference)?;
    let precondition = precondition(context.request.headers())?;
    let repository = context.repository(name)?;
    let limit_bytes = context.shared.manifest_max_bytes;
    let data = body.read_all(limit_bytes).await?.ok_or(RegistryError::ManifestTooLarge { limit_bytes })?;
    let media_type = context.header("content-type").map(without_parameters).filter(|text| !text.is_empty());
    let request = PutManifest { reference, tags, media_type, data, precondition };
    let stored = repository.manifests().put(request).await?;
    let mut answer = named(StatusCode::CREATED, &stored.digest)
        .location(context.location(format!("/v2/{name}/manifests/{}", stored.digest)));
    if let Some(subject) = &stored.subject {
        answer = answer.header(OCI_SUBJECT, subject.as_str());
    }
    for tag in &stored.tags {
        answer = answer.header(OCI_TAG, tag.as_str());
    }
    Ok(answer)
}

/// `DELETE`.
pub(super) async fn delete(
    context: &Context<'_>,
    name: &RepositoryName,
    reference: Result<Reference, ReferenceError>,
) -> Result<Answer, ApiError> {
    let reference = known_form(reference)?;
    context.repository(name)?.manifests().delete(&reference).await?;
    Ok(Answer::new(StatusCode::ACCEPTED))
}

fn named(status: StatusCode, digest: &Digest) -> Answer {
    Answer::new(status).digest(digest).header(ETAG, entity_tag(digest))
}

/// Nothing can be stored under what is no reference, so asking for it finds nothing; a malformed digest
/// is told as one.
fn known_form(reference: Result<Reference, ReferenceError>) -> Result<Reference, ApiError> {
    match reference {
        Err(ReferenceError::InvalidTag) => Err(ApiError::manifest_unknown("(not a tag)")),
        other => Ok(other?),
    }
}

fn tags_of(context: &Context<'_>, reference: &Reference) -> Result<Vec<Tag>, ApiError> {
    let tags: Vec<&str> = context.query.all("tag").collect();
    if tags.is_empty() {
        return Ok(Vec::new());
    }
    if matches!(reference, Reference::Tag(_)) {
        return Err(ApiError::manifest_invalid("tag parameters go with a digest in the path"));
    }
    if tags.len() > MAX_TAGS {
        return Err(ApiError::too_many_tags(MAX_TAGS));
    }
    tags.into_iter().map(|tag| tag.parse().map_err(|error: ReferenceError| error.into())).collect()
}

fn without_parameters(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or("").trim().to_string()
}
