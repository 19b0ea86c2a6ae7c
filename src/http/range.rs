//! `Range` of a pull.

use std::ops::Range;

/// What a `Range` header asks of some content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it: no header, another unit, several ranges, or a form that RFC 9110 does not have.
    Whole,
    /// A part, cut at the end.
    Part(Range<u64>),
    /// A part that is not there.
    Nothing,
}

/// Reads a `Range` header for content of `size_bytes`.
///
/// Several ranges are answered with the whole, as RFC 9110, section 14.2, allows. A range that ends
/// before it starts (`500-0`) is an unsatisfiable one here: the specification's conformance tool wants
/// it so.
pub(super) fn wanted(header: Option<&str>, size_bytes: u64) -> Wanted {
    let Some(spec) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Wanted::Whole;
    };
    let (first, last) = match (position(first), position(last)) {
        (Position::Invalid, _) | (_, Position::Invalid) | (Position::Absent, Position::Absent) => {
            return Wanted::Whole;
        }
        (Position::Absent, Position::At(length)) => (size_bytes.saturating_sub(length), u64::MAX),
        (Position::At(first), Position::Absent) => (first, u64::MAX),
        (Position::At(first), Position::At(last)) => (first, last),
    };
    let end = last.saturating_add(1).min(size_bytes);
    if first >= end { Wanted::Nothing } else { Wanted::Part(first..end) }
}

enum Position {
    Absent,
    At(u64),
    Invalid,
}

/// A position over 64 bits is past every end.
fn position(text: &str) -> Position {
    if text.is_empty() {
        return Position::Absent;
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Position::Invalid;
    }
    Position::At(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_ranges_are_cut_at_the_end() {
        for (header, part) in [
            ("bytes=500-1499", 500..1500),
            ("bytes=500-", 500..2048),
            ("bytes=-500", 1548..2048),
            ("bytes=-5000", 0..2048),
            ("bytes=2000-5000", 2000..2048),
            ("bytes=0-0", 0..1),
            ("bytes=0-99999999999999999999", 0..2048),
        ] {
            assert_eq!(wanted(Some(header), 2048), Wanted::Part(part), "{header}");
        }
    }

    #[test]
    fn ranges_outside_are_told() {
        for header in ["bytes=500-0", "bytes=5000-10000", "bytes=2048-", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(wanted(Some(header), 2048), Wanted::Nothing, "{header}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
    }

    #[test]
    fn what_is_no_single_byte_range_is_ignored() {
        for header in ["bytes", "bytes=", "bytes=-", "bytes=a-b", "items=0-1", "bytes=0-1,4-5", "bytes=+1-2"] {
            assert_eq!(wanted(Some(header), 2048), Wanted::Whole, "{header}");
        }
        assert_eq!(wanted(None, 2048), Wanted::Whole);
    }
}
