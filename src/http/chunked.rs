//! Bodies in chunks.
//!
//! Source: RFC 9112, section 7.1.

use bytes::{Buf as _, Bytes, BytesMut};

/// What may stand beside the content of one body in chunks: extensions and trailers. Nobody here reads them.
const MOST_EXTRA_BYTES: usize = 16 * 1024;

/// Content in smaller parts than this is put together.
const SMALL_BYTES: usize = 1024;

/// How much is put together at least, if it is there.
const JOINED_BYTES: usize = 16 * 1024;

/// A chunk of so many bytes is received by itself, so that its content lies together.
const LARGE_BYTES: u64 = 64 * 1024;

/// Enough for what stands between two chunks, and little of the content that follows on it.
const BETWEEN_BYTES: usize = 64;

/// Takes the content out of a body in chunks.
#[derive(Debug)]
pub(super) struct Chunked {
    at: At,
    /// Whether the last chunk that began is large.
    is_large: bool,
    /// How many bytes of extensions and trailers came.
    extra_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the digits of a chunk's length, of which there are so many.
    Length { value: u64, digits: u32 },
    /// Behind them, in the same line.
    Extension { value: u64 },
    /// At the end of that line.
    LengthEnd { value: u64 },
    /// In the content of a chunk.
    Content { left: u64 },
    /// Behind it, at the first and at the second byte of the line's end.
    ContentEnd { first: bool },
    /// At the start of a line of the trailers.
    Trailers,
    /// In such a line.
    Trailer,
    /// At its end.
    TrailerEnd,
    /// At the end of the last, empty line.
    LastEnd,
    /// Behind the body.
    End,
}

/// What stands at the front of what came.
enum Front {
    /// So many bytes of content.
    Content(usize),
    /// Nothing.
    More,
    /// The body's end.
    End,
}

/// What stands next in a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Some content.
    Content(Bytes),
    /// Nothing that has come.
    More,
    /// The end.
    End,
}

/// What is best received at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextRead {
    /// Whatever there is.
    All,
    /// The rest of a large chunk: so many bytes.
    Content(u64),
    /// A little, not worth a block: about so many bytes.
    Little(usize),
}

/// The body is not in chunks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Chunked {
    pub(super) fn new() -> Self {
        Chunked { at: At::Length { value: 0, digits: 0 }, is_large: false, extra_bytes: 0 }
    }

    /// How much is best received next.
    pub(super) fn next_read(&self) -> NextRead {
        match self.at {
            _ if !self.is_large => NextRead::All,
            At::Content { left } => NextRead::Content(left),
            _ => NextRead::Little(BETWEEN_BYTES),
        }
    }

    /// Whether the end was reached.
    pub(super) fn is_at_end(&self) -> bool {
        self.at == At::End
    }

    /// Takes what stands next off `bytes`. What follows on the body stays in them. Small chunks come together, copied: one
    /// in memory takes more than its content.
    pub(super) fn next(&mut self, bytes: &mut BytesMut) -> Result<Next, Malformed> {
        let mut joined = BytesMut::new();
        loop {
            match self.front(bytes) {
                Ok(Front::Content(length)) if length >= SMALL_BYTES && joined.is_empty() => {
                    return Ok(Next::Content(bytes.split_to(length).freeze()));
                }
                Ok(Front::Content(length)) => {
                    joined.extend_from_slice(&bytes[..length]);
                    bytes.advance(length);
                    if joined.len() >= JOINED_BYTES {
                        return Ok(Next::Content(joined.freeze()));
                    }
                }
                // What stands behind it, or is wrong there, the next call says.
                _ if !joined.is_empty() => return Ok(Next::Content(joined.freeze())),
                Ok(Front::More) => return Ok(Next::More),
                Ok(Front::End) => return Ok(Next::End),
                Err(malformed) => return Err(malformed),
            }
        }
    }

    /// Goes on to the next content in `bytes`, which is to be taken off them; what stands before it, is.
    fn front(&mut self, bytes: &mut BytesMut) -> Result<Front, Malformed> {
        loop {
            match self.at {
                At::End => return Ok(Front::End),
                At::Content { left } if !bytes.is_empty() => {
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let left = left - length as u64;
                    self.at = if left > 0 { At::Content { left } } else { At::ContentEnd { first: true } };
                    return Ok(Front::Content(length));
                }
                at => {
                    let Some(&byte) = bytes.first() else { return Ok(Front::More) };
                    self.at = at.behind(byte)?;
                    if let At::Content { left } = self.at {
                        self.is_large = left >= LARGE_BYTES;
                    }
                    bytes.advance(1);
                    self.count_extra()?;
                }
            }
        }
    }

    fn count_extra(&mut self) -> Result<(), Malformed> {
        if matches!(self.at, At::Extension { .. } | At::Trailer) {
            self.extra_bytes += 1;
        }
        if self.extra_bytes > MOST_EXTRA_BYTES { Err(Malformed) } else { Ok(()) }
    }
}

