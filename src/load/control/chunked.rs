/// Lines about chunks (their sizes, extensions and trailers) together may be so long between two pieces of data.
const LONGEST_LINES_BYTES: u32 = 8 << 10;

/// Takes the chunked transfer coding off a body, whatever pieces it comes in.
///
/// Source: RFC 9112, 7.1.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// The size of the chunk that is being read, or what is left of its data.
    size: u64,
    line_bytes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a chunk's size; `true` once there is a digit.
    Size(bool),
    /// Behind a size, until the line ends.
    Extension,
    SizeEnd,
    Data,
    DataReturn,
    DataEnd,
    /// At the begin of a trailer, or of the empty line that ends it all.
    Trailer,
    TrailerLine,
    TrailerEnd,
    LastEnd,
    Done,
}

/// A body is not coded as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkedError;

/// What was in some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// So many bytes of the body stand at the front now.
    pub(super) body_bytes: usize,
    /// Where the bytes behind the body begin, when it has ended.
    pub(super) rest: Option<usize>,
}

impl Chunked {
    pub(super) fn new() -> Chunked {
        Chunked { state: State::Size(false), size: 0, line_bytes: 0 }
    }

    /// Moves the body's bytes within the next `bytes` to the front.
    pub(super) fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, ChunkedError> {
        let (mut at, mut body_bytes) = (0, 0);
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let here = usize::try_from(self.size).unwrap_or(usize::MAX).min(bytes.len() - at);
                // Nothing is moved when no line stood before it.
                if at != body_bytes {
                    bytes.copy_within(at..at + here, body_bytes);
                }
                (at, body_bytes, self.size) = (at + here, body_bytes + here, self.size - here as u64);
                if self.size == 0 {
                    (self.state, self.line_bytes) = (State::DataReturn, 0);
                }
            } else {
                self.state = self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(Decoded { body_bytes, rest: (self.state == State::Done).then_some(at) })
    }

    /// Takes a byte that is none of the body's.
    fn step(&mut self, byte: u8) -> Result<State, ChunkedError> {
        self.line_bytes += 1;
        if self.line_bytes > LONGEST_LINES_BYTES {
            return Err(ChunkedError);
        }
        match (self.state, byte) {
            (State::Size(_), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                self.size = self.size.checked_mul(16).ok_or(ChunkedError)? + digit;
                Ok(State::Size(true))
            }
            (State::Size(true), b';' | b' ' | b'\t') => Ok(State::Extension),
            (State::Size(true) | State::Extension, b'\r') => Ok(State::SizeEnd),
            (State::Extension, byte) if byte != b'\n' => Ok(State::Extension),
            (State::SizeEnd, b'\n') if self.size == 0 => Ok(State::Trailer),
            (State::SizeEnd, b'\n') => Ok(State::Data),
            (State::DataReturn, b'\r') => Ok(State::DataEnd),
            (State::DataEnd, b'\n') => Ok(State::Size(false)),
            (State::Trailer, b'\r') => Ok(State::LastEnd),
            (State::TrailerLine, b'\r') => Ok(State::TrailerEnd),
            (State::Trailer | State::TrailerLine, byte) if byte != b'\n' => Ok(State::TrailerLine),
            (State::TrailerEnd, b'\n') => Ok(State::Trailer),
            (State::LastEnd, b'\n') => Ok(State::Done),
            _ => Err(ChunkedError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes a coded body that comes in pieces of so many bytes; gives the body and what is behind it.
    fn decode(coded: &[u8], piece_bytes: usize) -> Result<(Vec<u8>, Option<Vec<u8>>), ChunkedError> {
        let mut chunked = Chunked::new();
        let mut body = Vec::new();
        let mut behind: Option<Vec<u8>> = None;
        for piece in coded.chunks(piece_bytes) {
            if let Some(behind) = &mut behind {
                behind.extend(piece);
                continue;
            }
            let mut piece = piece.to_vec();
            let decoded = chunked.decode(&mut piece)?;
            body.extend(&piece[..decoded.body_bytes]);
            behind = decoded.rest.map(|rest| piece[rest..].to_vec());
        }
        Ok((body, behind))
    }

    #[test]
    fn a_body_is_the_same_wherever_it_is_split() {
        let coded =
            b"5;a=b\r\nhello\r\n1 \r\n,\r\n00A\r\n 0123\r\n456\r\n0;x\r\nName: value\r\nOther: 1\r\n\r\nGET / next";
        for piece_bytes in 1..=coded.len() {
            let (body, behind) = decode(coded, piece_bytes).unwrap();
            assert_eq!(body, b"hello, 0123\r\n456", "in pieces of {piece_bytes}");
            assert_eq!(behind.unwrap(), b"GET / next", "in pieces of {piece_bytes}");
        }
    }

    #[test]
    fn an_unfinished_body_is_not_done() {
        for coded in ["", "5", "5\r\nhel", "5\r\nhello\r\n0\r\n", "0\r\n\r"] {
            assert_eq!(decode(coded.as_bytes(), 64).unwrap().1, None, "{coded:?}");
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        let long_extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "x".repeat(LONGEST_LINES_BYTES as usize));
        for coded in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "1\nx",
            ";x\r\n",
            "1\r\nxy\r\n",
            "1\r\nx\n",
            "0\r\n\n",
            "0\r\nA\nB",
            "11112222333344445\r\n",
            &long_extension,
        ] {
            assert_eq!(decode(coded.as_bytes(), 7), Err(ChunkedError), "{coded:?}");
        }
        assert_eq!(decode(b"ffffffffffffffff\r\nx", 64).unwrap().0, b"x");
    }
}
