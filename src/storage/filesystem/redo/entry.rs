//! What stands in a half of the log.
//!
//! ```text
//! entry   header, body
//! header  length of the body (4 bytes), CRC-32 of the body (4), epoch of the half (8), number of the entry (8),
//!         time in seconds since 1970 (8), CRC-32 of the header's bytes before (4)
//! body    kind (1 byte), length of the key (2), the key, and what the kind says
//! ```
//!
//! Numbers are little-endian. The first entry of a half is a beginning. The half ends before the first entry that is not
//! whole or has another epoch: what is behind is from before.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf as _, BufMut as _, Bytes};

use crate::storage::Key;

const HEADER_BYTES: usize = 4 + 4 + 8 + 8 + 8 + 4;

/// The longest key of an object that is noted.
pub(super) const MOST_KEY_BYTES: usize = 512;

/// How long an entry without data is at most.
pub(super) const SMALL_BYTES: u64 = (HEADER_BYTES + 1 + 2 + MOST_KEY_BYTES + 8) as u64;

/// So many zeros at the front of a half make it empty.
pub(super) const EMPTY_BYTES: usize = HEADER_BYTES;

/// Of the beginning.
const VERSION: u8 = 1;

const KIND_BEGINNING: u8 = 1;
const KIND_PUT: u8 = 2;
const KIND_AGAIN: u8 = 3;
const KIND_REVOKED: u8 = 4;
const KIND_GONE: u8 = 5;
const KIND_ON_DISK: u8 = 6;

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// The half was begun while the filesystem was mounted under this name.
    Begun { mount: Bytes },
    /// The object has these bytes.
    Put { key: Key, data: Vec<Bytes> },
    /// It has the bytes of this earlier entry, whatever was said of it in between.
    Again { key: Key, number: u64 },
    /// This earlier entry was not carried out, and is not to be.
    Revoked { key: Key, number: u64 },
    /// The object was deleted.
    Gone { key: Key },
    /// What stands on the disk survives by itself.
    OnDisk { key: Key },
}

/// An entry as it stands in the file: the data of an object is not copied.
#[derive(Debug)]
pub(super) struct Encoded {
    front: Vec<u8>,
    data: Vec<Bytes>,
}

/// An entry that was read.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) epoch: u64,
    pub(super) number: u64,
    pub(super) written: SystemTime,
    pub(super) says: Says,
}

impl Says {
    pub(super) fn encode(self, epoch: u64, number: u64) -> Encoded {
        let mut front = Vec::with_capacity(SMALL_BYTES as usize);
        front.put_bytes(0, HEADER_BYTES);
        let mut data = Vec::new();
        match self {
            Says::Begun { mount } => {
                begin_body(&mut front, KIND_BEGINNING, "");
                front.put_u8(VERSION);
                front.put_slice(&mount);
            }
            Says::Put { key, data: pieces } => {
                begin_body(&mut front, KIND_PUT, key.as_str());
                data = pieces;
            }
            Says::Again { key, number } => {
                begin_body(&mut front, KIND_AGAIN, key.as_str());
                front.put_u64_le(number);
            }
            Says::Revoked { key, number } => {
                begin_body(&mut front, KIND_REVOKED, key.as_str());
                front.put_u64_le(number);
            }
            Says::Gone { key } => begin_body(&mut front, KIND_GONE, key.as_str()),
            Says::OnDisk { key } => begin_body(&mut front, KIND_ON_DISK, key.as_str()),
        }
        let mut encoded = Encoded { front, data };
        encoded.fill_header(epoch, number);
        encoded
    }

    fn decode(mut body: Bytes) -> Option<Says> {
        let kind = body.try_get_u8().ok()?;
        let key_bytes = usize::from(body.try_get_u16_le().ok()?);
        if body.len() < key_bytes {
            return None;
        }
        let key = body.split_to(key_bytes);
        if kind == KIND_BEGINNING {
            return (body.try_get_u8().ok()? == VERSION).then_some(Says::Begun { mount: body });
        }
        let key: Key = std::str::from_utf8(&key).ok()?.parse().ok()?;
        match kind {
            KIND_PUT => Some(Says::Put { key, data: vec![body] }),
            KIND_AGAIN => Some(Says::Again { key, number: body.try_get_u64_le().ok()? }),
            KIND_REVOKED => Some(Says::Revoked { key, number: body.try_get_u64_le().ok()? }),
            KIND_GONE => Some(Says::Gone { key }),
            KIND_ON_DISK => Some(Says::OnDisk { key }),
            _ => None,
        }
    }
}

impl Encoded {
    fn fill_header(&mut self, epoch: u64, number: u64) {
        let body_bytes = self.len() - HEADER_BYTES as u64;
        let (mut header, body) = self.front.split_at_mut(HEADER_BYTES);
        let mut sum = crc32fast::Hasher::new();
        sum.update(body);
        self.data.iter().for_each(|piece| sum.update(piece));
        header.put_u32_le(body_bytes as u32);
        header.put_u32_le(sum.finalize());
        header.put_u64_le(epoch);
        header.put_u64_le(number);
        header.put_u64_le(seconds_since_1970());
        let sum = crc32fast::hash(&self.front[..HEADER_BYTES - 4]);
        self.front[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    }

    pub(super) fn len(&self) -> u64 {
        self.pieces().map(|piece| piece.len() as u64).sum()
    }

    /// To be written one behind the other.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.front[..]).chain(self.data.iter().map(|piece| &piece[..]))
    }
}

/// How long the entry of an object is.
pub(super) fn put_bytes(key: &Key, data: &[Bytes]) -> u64 {
    (HEADER_BYTES + 1 + 2 + key.as_str().len() + data.iter().map(Bytes::len).sum::<usize>()) as u64
}

/// All entries of a half that was begun and not emptied, in order. The data is not copied.
///
/// # Errors
/// It was begun by a version that writes something else.
pub(super) fn read(mut half: Bytes) -> io::Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    while let Some((epoch, number, written, body)) = read_one(&mut half) {
        let Some(says) = Says::decode(body) else {
            return Err(io::Error::other("a newer version has written it"));
        };
        let follows = match entries.last() {
            None => matches!(says, Says::Begun { .. }),
            Some(last) => epoch == last.epoch,
        };
        if !follows {
            break;
        }
        entries.push(Entry { epoch, number, written, says });
    }
    Ok(entries)
}

/// Epoch, number, time and body of the next whole entry.
fn read_one(half: &mut Bytes) -> Option<(u64, u64, SystemTime, Bytes)> {
    let header = half.get(..HEADER_BYTES)?;
    if crc32fast::hash(&header[..HEADER_BYTES - 4]) != (&header[HEADER_BYTES - 4..]).get_u32_le() {
        return None;
    }
    let mut fields = header;
    let (body_bytes, sum) = (fields.get_u32_le() as usize, fields.get_u32_le());
    let (epoch, number) = (fields.get_u64_le(), fields.get_u64_le());
    let written = UNIX_EPOCH.checked_add(Duration::from_secs(fields.get_u64_le()))?;
    if half.len() - HEADER_BYTES < body_bytes {
        return None;
    }
    half.advance(HEADER_BYTES);
    let body = half.split_to(body_bytes);
    if crc32fast::hash(&body) != sum {
        return None;
    }
    Some((epoch, number, written, body))
}

fn begin_body(body: &mut Vec<u8>, kind: u8, key: &str) {
    body.put_u8(kind);
    body.put_u16_le(key.len() as u16);
    body.put_slice(key.as_bytes());
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
