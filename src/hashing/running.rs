use std::fmt;

use super::Implementation;
use crate::oci::{Algorithm, Digest};

/// The longest block of an algorithm, in bytes.
const LONGEST_BLOCK: usize = 128;

/// A digest on its way: a plain value that can be cloned, saved ([`RunningDigest::to_bytes`]) and continued.
///
/// Source: FIPS 180-4.
#[derive(Clone)]
pub struct RunningDigest {
    pub(super) words: Words,
    /// The block that has begun, up to `offset % block_bytes`; what is behind is of no meaning.
    pub(super) block: [u8; LONGEST_BLOCK],
    pub(super) offset: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    Sha256([u32; 8]),
    Sha512([u64; 8]),
}

const FIRST_WORDS_256: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

const FIRST_WORDS_512: [u64; 8] = [
    0x6a09e667f3bcc908,
    0xbb67ae8584caa73b,
    0x3c6ef372fe94f82b,
    0xa54ff53a5f1d36f1,
    0x510e527fade682d1,
    0x9b05688c2b3e6c1f,
    0x1f83d9abfb41bd6b,
    0x5be0cd19137e2179,
];

impl RunningDigest {
    /// The digest of nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        let words = match algorithm {
            Algorithm::Sha256 => Words::Sha256(FIRST_WORDS_256),
            Algorithm::Sha512 => Words::Sha512(FIRST_WORDS_512),
        };
        RunningDigest { words, block: [0; LONGEST_BLOCK], offset: 0 }
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        match self.words {
            Words::Sha256(_) => Algorithm::Sha256,
            Words::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// How many bytes were hashed: the offset of the next one.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Hashes the next bytes.
    pub fn update(&mut self, data: &[u8]) {
        self.update_with(Implementation::current(self.algorithm()), data);
    }

    /// Hashes the next bytes with a certain implementation.
    pub fn update_with(&mut self, implementation: Implementation, data: &[u8]) {
        let begun = self.begun_bytes();
        let block_bytes = self.words.block_bytes();
        self.offset += data.len() as u64;
        let mut rest = data;
        if begun > 0 {
            let (head, behind) = rest.split_at(rest.len().min(block_bytes - begun));
            self.block[begun..begun + head.len()].copy_from_slice(head);
            if begun + head.len() < block_bytes {
                return;
            }
            self.words.compress(implementation, &self.block[..block_bytes]);
            rest = behind;
        }
        let (whole_blocks, tail) = rest.split_at(rest.len() - rest.len() % block_bytes);
        self.words.compress(implementation, whole_blocks);
        self.block[..tail.len()].copy_from_slice(tail);
    }

    /// The digest of what was hashed so far; the running one is not changed and may go on.
    pub fn finish(&self) -> Digest {
        let implementation = Implementation::current(self.algorithm());
        let block_bytes = self.words.block_bytes();
        // Half of a block holds a one bit, zeros and the length in bits; what was begun may need a block more.
        let length_bytes = block_bytes / 8;
        let begun = self.begun_bytes();
        let padded = if begun + 1 + length_bytes <= block_bytes { block_bytes } else { 2 * block_bytes };
        let length_bits = u128::from(self.offset) * 8;

        let mut last_blocks = [0; 2 * LONGEST_BLOCK];
        last_blocks[..begun].copy_from_slice(&self.block[..begun]);
        last_blocks[begun] = 0x80;
        last_blocks[padded - length_bytes..padded]
            .copy_from_slice(&length_bits.to_be_bytes()[size_of::<u128>() - length_bytes..]);

        let mut words = self.words;
        words.compress(implementation, &last_blocks[..padded]);
        Digest::from_bytes(self.algorithm(), &words.to_be_bytes()).expect("the words have the length of the digest")
    }

    pub(super) fn begun_bytes(&self) -> usize {
        (self.offset % self.words.block_bytes() as u64) as usize
    }
}

