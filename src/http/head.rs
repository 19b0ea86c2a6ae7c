//! Where the head of an HTTP/1.1 request ends, and how its body does.

use std::ops::Range;

/// As many headers as actix-http takes.
const MOST_HEADERS: usize = 96;

/// Takes the place of a header that says how a body ends, which has as many bytes at least.
const NO_BODY: &[u8] = b"Content-Length:0";

/// What the bytes that came of a request say of where it ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// The head goes on.
    Partial,
    /// The head ends, behind its empty line, at `end`.
    Whole { end: usize, body: Option<Announced> },
    /// Its body ends where another rule says (an upgrade), or it is wrong.
    Other,
}

/// A body that comes behind a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) framing: Framing,
    /// The header that says so, from its name to the end of its value.
    header: Range<usize>,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Sized(u64),
    /// With a last chunk.
    Chunked,
}

impl Head {
    /// Looks at a request from its first byte on.
    ///
    /// Source: RFC 9112, section 6.3.
    pub(super) fn find(bytes: &[u8]) -> Head {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let end = match request.parse(bytes) {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) => return Head::Partial,
            Err(_) => return Head::Other,
        };
        let mut body = None;
        for header in request.headers.iter() {
            let framing = if header.name.eq_ignore_ascii_case("content-length") {
                length(header.value).map(Framing::Sized)
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                let is_chunked = request.version == Some(1) && header.value.eq_ignore_ascii_case(b"chunked");
                is_chunked.then_some(Framing::Chunked)
            } else if header.name.eq_ignore_ascii_case("upgrade") && is_a_tunnel(header.value) {
                None
            } else {
                continue;
            };
            // A second one may contradict the first.
            let (Some(framing), None) = (framing, &body) else { return Head::Other };
            let start = offset_in(bytes, header.name.as_bytes());
            let end = offset_in(bytes, header.value) + header.value.len();
            body = Some(Announced { framing, header: start..end });
        }
        if request.method == Some("CONNECT") { Head::Other } else { Head::Whole { end, body } }
    }
}

impl Announced {
    /// Makes the head say that there is no body. It keeps its length.
    pub(super) fn hide(&self, head: &mut [u8]) {
        let header = &mut head[self.header.clone()];
        let (name, rest) = NO_BODY.split_at(NO_BODY.len() - 1);
        header.fill(b' ');
        header[..name.len()].copy_from_slice(name);
        header[name.len()..].last_mut().into_iter().for_each(|last| *last = rest[0]);
    }
}

/// Whether actix-http takes everything behind the head for one stream. Other upgrades may be ignored.
fn is_a_tunnel(upgrade: &[u8]) -> bool {
    upgrade.trim_ascii().eq_ignore_ascii_case(b"websocket")
}

fn length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Where `part`, which is a part of `bytes`, begins.
fn offset_in(bytes: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - bytes.as_ptr() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(head: &str) -> Option<Framing> {
        match Head::find(head.as_bytes()) {
            Head::Whole { end, body } => {
                assert_eq!(end, head.len());
                body.map(|announced| announced.framing)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_head_ends_with_its_empty_line() {
        let head = b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 0..head.len() {
            assert_eq!(Head::find(&head[..cut]), Head::Partial, "{cut}");
        }
        assert_eq!(Head::find(head), Head::Whole { end: head.len(), body: None });
        let with_more = [&head[..], b"GET /v2/ HTTP/1.1\r\n"].concat();
        assert_eq!(Head::find(&with_more), Head::Whole { end: head.len(), body: None });
    }

    #[test]
    fn a_body_is_announced_and_can_be_hidden() {
        for (header, framing) in [
            ("CONTENT-length:  0123 ", Framing::Sized(123)),
            ("content-length:7", Framing::Sized(7)),
            ("Content-Length: 18446744073709551615", Framing::Sized(u64::MAX)),
            ("Content-Length: 0", Framing::Sized(0)),
            ("Upgrade: h2c, websockets\r\nContent-Length: 5", Framing::Sized(5)),
            ("Transfer-Encoding: chunked", Framing::Chunked),
            ("transfer-encoding:Chunked\t", Framing::Chunked),
        ] {
            let head = format!("PUT / HTTP/1.1\r\nA: b\r\n{header}\r\nHost: a\r\n\r\n");
            assert_eq!(body_of(&head), Some(framing), "{header}");
            let mut hidden = head.clone().into_bytes();
            let Head::Whole { body: Some(announced), .. } = Head::find(&hidden) else { panic!("{header}") };
            announced.hide(&mut hidden);
            let hidden = String::from_utf8(hidden).unwrap();
            assert_eq!(body_of(&hidden), Some(Framing::Sized(0)), "{hidden}");
            assert_eq!(hidden.len(), head.len());
            assert!(hidden.starts_with("PUT / HTTP/1.1\r\nA: b\r\n") && hidden.ends_with("\r\nHost: a\r\n\r\n"));
        }
    }

    #[test]
    fn what_ends_by_another_rule_or_is_wrong_is_left_alone() {
        for headers in [
            "Transfer-Encoding: gzip",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding:",
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: +5",
            "Content-Length: 5, 5",
            "Content-Length: -1",
            "Content-Length:",
            "Content-Length: 18446744073709551616",
            "Upgrade: WebSocket\r\nConnection: upgrade",
            "Content-Length: 5\r\nUpgrade: websocket",
            "no header",
            "Sp ace: 1",
        ] {
            let request = format!("PATCH / HTTP/1.1\r\n{headers}\r\n\r\n");
            assert_eq!(Head::find(request.as_bytes()), Head::Other, "{headers}");
        }
        assert_eq!(Head::find(b"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Head::Other);
        assert_eq!(Head::find(b"CONNECT a:1 HTTP/1.1\r\n\r\n"), Head::Other);
        assert_eq!(Head::find(b"GET / HTTP/3.9\r\n\r\n"), Head::Other);
        let many = "a: b\r\n".repeat(MOST_HEADERS + 1);
        assert_eq!(Head::find(format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes()), Head::Other);
    }
}
