use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};

use crate::hashing::RunningDigest;
use crate::hashing::running::Words;

const BLOCK_BYTES: usize = 64;

/// A digest and the bytes that come next. Bytes are let go as soon as they are hashed.
pub(in crate::hashing) struct Lane {
    pub(in crate::hashing) digest: RunningDigest,
    pieces: VecDeque<Bytes>,
}

impl Lane {
    pub(in crate::hashing) fn new(digest: RunningDigest, pieces: Vec<Bytes>) -> Lane {
        Lane { digest, pieces: pieces.into() }
    }

    /// Whether a kernel can take it: they all compute SHA-256.
    pub(in crate::hashing) fn fits_kernels(&self) -> bool {
        matches!(self.digest.words, Words::Sha256(_))
    }

    /// Whether all is hashed.
    pub(in crate::hashing) fn is_done(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Hashes what stands before the next whole block in memory. Tells how many whole blocks follow each other from
    /// there; 0 when nothing is left.
    pub(super) fn prepare(&mut self) -> usize {
        while let Some(piece) = self.pieces.front_mut() {
            let begun = self.digest.begun_bytes();
            if begun == 0 && piece.len() >= BLOCK_BYTES {
                return piece.len() / BLOCK_BYTES;
            }
            let head = piece.split_to(piece.len().min(BLOCK_BYTES - begun));
            self.digest.update(&head);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
        0
    }

    /// The words, and the whole blocks that [`Lane::prepare`] told of.
    pub(super) fn run(&self) -> ([u32; 8], &[[u8; BLOCK_BYTES]]) {
        let Words::Sha256(words) = self.digest.words else {
            unreachable!("only what fits the kernels comes here");
        };
        (words, self.pieces.front().map_or(&[], |piece| piece.as_chunks().0))
    }

    /// Takes up the words after `count` blocks of the run.
    pub(super) fn advance(&mut self, words: [u32; 8], count: usize) {
        self.digest.words = Words::Sha256(words);
        self.digest.offset += (count * BLOCK_BYTES) as u64;
        if let Some(piece) = self.pieces.front_mut() {
            piece.advance(count * BLOCK_BYTES);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
    }

    /// All that waits, to be hashed by other means.
    pub(in crate::hashing) fn take_pieces(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.pieces).into()
    }
}