impl At {
    /// Where one stands behind a byte that is no content.
    fn behind(self, byte: u8) -> Result<At, Malformed> {
        Ok(match (self, byte) {
            (At::Length { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < u64::BITS / 4 => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed)?;
                At::Length { value: value << 4 | u64::from(digit), digits: digits + 1 }
            }
            (At::Length { value, digits: 1.. }, b'\r') => At::LengthEnd { value },
            (At::Length { value, digits: 1.. }, b';' | b' ' | b'\t') => At::Extension { value },
            (At::Extension { value }, b'\r') => At::LengthEnd { value },
            (At::Extension { value }, byte) if is_text(byte) => At::Extension { value },
            (At::LengthEnd { value: 0 }, b'\n') => At::Trailers,
            (At::LengthEnd { value }, b'\n') => At::Content { left: value },
            (At::ContentEnd { first: true }, b'\r') => At::ContentEnd { first: false },
            (At::ContentEnd { first: false }, b'\n') => At::Length { value: 0, digits: 0 },
            (At::Trailers, b'\r') => At::LastEnd,
            (At::Trailer, b'\r') => At::TrailerEnd,
            (At::TrailerEnd, b'\n') => At::Trailers,
            (At::Trailers | At::Trailer, byte) if is_text(byte) => At::Trailer,
            (At::LastEnd, b'\n') => At::End,
            _ => return Err(Malformed),
        })
    }
}

