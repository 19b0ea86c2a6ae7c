//! The queries and bodies of the admin API. What is not known is refused: an operator who mistypes a filter must not get
//! everything.

use std::net::IpAddr;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::http::body::RequestBody;
use crate::http::error::ApiError;
use crate::http::query::Query;
use crate::oci::RepositoryName;
use crate::upload::{ListUploads, SortUploads, UploadState};

/// The largest body that is read; those there are have a few bytes.
const MAX_BODY_BYTES: u64 = 16 * 1024;

/// How many uploads are on a page unless it is said.
const DEFAULT_LIMIT: usize = 100;

/// How many uploads may be asked for at once.
const MAX_LIMIT: usize = 1000;

/// A page token names a place in a list: a repository, an id, a number.
const MAX_TOKEN_BYTES: usize = 1024;

/// The body of `POST /admin/v1/scan`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScanBody {
    pub(super) dry_run: bool,
}

/// A body that says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EmptyBody {}

/// Reads a body whole.
pub(super) async fn read(body: &mut RequestBody) -> Result<Bytes, ApiError> {
    body.read_all(MAX_BODY_BYTES).await?.ok_or_else(|| ApiError::body_too_large(MAX_BODY_BYTES))
}

/// Reads a JSON object.
pub(super) fn object<T: DeserializeOwned>(data: &[u8]) -> Result<T, ApiError> {
    // A list would be taken for the fields in their order.
    if !data.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::unsupported("body is not a JSON object"));
    }
    serde_json::from_slice(data).map_err(|error| ApiError::unsupported(format!("body is not as it should be: {error}")))
}

/// Reads a body that may be `{}` or nothing.
pub(super) fn nothing(data: &[u8]) -> Result<(), ApiError> {
    if data.is_empty() {
        return Ok(());
    }
    object::<EmptyBody>(data).map(|EmptyBody {}| ())
}

/// Refuses parameters that are not in `known`, and those that are said twice.
pub(super) fn check_names(query: &Query, known: &[&str]) -> Result<(), ApiError> {
    let mut seen = Vec::new();
    for name in query.names() {
        if !known.contains(&name) {
            let problem = match known {
                [] => "is not known; there are none".to_owned(),
                known => format!("is not known; there are {}", known.join(", ")),
            };
            return Err(ApiError::parameter(name, &problem));
        }
        if seen.contains(&name) {
            return Err(ApiError::parameter(name, "is said twice"));
        }
        seen.push(name);
    }
    Ok(())
}

/// The parameter `repository`.
pub(super) fn repository(query: &Query) -> Result<Option<RepositoryName>, ApiError> {
    let parse = |name: &str| name.parse().map_err(|_| ApiError::parameter("repository", "is not a repository's name"));
    query.get("repository").map(parse).transpose()
}

/// The query of `GET /admin/v1/uploads`.
pub(super) fn list_uploads(query: &Query) -> Result<ListUploads, ApiError> {
    check_names(query, &["repository", "client", "state", "sort", "order", "limit", "after"])?;
    let client = query.get("client").map(|text| match text.parse::<IpAddr>() {
        // As clients are counted.
        Ok(client) => Ok(client.to_canonical()),
        Err(_) => Err(ApiError::parameter("client", "is no IP address")),
    });
    Ok(ListUploads {
        repository: repository(query)?,
        client: client.transpose()?,
        states: query.get("state").map(states).transpose()?.unwrap_or_default(),
        sort: query.get("sort").map(sort).transpose()?.unwrap_or_default(),
        descending: query.get("order").map(is_descending).transpose()?.unwrap_or(false),
        limit: query.get("limit").map(limit).transpose()?.unwrap_or(DEFAULT_LIMIT),
        after: query.get("after").map(token).transpose()?,
    })
}

fn states(text: &str) -> Result<Vec<UploadState>, ApiError> {
    let state = |name: &str| {
        UploadState::parse(name).ok_or_else(|| not_one_of("state", UploadState::ALL.map(UploadState::as_str)))
    };
    text.split(',').map(state).collect()
}