impl Words {
    pub(super) fn block_bytes(&self) -> usize {
        match self {
            Words::Sha256(_) => 64,
            Words::Sha512(_) => 128,
        }
    }

    /// `blocks` holds whole blocks.
    fn compress(&mut self, implementation: Implementation, blocks: &[u8]) {
        if blocks.is_empty() {
            return;
        }
        match self {
            Words::Sha256(words) => implementation.compress256(words, blocks.as_chunks().0),
            Words::Sha512(words) => implementation.compress512(words, blocks.as_chunks().0),
        }
    }

    pub(super) fn to_be_bytes(self) -> Vec<u8> {
        match self {
            Words::Sha256(words) => words.map(u32::to_be_bytes).concat(),
            Words::Sha512(words) => words.map(u64::to_be_bytes).concat(),
        }
    }
}

/// Equal when everything that is hashed after it gives the same: the same words, offset and begun block.
impl PartialEq for RunningDigest {
    fn eq(&self, other: &Self) -> bool {
        let begun = self.begun_bytes();
        self.words == other.words && self.offset == other.offset && self.block[..begun] == other.block[..begun]
    }
}

impl Eq for RunningDigest {}

impl fmt::Debug for RunningDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningDigest")
            .field("algorithm", &self.algorithm())
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::Digest as _;

    use super::*;

    fn by_sha2(algorithm: Algorithm, data: &[u8]) -> Digest {
        let value = match algorithm {
            Algorithm::Sha256 => sha2::Sha256::digest(data).to_vec(),
            Algorithm::Sha512 => sha2::Sha512::digest(data).to_vec(),
        };
        Digest::from_bytes(algorithm, &value).unwrap()
    }

    #[test]
    fn the_examples_of_the_standard_hold() {
        let mut running = RunningDigest::new(Algorithm::Sha256);
        running.update(b"abc");
        assert_eq!(running.finish().hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let running = RunningDigest::new(Algorithm::Sha512);
        assert!(running.finish().hex().starts_with("cf83e1357eefb8bdf1542850d66d8007"));
    }

    #[test]
    fn every_length_around_the_padding_is_right() {
        let data: Vec<u8> = (0..=255).cycle().take(400).collect();
        for algorithm in Algorithm::ALL {
            for length in 0..data.len() {
                let mut running = RunningDigest::new(algorithm);
                running.update(&data[..length]);
                assert_eq!(running.finish(), by_sha2(algorithm, &data[..length]), "{algorithm} of {length} bytes");
            }
        }
    }

    #[test]
    fn finishing_changes_nothing() {
        let mut running = RunningDigest::new(Algorithm::Sha256);
        running.update(b"ab");
        let before = running.clone();
        assert_eq!(running.finish(), by_sha2(Algorithm::Sha256, b"ab"));
        assert_eq!(running, before);
        running.update(b"c");
        assert_ne!(running, before);
        assert_eq!(running.finish(), by_sha2(Algorithm::Sha256, b"abc"));
    }

    proptest! {
        #[test]
        fn any_implementation_continues_any_other_at_any_cut(
            data in proptest::collection::vec(any::<u8>(), 0..5000),
            steps in proptest::collection::vec((0_usize..700, 0..Implementation::ALL.len()), 0..20),
        ) {
            for algorithm in Algorithm::ALL {
                let mut running = RunningDigest::new(algorithm);
                let mut rest = data.as_slice();
                for (length, implementation) in &steps {
                    let (piece, behind) = rest.split_at(rest.len().min(*length));
                    running.update_with(Implementation::ALL[*implementation], piece);
                    rest = behind;
                }
                for implementation in Implementation::ALL {
                    let mut end = running.clone();
                    end.update_with(implementation, rest);
                    prop_assert_eq!(end.offset(), data.len() as u64);
                    prop_assert_eq!(end.finish(), by_sha2(algorithm, &data), "{}", implementation.as_str());
                }
            }
        }
    }
}
