//! A connection's bytes: heads, and bodies with their coding taken off.

use std::io::{self, Read as _};
use std::net::TcpStream;

use super::chunked::Chunked;
use super::head::{BodyKind, LONGEST_HEAD_BYTES, end_of_head};

/// How much is read at once while a head is looked for.
const HEAD_READ_BYTES: usize = 4 << 10;

/// With less room than this left in a piece it counts as full.
const LEAST_ROOM_BYTES: usize = 8 << 10;

/// What comes in on a connection.
pub(super) struct Incoming<'a> {
    socket: &'a TcpStream,
    /// What was read beyond what was asked for.
    ahead: Vec<u8>,
}

/// How the search for a head ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextHead {
    /// It was put into the caller's buffer.
    Found,
    /// The client sends no more.
    Closed,
    TooLong,
}

/// A body that is being received.
pub(super) enum BodyReader {
    Sized(u64),
    Chunked(Chunked),
    Ended,
}

/// Part of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) bytes: usize,
    /// What became of the rest.
    pub(super) end: End,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There is more.
    NotYet,
    /// That was all.
    Whole,
    /// The client is gone, or silent for too long.
    Broken,
    /// What comes is no chunked coding.
    Malformed,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(socket: &'a TcpStream) -> Incoming<'a> {
        Incoming { socket, ahead: Vec::new() }
    }

    /// Whether the next bytes are here already.
    pub(super) fn has_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Puts the next head with its empty line into `head`, in place of what was there.
    pub(super) fn next_head(&mut self, head: &mut Vec<u8>) -> io::Result<NextHead> {
        head.clear();
        head.append(&mut self.ahead);
        let mut looked_at = 0;
        loop {
            // Empty lines before a request count for nothing (RFC 9112, 2.2).
            while head.starts_with(b"\r\n") {
                head.drain(..2);
                looked_at = 0;
            }
            if let Some(end) = end_of_head(head, looked_at) {
                self.ahead.extend_from_slice(&head[end..]);
                head.truncate(end);
                return Ok(if end > LONGEST_HEAD_BYTES { NextHead::TooLong } else { NextHead::Found });
            }
            looked_at = head.len();
            if looked_at > LONGEST_HEAD_BYTES {
                return Ok(NextHead::TooLong);
            }
            head.resize(looked_at + HEAD_READ_BYTES, 0);
            let read = read(self.socket, &mut head[looked_at..])?;
            head.truncate(looked_at + read);
            if read == 0 {
                return Ok(NextHead::Closed);
            }
        }
    }

    /// Receives a body's next bytes until `room` is as good as full or the body has ended.
    pub(super) fn fill(&mut self, body: &mut BodyReader, room: &mut [u8]) -> Filled {
        let mut bytes = 0;
        let least_room_bytes = LEAST_ROOM_BYTES.min(room.len() - 1);
        loop {
            let wanted = match body {
                BodyReader::Ended | BodyReader::Sized(0) => return Filled { bytes, end: End::Whole },
                BodyReader::Sized(left) => usize::try_from(*left).unwrap_or(usize::MAX).min(room.len() - bytes),
                BodyReader::Chunked(_) if room.len() - bytes <= least_room_bytes => 0,
                BodyReader::Chunked(_) => room.len() - bytes,
            };
            if wanted == 0 {
                return Filled { bytes, end: End::NotYet };
            }
            let read = match self.read(&mut room[bytes..bytes + wanted]) {
                Ok(0) | Err(_) => return Filled { bytes, end: End::Broken },
                Ok(read) => read,
            };
            match body {
                BodyReader::Sized(left) => {
                    *left -= read as u64;
                    bytes += read;
                }
                BodyReader::Chunked(chunked) => {
                    let Ok(decoded) = chunked.decode(&mut room[bytes..bytes + read]) else {
                        return Filled { bytes, end: End::Malformed };
                    };
                    if let Some(rest) = decoded.rest {
                        // It comes before what is ahead: all of it came out of there, or nothing is.
                        let mut ahead = room[bytes + rest..bytes + read].to_vec();
                        ahead.append(&mut self.ahead);
                        self.ahead = ahead;
                        *body = BodyReader::Ended;
                    }
                    bytes += decoded.body_bytes;
                }
                BodyReader::Ended => {}
            }
        }
    }

    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            return read(self.socket, room);
        }
        let length = self.ahead.len().min(room.len());
        room[..length].copy_from_slice(&self.ahead[..length]);
        self.ahead.drain(..length);
        Ok(length)
    }
}

impl BodyReader {
    pub(super) fn of(kind: BodyKind) -> BodyReader {
        match kind {
            BodyKind::None => BodyReader::Ended,
            BodyKind::Sized(length) => BodyReader::Sized(length),
            BodyKind::Chunked => BodyReader::Chunked(Chunked::new()),
        }
    }
}

fn read(mut socket: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
