//! `n`, `last` and `Link`.
//!
//! Source: distribution-spec, "Content Discovery"; RFC 8288.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::ApiError;
use super::query::Query;
use crate::registry::PageRequest;

/// What needs no escape in a value of a query.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b':');

/// A `last` that is longer names nothing that can be in a list.
const MAX_LAST_BYTES: usize = 512;

/// Reads `n` and `last`.
pub(super) fn page_request(query: &Query) -> Result<PageRequest, ApiError> {
    let limit = match query.get("n") {
        None => None,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().unwrap_or(usize::MAX))
        }
        Some(_) => return Err(ApiError::parameter("n", "is not a number of entries")),
    };
    let last = query.get("last").filter(|last| !last.is_empty());
    if last.is_some_and(|last| last.len() > MAX_LAST_BYTES) {
        return Err(ApiError::parameter("last", "is too long"));
    }
    Ok(PageRequest { limit, last: last.map(str::to_string) })
}

/// The `Link` to the page after the one that ended with `last`; `filters` go with it.
pub(super) fn next_link(path: &str, request: &PageRequest, last: &str, filters: &[(&str, &str)]) -> String {
    let mut link = format!("<{path}?last={}", utf8_percent_encode(last, PLAIN));
    if let Some(limit) = request.limit {
        // Writing to a string cannot fail.
        let _ = write!(link, "&n={limit}");
    }
    for (name, value) in filters {
        let _ = write!(link, "&{name}={}", utf8_percent_encode(value, PLAIN));
    }
    link.push_str(">; rel=\"next\"");
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<PageRequest, ApiError> {
        page_request(&Query::parse(query).unwrap())
    }

    #[test]
    fn page_requests_are_read() {
        assert_eq!(parse("").unwrap(), PageRequest { limit: None, last: None });
        assert_eq!(parse("n=0").unwrap(), PageRequest { limit: Some(0), last: None });
        assert_eq!(parse("n=7&last=a%2Fb").unwrap(), PageRequest { limit: Some(7), last: Some("a/b".into()) });
        assert_eq!(parse("n=99999999999999999999999").unwrap().limit, Some(usize::MAX));
        for query in ["n=", "n=-1", "n=1.5", "n=a", "n=+1", &format!("last={}", "a".repeat(513))] {
            assert_eq!(parse(query).unwrap_err().status().as_u16(), 400, "{query}");
        }
    }

    #[test]
    fn the_link_goes_on_where_the_page_ended() {
        let request = PageRequest { limit: Some(2), last: None };
        assert_eq!(
            next_link("/v2/a/referrers/sha256:ab", &request, "sha256:cd", &[("artifactType", "a/b+json")]),
            "</v2/a/referrers/sha256:ab?last=sha256:cd&n=2&artifactType=a/b%2Bjson>; rel=\"next\""
        );
        assert_eq!(
            next_link("/v2/_catalog", &PageRequest::default(), "a b", &[]),
            "</v2/_catalog?last=a%20b>; rel=\"next\""
        );
    }
}
