//! `Range` of an upload's answers, `Content-Range` of a blob's.

use std::ops::Range;

use http::HeaderMap;
use http::header::{CONTENT_RANGE, RANGE};

/// How many bytes an upload holds, as an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// So many.
    Exactly(u64),
    /// `0-0`: the position of the last byte when there is one byte, and what an empty upload says too.
    NoneOrOne,
}

impl Held {
    /// When there is no doubt.
    pub(super) fn exact(self) -> Option<u64> {
        match self {
            Held::Exactly(bytes) => Some(bytes),
            Held::NoneOrOne => None,
        }
    }
}

/// Reads `Range: 0-<last byte>`, also as `bytes=0-…`. An absent one says nothing.
///
/// Source: distribution-spec, "Pushing a blob in chunks".
pub(super) fn held_bytes(headers: &HeaderMap) -> Option<Held> {
    let text = headers.get(RANGE)?.to_str().ok()?.trim();
    let text = text.strip_prefix("bytes").map_or(text, |rest| rest.trim_start_matches(['=', ' ']));
    let (first, last) = text.split_once('-')?;
    match (number(first)?, last) {
        (0, "0") => Some(Held::NoneOrOne),
        // Of an empty upload, by those that count without a sign (-1).
        (0, "-1" | "") => Some(Held::Exactly(0)),
        (0, last) => number(last)?.checked_add(1).map(Held::Exactly),
        _ => None,
    }
}

/// What part of how many bytes a 206 holds; the size may be left open (`*`).
///
/// Source: RFC 9110, section 14.4.
pub(super) fn content_range(headers: &HeaderMap) -> Option<(Range<u64>, Option<u64>)> {
    let (range, size) = content_range_parts(headers)?;
    let (first, last) = range.split_once('-')?;
    let (first, behind) = (number(first)?, number(last)?.checked_add(1)?);
    let is_sound = first < behind && size.is_none_or(|size| behind <= size);
    is_sound.then_some((first..behind, size))
}

/// The size that a 416 tells: `bytes */<size>`.
pub(super) fn unsatisfied_size(headers: &HeaderMap) -> Option<u64> {
    match content_range_parts(headers)? {
        ("*", size) => size,
        _ => None,
    }
}

fn content_range_parts(headers: &HeaderMap) -> Option<(&str, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim();
    let (range, size) = text.strip_prefix("bytes")?.trim_start_matches([' ', '=']).split_once('/')?;
    match size.trim() {
        "*" => Some((range.trim(), None)),
        size => Some((range.trim(), Some(number(size)?))),
    }
}

/// Digits only.
fn number(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::HeaderName;

    use super::*;

    fn headers(name: HeaderName, text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(text))])
    }

    #[test]
    fn what_an_upload_holds_is_read() {
        for (text, held) in [
            ("0-0", Some(Held::NoneOrOne)),
            ("bytes=0-0", Some(Held::NoneOrOne)),
            ("0-99", Some(Held::Exactly(100))),
            ("bytes=0-99", Some(Held::Exactly(100))),
            ("bytes 0-99", Some(Held::Exactly(100))),
            ("0--1", Some(Held::Exactly(0))),
            ("0-", Some(Held::Exactly(0))),
            ("1-99", None),
            ("99", None),
            ("0-18446744073709551615", None),
            ("0-a", None),
            ("", None),
        ] {
            assert_eq!(held_bytes(&headers(RANGE, text)), held, "{text}");
        }
        assert_eq!(held_bytes(&HeaderMap::new()), None);
    }

    #[test]
    fn content_ranges_are_read() {
        for (text, expected) in [
            ("bytes 0-0/1", Some((0..1, Some(1)))),
            ("bytes 5-9/*", Some((5..10, None))),
            ("bytes 5-9/10", Some((5..10, Some(10)))),
            ("bytes 5-10/10", None),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("items 5-9/10", None),
            ("5-9/10", None),
        ] {
            assert_eq!(content_range(&headers(CONTENT_RANGE, text)), expected, "{text}");
        }
        assert_eq!(unsatisfied_size(&headers(CONTENT_RANGE, "bytes */10")), Some(10));
        assert_eq!(unsatisfied_size(&headers(CONTENT_RANGE, "bytes 0-1/10")), None);
    }
}
