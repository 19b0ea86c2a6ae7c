use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::tape::Tape;
use crate::hashing::RunningDigest;
use crate::load::plan::Uniqueness;
use crate::oci::{Algorithm, Digest};

/// How many bytes at a blob's end are its own. A blob that is shorter is all its own.
const TAIL_BYTES: usize = 64;

/// A blob to push: its size, its digest, and its bytes as often as they are wanted. Cheap to clone.
#[derive(Clone)]
pub struct Blob(Arc<Inner>);

struct Inner {
    size: u64,
    digest: Digest,
    bytes: BlobBytes,
}

/// What makes a blob's bytes.
#[derive(Clone)]
struct BlobBytes {
    tape: Arc<Tape>,
    size: u64,
    key: u64,
    uniqueness: Uniqueness,
    tail: [u8; TAIL_BYTES],
    piece_bytes: usize,
}

/// The pieces of a blob, or of a range of it, in order. None is empty.
#[derive(Clone)]
pub struct Chunks {
    blob: Blob,
    left: Range<u64>,
}

impl Blob {
    /// Makes one and computes its digest, which takes a pass over it where every byte is its own, and else microseconds
    /// or, where it is larger than any before, a pass over what is larger.
    pub(super) fn new(tape: Arc<Tape>, size: u64, key: u64, uniqueness: Uniqueness, piece_bytes: usize) -> Self {
        let mut tail = [0; TAIL_BYTES];
        SmallRng::seed_from_u64(key).fill_bytes(&mut tail);
        let bytes = BlobBytes { tape, size, key, uniqueness, tail, piece_bytes };
        let digest = bytes.digest();
        Blob(Arc::new(Inner { size, digest, bytes }))
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// Its SHA-256 digest.
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// Its bytes from `offset` on, in pieces of `content.piece_size` at most.
    pub fn chunks(&self, offset: u64) -> Chunks {
        self.range(offset..self.size())
    }

    /// The bytes of a range, which is cut at the blob's end.
    pub fn range(&self, range: Range<u64>) -> Chunks {
        Chunks { blob: self.clone(), left: range.start..range.end.min(self.size()) }
    }

    /// Whether `found`, read at `offset`, is what is there.
    pub fn is_equal_at(&self, offset: u64, found: &[u8]) -> bool {
        let Some(end) = offset.checked_add(found.len() as u64).filter(|end| *end <= self.size()) else {
            return false;
        };
        let mut rest = found;
        for piece in self.range(offset..end) {
            let (head, behind) = rest.split_at(piece.len());
            if head != piece {
                return false;
            }
            rest = behind;
        }
        true
    }
}

impl BlobBytes {
    fn tail_start(&self) -> u64 {
        self.size.saturating_sub(TAIL_BYTES as u64)
    }

    /// Its own bytes at its end.
    fn own_tail(&self) -> &[u8] {
        let length = (self.size - self.tail_start()) as usize;
        &self.tail[TAIL_BYTES - length..]
    }

    fn digest(&self) -> Digest {
        if self.uniqueness == Uniqueness::Tail {
            return self.tape.digest(self.tail_start(), self.own_tail());
        }
        let mut running = RunningDigest::new(Algorithm::Sha256);
        while running.offset() < self.size {
            running.update(&self.piece(running.offset(), self.size));
        }
        running.finish()
    }

    /// Some bytes from `offset` on, before `end`, both within the blob.
    fn piece(&self, offset: u64, end: u64) -> Bytes {
        let tail_start = self.tail_start();
        if offset >= tail_start {
            let tail = self.own_tail();
            return Bytes::copy_from_slice(&tail[(offset - tail_start) as usize..(end - tail_start) as usize]);
        }
        let most = usize::try_from(end.min(tail_start) - offset).unwrap_or(usize::MAX).min(self.piece_bytes);
        let plain = self.tape.slice(offset, most);
        match self.uniqueness {
            Uniqueness::Tail => plain,
            Uniqueness::Whole => self.with_key(plain, offset),
        }
    }

    /// Every 8 bytes of a lap combined with a key that no other blob and no other lap has.
    fn with_key(&self, plain: Bytes, offset: u64) -> Bytes {
        let (lap, in_lap) = self.tape.lap_of(offset);
        let mut key = SmallRng::seed_from_u64(self.key ^ lap.wrapping_add(1).rotate_left(32)).next_u64().to_le_bytes();
        // A piece may begin within 8 bytes of its lap.
        key.rotate_left(in_lap % size_of::<u64>());
        let mut own = plain.to_vec();
        let (words, rest) = own.as_chunks_mut::<8>();
        let key_word = u64::from_le_bytes(key);
        for word in words {
            *word = (u64::from_le_bytes(*word) ^ key_word).to_le_bytes();
        }
        for (byte, key_byte) in rest.iter_mut().zip(key) {
            *byte ^= key_byte;
        }
        own.into()
    }
}

impl Chunks {
    /// How many bytes are still to come.
    pub fn remaining(&self) -> u64 {
        self.left.end.saturating_sub(self.left.start)
    }
}

impl Iterator for Chunks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.left.start >= self.left.end {
            return None;
        }
        let piece = self.blob.0.bytes.piece(self.left.start, self.left.end);
        self.left.start += piece.len() as u64;
        Some(piece)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob").field("size", &self.0.size).field("digest", &self.0.digest).finish_non_exhaustive()
    }
}