fn sort(text: &str) -> Result<SortUploads, ApiError> {
    SortUploads::parse(text).ok_or_else(|| not_one_of("sort", SortUploads::ALL.map(SortUploads::as_str)))
}

fn is_descending(text: &str) -> Result<bool, ApiError> {
    match text {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _ => Err(not_one_of("order", ["asc", "desc"])),
    }
}

fn limit(text: &str) -> Result<usize, ApiError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_number { text.parse().unwrap_or(usize::MAX) } else { 0 };
    match number {
        1..=MAX_LIMIT => Ok(number),
        _ => Err(ApiError::parameter("limit", "is not a number from 1 to 1000")),
    }
}

fn token(text: &str) -> Result<String, ApiError> {
    match text.len() {
        1..=MAX_TOKEN_BYTES => Ok(text.to_owned()),
        _ => Err(ApiError::bad_page_token()),
    }
}

fn not_one_of<const N: usize>(name: &str, values: [&str; N]) -> ApiError {
    ApiError::parameter(name, &format!("is none of {}", values.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(query: &str) -> Result<ListUploads, String> {
        list_uploads(&Query::parse(query).unwrap()).map_err(|error| error.body()["errors"][0]["message"].to_string())
    }

    #[test]
    fn a_list_is_asked_for_in_full() {
        let query = "repository=a/b&client=10.0.0.7&state=writing,open&sort=rate&order=desc&limit=1000&after=x%2B1";
        assert_eq!(
            list(query).unwrap(),
            ListUploads {
                repository: Some("a/b".parse().unwrap()),
                client: Some("10.0.0.7".parse().unwrap()),
                states: vec![UploadState::Writing, UploadState::Open],
                sort: SortUploads::Rate,
                descending: true,
                limit: 1000,
                after: Some("x+1".into()),
            }
        );
        assert_eq!(list("client=::ffff:10.0.0.7").unwrap().client, Some("10.0.0.7".parse().unwrap()));
        assert_eq!(
            list("").unwrap(),
            ListUploads {
                repository: None,
                client: None,
                states: vec![],
                sort: SortUploads::Name,
                descending: false,
                limit: 100,
                after: None
            }
        );
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for (query, problem) in [
            ("repo=a", "repo is not known; there are repository, client,"),
            ("limit=1&limit=2", "limit is said twice"),
            ("repository=A", "repository is not a repository's name"),
            ("repository=", "repository is not a repository's name"),
            ("client=example.org", "client is no IP address"),
            ("state=busy", "state is none of writing, committing, open, passive, expired"),
            ("state=", "state is none of"),
            ("sort=size", "sort is none of name, started,"),
            ("order=up", "order is none of asc, desc"),
            ("limit=0", "limit is not a number from 1 to 1000"),
            ("limit=1001", "limit is not"),
            ("limit=%2B5", "limit is not"),
            ("limit=99999999999999999999999", "limit is not"),
            ("after=", "after is not the next of a page"),
        ] {
            let error = list(query).unwrap_err();
            assert!(error.contains(problem), "{query}: {error}");
        }
    }

    #[test]
    fn bodies_say_what_they_must_and_no_more() {
        assert!(object::<ScanBody>(b" {\"dry_run\": true}\n").unwrap().dry_run);
        for body in
            ["", "{}", "[true]", "true", "{\"dry_run\": 1}", "{\"dry_run\": true, \"x\": 1}", "{\"dry_run\": true} x"]
        {
            assert!(object::<ScanBody>(body.as_bytes()).is_err(), "{body}");
        }
        nothing(b"").and_then(|()| nothing(b"{}")).unwrap();
        for body in ["[]", "{\"x\":1}", "null", " "] {
            assert!(nothing(body.as_bytes()).is_err(), "{body}");
        }
    }
}
