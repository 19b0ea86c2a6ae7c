//! Heads of requests: only what the control needs of them.

use std::ops::RangeInclusive;

/// A head longer than this is refused.
pub(super) const LONGEST_HEAD_BYTES: usize = 16 << 10;

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyKind {
    None,
    /// So many bytes.
    Sized(u64),
    Chunked,
}

/// A request's head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// Behind the `?`.
    pub(super) query: &'a str,
    pub(super) body: BodyKind,
    /// Where the body's bytes stand within the blob: first and last.
    pub(super) content_range: Option<RangeInclusive<u64>>,
    /// Which bytes are wanted.
    pub(super) range: Option<RangeInclusive<u64>>,
    /// The client waits for a `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
    /// It is the connection's last request.
    pub(super) closes: bool,
}

/// Where the head that `bytes` begins with ends, behind its empty line; what lies before `from` was looked at before.
pub(super) fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    // The empty line may have begun in what was looked at.
    let from = from.saturating_sub(3);
    bytes[from..].windows(4).position(|four| four == b"\r\n\r\n").map(|at| from + at + 4)
}

impl<'a> Head<'a> {
    /// Understands a head with its empty line; `None` when it is none, or its body's length is in doubt.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Head<'a>> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let is_old = version == "HTTP/1.0";
        if words.next().is_some() || !(is_old || version == "HTTP/1.1") {
            return None;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut head = Head {
            method,
            path,
            query,
            body: BodyKind::None,
            content_range: None,
            range: None,
            expects_continue: false,
            closes: is_old,
        };
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            head.take_header(name, value.trim_matches([' ', '\t']))?;
        }
        Some(head)
    }

    fn take_header(&mut self, name: &str, value: &'a str) -> Option<()> {
        if name.eq_ignore_ascii_case("content-length") {
            let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
            self.set_body(BodyKind::Sized(value.parse().ok().filter(|_| is_number)?))?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            // Any other coding would have to be undone.
            value.eq_ignore_ascii_case("chunked").then_some(())?;
            self.set_body(BodyKind::Chunked)?;
        } else if name.eq_ignore_ascii_case("content-range") {
            self.content_range = Some(parse_range(value)?);
        } else if name.eq_ignore_ascii_case("range") {
            // What is not understood may be left out of account (RFC 9110, 14.2).
            self.range = value.strip_prefix("bytes=").and_then(parse_range);
        } else if name.eq_ignore_ascii_case("expect") {
            self.expects_continue = value.eq_ignore_ascii_case("100-continue");
        } else if name.eq_ignore_ascii_case("connection") {
            self.closes |= value.eq_ignore_ascii_case("close");
        }
        Some(())
    }

    /// Two lengths that do not agree are how requests are smuggled.
    fn set_body(&mut self, body: BodyKind) -> Option<()> {
        let agrees = self.body == BodyKind::None || self.body == body;
        self.body = body;
        agrees.then_some(())
    }
}

/// `3-9`, with the last byte counted; `3-` goes to the end.
fn parse_range(text: &str) -> Option<RangeInclusive<u64>> {
    let (first, last) = text.split_once('-')?;
    let last = if last.is_empty() { u64::MAX } else { last.parse().ok()? };
    Some(first.parse().ok()?..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_control_needs_is_found() {
        let bytes = b"PATCH /v2/a/blobs/uploads/7?_x=1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\
                      Content-Range: 5-9\r\nExpect: 100-continue\r\nconnection:close\r\nRange: bytes=4-\r\n\r\n";
        let expected = Head {
            method: "PATCH",
            path: "/v2/a/blobs/uploads/7",
            query: "_x=1",
            body: BodyKind::Chunked,
            content_range: Some(5..=9),
            range: Some(4..=u64::MAX),
            expects_continue: true,
            closes: true,
        };
        assert_eq!(Head::parse(bytes), Some(expected));
        let plain = Head::parse(b"PUT /v2/a HTTP/1.1\r\ncontent-length: 12\r\n\r\n").unwrap();
        assert_eq!((plain.body, plain.closes), (BodyKind::Sized(12), false));
        assert!(Head::parse(b"GET / HTTP/1.0\r\n\r\n").unwrap().closes);
    }

    #[test]
    fn a_body_whose_length_is_in_doubt_is_refused() {
        for headers in [
            "Content-Length: 1\r\nContent-Length: 2",
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Content-Length: +1",
            "Content-Length: -1",
            "Content-Length: 99999999999999999999",
            "Content-Range: nonsense",
            "no colon",
        ] {
            let head = format!("PUT /v2/a HTTP/1.1\r\n{headers}\r\n\r\n");
            assert_eq!(Head::parse(head.as_bytes()), None, "{headers}");
        }
        for line in ["", "GET", "GET /", "GET / HTTP/2", "GET / HTTP/1.1 x", "\u{fffd}"] {
            assert_eq!(Head::parse(format!("{line}\r\n\r\n").as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn the_end_of_a_head_is_found_wherever_it_was_split() {
        let bytes = b"GET / HTTP/1.1\r\n\r\nrest";
        assert_eq!(end_of_head(&bytes[..17], 0), None);
        for from in 0..=17 {
            assert_eq!(end_of_head(bytes, from), Some(18), "{from}");
        }
    }
}
