//! The routes table: which path is what, which methods it takes, what it is called in metrics.
//!
//! The decision is made on the raw path, one percent-decoded segment at a time, so that an encoded
//! slash never makes a segment and nothing outside the table is looked at. Names contain slashes, so
//! a path is read from its end.
//!
//! Source: distribution-spec, "Endpoints".

use std::borrow::Cow;

use actix_web::http::Method;
use percent_encoding::percent_decode_str;

use super::error::ApiError;
use crate::oci::{Digest, DigestError, Reference, ReferenceError, RepositoryName, UploadId};

/// A path that long names nothing: the longest name, a digest and the words between are shorter.
const MAX_PATH_BYTES: usize = 1024;

/// Few paths have more.
const USUAL_SEGMENTS: usize = 8;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    Tags(RepositoryName),
    /// `/v2/<name>/referrers/<digest>`; an algorithm that is not verified here has no referrers.
    Referrers(RepositoryName, Result<Digest, DigestError>),
    /// `/v2/<name>/manifests/<tag-or-digest>`
    Manifest(RepositoryName, Result<Reference, ReferenceError>),
    /// `/v2/<name>/blobs/<digest>`
    Blob(RepositoryName, Result<Digest, DigestError>),
    /// `/v2/<name>/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/<name>/blobs/uploads/<id>`; `None` is an id that no upload can have.
    Upload(RepositoryName, Option<UploadId>),
}

/// The name in metrics and logs of whatever the table does not have.
pub(super) const UNMATCHED: &str = "unmatched";

impl Route {
    /// Reads a raw path, without its query.
    pub(super) fn parse(path: &str) -> Result<Route, ApiError> {
        let rest = match path.strip_prefix("/v2") {
            Some("" | "/") => return Ok(Route::Base),
            Some(rest) if rest.starts_with('/') => &rest[1..],
            _ => return Err(ApiError::not_found()),
        };
        if rest.len() > MAX_PATH_BYTES {
            return Err(ApiError::name_invalid("path is too long"));
        }
        if !rest.contains('%') {
            return Route::of(&checked(rest.split('/'))?);
        }
        let decoded = rest.split('/').map(decoded).collect::<Result<Vec<_>, _>>()?;
        Route::of(&checked(decoded.iter().map(AsRef::as_ref))?)
    }

    fn of(segments: &[&str]) -> Result<Route, ApiError> {
        match segments {
            ["_catalog"] => Ok(Route::Catalog),
            [name @ .., "blobs", "uploads", ""] | [name @ .., "blobs", "uploads"] => {
                Ok(Route::Uploads(repository(name)?))
            }
            [name @ .., "blobs", "uploads", id] => Ok(Route::Upload(repository(name)?, id.parse().ok())),
            [name @ .., "tags", "list"] => Ok(Route::Tags(repository(name)?)),
            [name @ .., "blobs", digest] => Ok(Route::Blob(repository(name)?, digest.parse())),
            [name @ .., "manifests", reference] => Ok(Route::Manifest(repository(name)?, reference.parse())),
            [name @ .., "referrers", digest] => Ok(Route::Referrers(repository(name)?, digest.parse())),
            _ => Err(ApiError::not_found()),
        }
    }

    /// Its name in metrics and logs.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Route::Base => "base",
            Route::Catalog => "catalog",
            Route::Tags(_) => "tags",
            Route::Referrers(..) => "referrers",
            Route::Manifest(..) => "manifest",
            Route::Blob(..) => "blob",
            Route::Uploads(_) => "uploads",
            Route::Upload(..) => "upload",
        }
    }

    /// The methods that it takes.
    pub(super) fn methods(&self) -> &'static [Method] {
        const READ: &[Method] = &[Method::GET, Method::HEAD];
        match self {
            Route::Base | Route::Catalog | Route::Tags(_) | Route::Referrers(..) => READ,
            Route::Manifest(..) => &[Method::GET, Method::HEAD, Method::PUT, Method::DELETE],
            Route::Blob(..) => &[Method::GET, Method::HEAD, Method::DELETE],
            Route::Uploads(_) => &[Method::POST],
            Route::Upload(..) => &[Method::GET, Method::HEAD, Method::PATCH, Method::PUT, Method::DELETE],
        }
    }

    /// The repository that it is about.
    pub(super) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Route::Base | Route::Catalog => None,
            Route::Tags(name)
            | Route::Referrers(name, _)
            | Route::Manifest(name, _)
            | Route::Blob(name, _)
            | Route::Uploads(name)
            | Route::Upload(name, _) => Some(name),
        }
    }

    /// The upload that it is about.
    pub(super) fn upload(&self) -> Option<UploadId> {
        match self {
            Route::Upload(_, id) => *id,
            _ => None,
        }
    }
}

