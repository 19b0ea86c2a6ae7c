//! What is said of the parsers here: see `src/fuzzing`.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::input::{ScanBody, list_uploads, nothing, object, repository};
use crate::http::query::Query;
use crate::upload::{ListUploads, UploadState};

/// A list that may be asked for has a limit and a plain spelling, which asks for the same.
pub(crate) fn admin_query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(query) = Query::parse(text) else { return };
    let Ok(request) = list_uploads(&query) else { return };
    assert!((1..=1000).contains(&request.limit), "{text:?}");
    assert_eq!(repository(&query).ok(), Some(request.repository.clone()), "{text:?}");
    let plain = Query::parse(&plain(&request)).expect("it is a query");
    assert_eq!(list_uploads(&plain).ok(), Some(request), "{text:?}");
}

fn plain(request: &ListUploads) -> String {
    let order = if request.descending { "desc" } else { "asc" };
    let states: Vec<&str> = request.states.iter().copied().map(UploadState::as_str).collect();
    let given = [
        ("repository", request.repository.as_ref().map(ToString::to_string)),
        ("client", request.client.map(|client| client.to_string())),
        ("state", Some(states.join(",")).filter(|states| !states.is_empty())),
        ("sort", Some(request.sort.as_str().to_owned())),
        ("order", Some(order.to_owned())),
        ("limit", Some(request.limit.to_string())),
        ("after", request.after.clone()),
    ];
    let pairs = given.iter().filter_map(|(name, value)| {
        Some(format!("{name}={}", utf8_percent_encode(value.as_deref()?, NON_ALPHANUMERIC)))
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// A body says what it must and nothing else.
pub(crate) fn admin_body(data: &[u8]) {
    let document = serde_json::from_slice(data).ok();
    if let Ok(body) = object::<ScanBody>(data) {
        assert_eq!(document, Some(serde_json::json!({"dry_run": body.dry_run})));
    }
    if nothing(data).is_ok() {
        assert!(data.is_empty() || document == Some(serde_json::json!({})));
    }
}
