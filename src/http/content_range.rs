//! `Content-Range` of a chunk that is pushed.

use std::error::Error;
use std::fmt;

/// Where a chunk's bytes go, both ends included.
///
/// The specification's form is `<start>-<end>`; clients also send HTTP's own, `bytes <start>-<end>/<size>`
/// with `*` for an unknown size, and `bytes=`.
///
/// Source: distribution-spec, "Pushing a blob in chunks"; RFC 9110, section 14.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// The offset of the first byte.
    pub(super) start: u64,
    /// How many bytes there are, at least one.
    pub(super) length: u64,
}

/// The header is none of the known forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentRangeError;

impl ContentRange {
    pub(super) fn parse(text: &str) -> Result<ContentRange, ContentRangeError> {
        let text = text.trim();
        let range = match text.get(..5) {
            Some(unit) if unit.eq_ignore_ascii_case("bytes") => text[5..].trim_start_matches([' ', '=']),
            _ => text,
        };
        let (range, size) = match range.split_once('/') {
            Some((range, "*")) => (range, None),
            Some((range, size)) => (range, Some(number(size)?)),
            None => (range, None),
        };
        let (start, end) = range.split_once('-').ok_or(ContentRangeError)?;
        let (start, end) = (number(start)?, number(end)?);
        if size.is_some_and(|size| end >= size) {
            return Err(ContentRangeError);
        }
        // The offset behind it has to be a number too, wherever it starts.
        let behind = end.checked_add(1).ok_or(ContentRangeError)?;
        match behind.checked_sub(start) {
            None | Some(0) => Err(ContentRangeError),
            Some(length) => Ok(ContentRange { start, length }),
        }
    }
}

/// Digits only: no sign, no space, nothing over 64 bits.
fn number(text: &str) -> Result<u64, ContentRangeError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ContentRangeError);
    }
    text.parse().map_err(|_| ContentRangeError)
}

impl fmt::Display for ContentRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("content-range is not of the form <first byte>-<last byte>")
    }
}

impl Error for ContentRangeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_that_clients_use_is_read() {
        for text in ["10-19", "bytes 10-19/*", "bytes 10-19/20", "bytes 10-19", "bytes=10-19", " Bytes 10-19/100 "] {
            assert_eq!(ContentRange::parse(text), Ok(ContentRange { start: 10, length: 10 }), "{text}");
        }
        assert_eq!(ContentRange::parse("0-0"), Ok(ContentRange { start: 0, length: 1 }));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "-",
            "10",
            "10-",
            "-19",
            "19-10",
            "a-b",
            "+1-2",
            "1 - 2",
            "0x1-2",
            "10-19/5",
            "10-19/",
            "bytes */20",
            "0-18446744073709551615",
            "1-18446744073709551615",
            "20-19",
            "0-99999999999999999999",
            "1-2-3",
        ] {
            assert_eq!(ContentRange::parse(text), Err(ContentRangeError), "{text}");
        }
    }
}