fn repository(segments: &[&str]) -> Result<RepositoryName, ApiError> {
    if segments.is_empty() {
        return Err(ApiError::not_found());
    }
    segments.join("/").parse().map_err(|error: crate::oci::NameError| ApiError::name_invalid(error.to_string()))
}

fn decoded(segment: &str) -> Result<Cow<'_, str>, ApiError> {
    percent_decode_str(segment).decode_utf8().map_err(|_| ApiError::name_invalid("path is not UTF-8 when decoded"))
}

/// A segment that would be read as another path is refused, whatever the route.
fn checked<'a>(decoded: impl Iterator<Item = &'a str>) -> Result<Vec<&'a str>, ApiError> {
    let mut segments = Vec::with_capacity(USUAL_SEGMENTS);
    for segment in decoded {
        if matches!(segment, "." | "..") || segment.contains(|c: char| c == '/' || c == '\\' || c.is_control()) {
            return Err(ApiError::name_invalid("path has a segment that no name can have"));
        }
        segments.push(segment);
    }
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn name_of(path: &str) -> (&'static str, Option<String>) {
        let route = Route::parse(path).unwrap_or_else(|error| panic!("{path}: {error:?}"));
        (route.name(), route.repository().map(ToString::to_string))
    }

    #[test]
    fn every_endpoint_is_found_also_under_names_made_of_its_words() {
        let id = UploadId::random();
        for (path, route, repository) in [
            ("/v2".to_string(), "base", None),
            ("/v2/".to_string(), "base", None),
            ("/v2/_catalog".to_string(), "catalog", None),
            ("/v2/a/tags/list".to_string(), "tags", Some("a")),
            ("/v2/a/b/c/tags/list".to_string(), "tags", Some("a/b/c")),
            ("/v2/tags/list/tags/list".to_string(), "tags", Some("tags/list")),
            (format!("/v2/a/blobs/{DIGEST}"), "blob", Some("a")),
            (format!("/v2/a/blobs/blobs/{DIGEST}"), "blob", Some("a/blobs")),
            (format!("/v2/a/blobs/sha256%3a{}", &DIGEST[7..]), "blob", Some("a")),
            ("/v2/a/blobs/uploads".to_string(), "uploads", Some("a")),
            ("/v2/a/blobs/uploads/".to_string(), "uploads", Some("a")),
            (format!("/v2/a/blobs/uploads/{id}"), "upload", Some("a")),
            (format!("/v2/blobs/uploads/blobs/uploads/{id}"), "upload", Some("blobs/uploads")),
            ("/v2/a/blobs/uploads/manifests/latest".to_string(), "manifest", Some("a/blobs/uploads")),
            ("/v2/a/manifests/latest".to_string(), "manifest", Some("a")),
            (format!("/v2/a/referrers/{DIGEST}"), "referrers", Some("a")),
        ] {
            assert_eq!(name_of(&path), (route, repository.map(str::to_string)), "{path}");
        }
    }

    #[test]
    fn malformed_ends_are_told_by_the_route() {
        assert!(matches!(Route::parse("/v2/a/blobs/uploads/.hidden"), Ok(Route::Upload(_, None))));
        assert!(matches!(Route::parse("/v2/a/blobs/sha256:12"), Ok(Route::Blob(_, Err(DigestError::InvalidHex)))));
        assert!(matches!(Route::parse("/v2/a/manifests/-x"), Ok(Route::Manifest(_, Err(_)))));
    }

    #[test]
    fn path_tricks_are_refused() {
        for (path, status) in [
            ("/", 404),
            ("/v1/", 404),
            ("/v2x/", 404),
            ("/v2/a", 404),
            ("/v2/tags/list", 404),
            ("/v2//tags/list", 400),
            ("/v2/a//tags/list", 400),
            ("/v2/../v2/a/tags/list", 400),
            ("/v2/a/../b/tags/list", 400),
            ("/v2/a/%2e%2e/tags/list", 400),
            ("/v2/a%2fb/tags/list", 400),
            ("/v2/a/manifests/..%2f..%2fetc", 400),
            ("/v2/a%00/tags/list", 400),
            ("/v2/a%5cb/tags/list", 400),
            ("/v2/a%ff/tags/list", 400),
            ("/v2/A/tags/list", 400),
            ("/v2/_uploads/tags/list", 400),
        ] {
            assert_eq!(Route::parse(path).unwrap_err().status().as_u16(), status, "{path}");
        }
        let long = format!("/v2/{}/tags/list", "a".repeat(256));
        assert_eq!(Route::parse(&long).unwrap_err().status().as_u16(), 400);
        let longer = format!("/v2/{}/tags/list", "a/".repeat(60_000));
        assert_eq!(Route::parse(&longer).unwrap_err().status().as_u16(), 400);
    }
}