/// Whether a byte may stand in a line; a control character would let two readers see different lines.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Decoded = (Vec<u8>, Vec<u8>);

    /// The content of a body that comes in `pieces`, and what follows on it; `None` when it does not end.
    fn decode(pieces: &[&[u8]]) -> Result<Option<Decoded>, Malformed> {
        let (mut chunked, mut bytes, mut content) = (Chunked::new(), BytesMut::new(), Vec::new());
        let mut pieces = pieces.iter();
        loop {
            match chunked.next(&mut bytes)? {
                Next::Content(piece) => {
                    assert!(!piece.is_empty());
                    content.extend_from_slice(&piece);
                }
                Next::More => {
                    assert!(bytes.is_empty());
                    let Some(piece) = pieces.next() else { return Ok(None) };
                    bytes.extend_from_slice(piece);
                }
                Next::End => {
                    assert!(chunked.is_at_end());
                    bytes.extend(pieces.copied().flatten());
                    return Ok(Some((content, bytes.to_vec())));
                }
            }
        }
    }

    #[test]
    fn the_content_of_all_chunks_comes_and_what_follows_stays() {
        let body = b"5\r\nhello\r\n1;a=b\r\n,\r\n06  \r\n world\r\n0\r\nTrailer: 1\r\nanother: 2\r\n\r\nGET /";
        let expected = (b"hello, world".to_vec(), b"GET /".to_vec());
        for cut in 0..=body.len() {
            assert_eq!(decode(&[&body[..cut], &body[cut..]]).unwrap().unwrap(), expected, "{cut}");
        }
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(decode(&bytes).unwrap().unwrap(), expected);
        let whole = body.len() - "GET /".len();
        for cut in 0..whole {
            assert_eq!(decode(&[&body[..cut]]), Ok(None), "{cut}");
        }
        assert_eq!(decode(&[b"0\r\n\r\n"]).unwrap().unwrap(), (vec![], vec![]));
    }

    #[test]
    fn large_chunks_are_received_by_themselves() {
        let mut chunked = Chunked::new();
        let mut take = |bytes: &[u8]| {
            let mut bytes = BytesMut::from(bytes);
            while let Next::Content(_) = chunked.next(&mut bytes).unwrap() {}
            chunked.next_read()
        };
        assert_eq!(take(b""), NextRead::All);
        assert_eq!(take(b"ffff\r\nsome"), NextRead::All);
        assert_eq!(take(&[b'x'; 0xffff - 4]), NextRead::All);
        assert_eq!(take(b"\r\n10000\r\nsome"), NextRead::Content(0x10000 - 4));
        assert_eq!(take(&[b'x'; 0x10000 - 4]), NextRead::Little(BETWEEN_BYTES));
        assert_eq!(take(b"\r\n20000\r\n"), NextRead::Content(0x20000));
        assert_eq!(take(&[b'x'; 0x20000]), NextRead::Little(BETWEEN_BYTES));
        assert_eq!(take(b"\r\n1\r\nx\r\n"), NextRead::All);
    }

    #[test]
    fn what_is_not_in_chunks_is_refused() {
        let long_extension = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(MOST_EXTRA_BYTES + 1));
        let long_trailers = format!("0\r\n{}\r\n", "a: b\r\n".repeat(MOST_EXTRA_BYTES));
        for body in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\na\r\n",
            "0x1\r\n",
            " 1\r\na\r\n",
            "1\na\n0\n\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "1\r\r\n",
            "1;a\nb\r\n",
            "10000000000000000\r\n",
            "0\r\n\rx",
            "0\r\na: b\0\r\n\r\n",
            "0\r\na: b\n\r\n",
            "0\r\na: b\rc\r\n\r\n",
            "0\r\na: b\r\r\n\r\n",
            &long_extension,
            &long_trailers,
        ] {
            assert_eq!(decode(&[body.as_bytes()]), Err(Malformed), "{body:?}");
        }
        assert_eq!(decode(&[b"ffffffffffffffff\r\nab"]), Ok(None));
    }

    proptest! {
        #[test]
        fn any_chunks_in_any_pieces_give_their_content(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..8),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
        ) {
            let mut body: Vec<u8> = chunks.iter().flat_map(|chunk| {
                [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()
            }).collect();
            body.extend_from_slice(b"0\r\n\r\n");
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
            ends.extend([0, body.len()]);
            ends.sort_unstable();
            let pieces: Vec<&[u8]> = ends.windows(2).map(|ends| &body[ends[0]..ends[1]]).collect();
            let (content, rest) = decode(&pieces).unwrap().unwrap();
            prop_assert_eq!(content, chunks.concat());
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn small_chunks_come_together_and_large_ones_as_they_are() {
        let mut bytes = BytesMut::new();
        for _ in 0..100_000 {
            bytes.extend_from_slice(b"1\r\nx\r\n");
        }
        bytes.extend_from_slice(b"400\r\n");
        bytes.extend_from_slice(&[b'y'; 1024]);
        bytes.extend_from_slice(b"\r\n5\r\nsmallzz");
        let mut chunked = Chunked::new();
        let mut lengths = Vec::new();
        let broken = loop {
            match chunked.next(&mut bytes) {
                Ok(Next::Content(piece)) => lengths.push(piece.len()),
                other => break other,
            }
        };
        // Nothing of what stands before it is lost by an error.
        assert_eq!(broken, Err(Malformed));
        assert_eq!(lengths.iter().sum::<usize>(), 100_000 + 1024 + 5);
        assert!(lengths.len() <= 100_000 / JOINED_BYTES + 2, "{lengths:?}");

        let mut large = BytesMut::from(&b"400\r\n"[..]);
        large.extend_from_slice(&[b'y'; 1024]);
        let place_of_large = large.as_ptr().wrapping_add(5);
        let Ok(Next::Content(piece)) = Chunked::new().next(&mut large) else { panic!("no content") };
        assert_eq!((piece.len(), piece.as_ptr()), (1024, place_of_large), "it was copied");
    }
}
