//! Conditional requests. The entity tag of content is its digest in quotes.
//!
//! Source: RFC 9110, section 13.

use std::time::{Duration, SystemTime};

use actix_web::http::header::{HeaderMap, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE};

use super::error::ApiError;
use crate::oci::Digest;
use crate::registry::Precondition;

/// The entity tag of some content.
pub(super) fn entity_tag(digest: &Digest) -> String {
    ["\"", digest.as_str(), "\""].concat()
}

/// Whether the client has this content already, so that 304 is the answer.
pub(super) fn is_not_modified(headers: &HeaderMap, digest: &Digest, modified: Option<SystemTime>) -> bool {
    if let Some(tags) = joined(headers, IF_NONE_MATCH) {
        return matches_any(&tags, digest, Comparison::Weak);
    }
    let Some(since) = headers.get(IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    match (httpdate::parse_http_date(since), modified) {
        (Ok(since), Some(modified)) => whole_seconds(modified) <= since,
        _ => false,
    }
}

/// Whether a `Range` is to be looked at: `If-Range` may forbid it.
pub(super) fn range_applies(headers: &HeaderMap, digest: &Digest, modified: Option<SystemTime>) -> bool {
    let Some(value) = headers.get(IF_RANGE) else {
        return true;
    };
    let Ok(text) = value.to_str() else {
        return false;
    };
    match httpdate::parse_http_date(text) {
        Ok(date) => modified.is_some_and(|modified| whole_seconds(modified) == date),
        Err(_) => matches_any(text, digest, Comparison::Strong),
    }
}

/// What a push of a manifest demands of the tag.
pub(super) fn precondition(headers: &HeaderMap) -> Result<Precondition, ApiError> {
    if let Some(tags) = joined(headers, IF_MATCH) {
        if tags.trim() == "*" {
            return Ok(Precondition::Exists);
        }
        // A tag that is no digest of ours matches nothing, and stays a condition nevertheless.
        return Ok(Precondition::PointsAt(strong_tags(&tags).filter_map(|tag| tag.parse().ok()).collect()));
    }
    match joined(headers, IF_NONE_MATCH) {
        None => Ok(Precondition::None),
        Some(tags) if tags.trim() == "*" => Ok(Precondition::IsNew),
        Some(_) => Err(ApiError::unsupported("if-none-match on a push takes * only")),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Weak,
    Strong,
}

fn matches_any(tags: &str, digest: &Digest, comparison: Comparison) -> bool {
    if tags.trim() == "*" {
        return true;
    }
    let wanted = entity_tag(digest);
    tags.split(',').map(str::trim).any(|tag| match tag.strip_prefix("W/") {
        Some(tag) => comparison == Comparison::Weak && tag == wanted,
        None => tag == wanted,
    })
}

fn strong_tags(tags: &str) -> impl Iterator<Item = &str> {
    tags.split(',').filter_map(|tag| tag.trim().strip_prefix('"')?.strip_suffix('"'))
}

/// A header's lines as one list. A line that is no text is kept as one that matches nothing.
fn joined(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).map(|value| value.to_str().unwrap_or("")).collect();
    if lines.is_empty() { None } else { Some(lines.join(",")) }
}

/// HTTP's dates have no fractions.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since_epoch.as_secs())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn digest() -> Digest {
        format!("sha256:{HEX}").parse().unwrap()
    }

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn a_client_that_has_the_content_is_told_so() {
        for value in ["*".to_string(), entity_tag(&digest()), format!("\"x\", W/\"sha256:{HEX}\"")] {
            assert!(is_not_modified(&headers(IF_NONE_MATCH, &value), &digest(), None), "{value}");
        }
        assert!(!is_not_modified(&headers(IF_NONE_MATCH, "\"x\""), &digest(), None));
        assert!(!is_not_modified(&HeaderMap::new(), &digest(), None));
    }

    #[test]
    fn dates_compare_by_the_second() {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_500);
        let same = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(1000));
        let earlier = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(999));
        assert!(is_not_modified(&headers(IF_MODIFIED_SINCE, &same), &digest(), Some(modified)));
        assert!(!is_not_modified(&headers(IF_MODIFIED_SINCE, &earlier), &digest(), Some(modified)));
        assert!(!is_not_modified(&headers(IF_MODIFIED_SINCE, &same), &digest(), None));
        assert!(!is_not_modified(&headers(IF_MODIFIED_SINCE, "yesterday"), &digest(), Some(modified)));
        assert!(range_applies(&headers(IF_RANGE, &same), &digest(), Some(modified)));
        assert!(!range_applies(&headers(IF_RANGE, &earlier), &digest(), Some(modified)));
    }

    #[test]
    fn if_range_compares_strongly() {
        assert!(range_applies(&headers(IF_RANGE, &entity_tag(&digest())), &digest(), None));
        assert!(!range_applies(&headers(IF_RANGE, &format!("W/\"sha256:{HEX}\"")), &digest(), None));
        assert!(!range_applies(&headers(IF_RANGE, "\"x\""), &digest(), None));
        assert!(range_applies(&HeaderMap::new(), &digest(), None));
    }

    #[test]
    fn preconditions_of_a_push_are_never_dropped() {
        let of = |name, value: &str| precondition(&headers(name, value));
        assert_eq!(precondition(&HeaderMap::new()).unwrap(), Precondition::None);
        assert_eq!(of(IF_MATCH, "*").unwrap(), Precondition::Exists);
        assert_eq!(of(IF_MATCH, &entity_tag(&digest())).unwrap(), Precondition::PointsAt(vec![digest()]));
        assert_eq!(of(IF_MATCH, "\"x\"").unwrap(), Precondition::PointsAt(vec![]));
        assert_eq!(of(IF_MATCH, &format!("W/\"sha256:{HEX}\"")).unwrap(), Precondition::PointsAt(vec![]));
        assert_eq!(of(IF_NONE_MATCH, "*").unwrap(), Precondition::IsNew);
        assert!(of(IF_NONE_MATCH, "\"x\"").is_err());
    }
}
