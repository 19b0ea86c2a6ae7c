//! Running digests as bytes, in the form that Go's crypto packages (and so distribution's `hashstates`) write.

use std::error::Error;
use std::fmt;

use super::RunningDigest;
use super::running::Words;
use crate::oci::Algorithm;

const MAGIC_256: [u8; 4] = *b"sha\x03";
const MAGIC_512: [u8; 4] = *b"sha\x07";

/// The first number of bytes that SHA-256 is not defined for: it counts bits in 64 bits. SHA-512 could hash more; here it
/// need not.
const TOO_MANY_BYTES: u64 = 1 << 61;

/// Why bytes are no saved state of the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashStateError {
    /// They are too many or too few.
    WrongLength {
        /// How many a state of the algorithm has.
        expected_bytes: usize,
        /// How many there are.
        found_bytes: usize,
    },
    /// They do not begin with the algorithm's mark.
    WrongMagic,
    /// No bytes could lead to it: the words say that a block was hashed and the number of bytes that none was, or the
    /// number is past what the algorithm takes.
    Impossible,
}

impl RunningDigest {
    /// Saves it: 108 bytes for SHA-256, 204 for SHA-512. They are a mark of the algorithm, the words, the begun block
    /// filled up with zeros, and the number of bytes hashed, all big-endian.
    ///
    /// Source: Go, `crypto/sha256` and `crypto/sha512`, `MarshalBinary`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (magic, block_bytes) = (magic(self.algorithm()), self.words.block_bytes());
        let mut bytes = Vec::with_capacity(saved_bytes(self.algorithm()));
        bytes.extend_from_slice(&magic);
        bytes.extend_from_slice(&self.words.to_be_bytes());
        bytes.extend_from_slice(&self.block[..self.begun_bytes()]);
        bytes.resize(bytes.len() + block_bytes - self.begun_bytes(), 0);
        bytes.extend_from_slice(&self.offset.to_be_bytes());
        bytes
    }

    /// Takes up a saved one. There is no checksum in it: whoever stores it has to tell whether it is what was saved.
    /// Only what contradicts itself is noticed.
    ///
    /// # Errors
    /// [`HashStateError`] when it is not of the form. Anything may stand behind the begun block.
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, HashStateError> {
        let expected_bytes = saved_bytes(algorithm);
        if bytes.len() != expected_bytes {
            return Err(HashStateError::WrongLength { expected_bytes, found_bytes: bytes.len() });
        }
        let (found_magic, behind) = bytes.split_at(MAGIC_256.len());
        if found_magic != magic(algorithm) {
            return Err(HashStateError::WrongMagic);
        }
        let mut running = RunningDigest::new(algorithm);
        let behind = match &mut running.words {
            Words::Sha256(words) => read_words(words, behind, u32::from_be_bytes),
            Words::Sha512(words) => read_words(words, behind, u64::from_be_bytes),
        };
        let (block, offset) = behind.split_at(running.words.block_bytes());
        running.block[..block.len()].copy_from_slice(block);
        running.offset = offset.iter().fold(0, |offset, byte| offset << 8 | u64::from(*byte));
        let no_block_yet = running.offset < running.words.block_bytes() as u64;
        let is_impossible = no_block_yet && running.words != RunningDigest::new(algorithm).words;
        if is_impossible || running.offset >= TOO_MANY_BYTES {
            return Err(HashStateError::Impossible);
        }
        Ok(running)
    }
}

/// Reads eight words of `N` bytes; gives what is behind them.
fn read_words<'a, T, const N: usize>(words: &mut [T; 8], bytes: &'a [u8], read: fn([u8; N]) -> T) -> &'a [u8] {
    let (saved, behind) = bytes.split_at(8 * N);
    for (word, bytes) in words.iter_mut().zip(saved.as_chunks().0) {
        *word = read(*bytes);
    }
    behind
}

fn magic(algorithm: Algorithm) -> [u8; 4] {
    match algorithm {
        Algorithm::Sha256 => MAGIC_256,
        Algorithm::Sha512 => MAGIC_512,
    }
}

fn saved_bytes(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Sha256 => 4 + 8 * 4 + 64 + 8,
        Algorithm::Sha512 => 4 + 8 * 8 + 128 + 8,
    }
}

impl fmt::Display for HashStateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HashStateError::WrongLength { expected_bytes, found_bytes } => {
                write!(f, "hash state has {found_bytes} bytes instead of {expected_bytes}")
            }
            HashStateError::WrongMagic => f.write_str("hash state is not of the algorithm"),
            HashStateError::Impossible => f.write_str("hash state is one that no bytes lead to"),
        }
    }
}

impl Error for HashStateError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Go 1.26 wrote after the first so many bytes of `data()`: algorithm, number of bytes, state.
    const GO_STATES: &str = include_str!("saved/go_states.txt");

    fn data() -> Vec<u8> {
        (0..300_u32).map(|index| (index * 7) as u8).collect()
    }

    fn go_states() -> Vec<(Algorithm, usize, Vec<u8>)> {
        let parse = |line: &str| {
            let mut words = line.split(' ');
            let algorithm = words.next()?.parse().ok()?;
            let length = words.next()?.parse().ok()?;
            let hex = words.next()?.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            Some((algorithm, length, hex.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()))
        };
        GO_STATES.lines().map(|line| parse(line).unwrap()).collect()
    }

    #[test]
    fn states_are_written_as_go_writes_them() {
        assert_eq!(go_states().len(), 12);
        for (algorithm, length, state) in go_states() {
            let mut running = RunningDigest::new(algorithm);
            running.update(&data()[..length]);
            assert_eq!(running.to_bytes(), state, "{algorithm} after {length} bytes");
        }
    }

    #[test]
    fn a_state_that_go_wrote_is_continued() {
        for (algorithm, length, state) in go_states() {
            let mut running = RunningDigest::from_bytes(algorithm, &state).unwrap();
            assert_eq!(running.offset(), length as u64);
            running.update(&data()[length..]);
            let mut whole = RunningDigest::new(algorithm);
            whole.update(&data());
            assert_eq!(running.finish(), whole.finish());
        }
    }

    #[test]
    fn what_stands_behind_the_begun_block_does_not_matter() {
        let (algorithm, _, mut state) = go_states().swap_remove(2);
        let clean = RunningDigest::from_bytes(algorithm, &state).unwrap();
        state[4 + 32 + 3..4 + 32 + 64].fill(0xee);
        let dirty = RunningDigest::from_bytes(algorithm, &state).unwrap();
        assert_eq!(dirty, clean);
        assert_eq!(dirty.to_bytes(), clean.to_bytes());
        assert_eq!(dirty.finish(), clean.finish());
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let state = RunningDigest::new(Algorithm::Sha256).to_bytes();
        let wrong_length = |found_bytes| Err(HashStateError::WrongLength { expected_bytes: 108, found_bytes });
        assert_eq!(RunningDigest::from_bytes(Algorithm::Sha256, &[]), wrong_length(0));
        assert_eq!(RunningDigest::from_bytes(Algorithm::Sha256, &state[1..]), wrong_length(107));
        let mut other = state.clone();
        other[3] = 2;
        assert_eq!(RunningDigest::from_bytes(Algorithm::Sha256, &other), Err(HashStateError::WrongMagic));
        assert!(RunningDigest::from_bytes(Algorithm::Sha512, &state).is_err());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for algorithm in Algorithm::ALL {
            let (first_word, offset) = (4, saved_bytes(algorithm) - 8);
            let block_bytes = RunningDigest::new(algorithm).words.block_bytes();
            let with = |word: u8, bytes_hashed: u64| {
                let mut state = RunningDigest::new(algorithm).to_bytes();
                state[first_word] ^= word;
                state[offset..].copy_from_slice(&bytes_hashed.to_be_bytes());
                RunningDigest::from_bytes(algorithm, &state)
            };
            for bytes_hashed in [0, 1, block_bytes as u64 - 1] {
                assert!(with(0, bytes_hashed).is_ok(), "{algorithm} {bytes_hashed}");
                assert_eq!(with(1, bytes_hashed), Err(HashStateError::Impossible), "{algorithm} {bytes_hashed}");
            }
            assert!(with(1, block_bytes as u64).is_ok());
            assert_eq!(with(1, TOO_MANY_BYTES), Err(HashStateError::Impossible));
            let mut longest = with(1, TOO_MANY_BYTES - 1).unwrap();
            longest.update(&[0; 300]);
            assert_eq!(longest.offset(), TOO_MANY_BYTES + 299);
            longest.finish();
        }
    }

    proptest! {
        #[test]
        fn a_saved_state_goes_on_where_it_was(
            head in proptest::collection::vec(any::<u8>(), 0..400),
            tail in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            for algorithm in Algorithm::ALL {
                let mut running = RunningDigest::new(algorithm);
                running.update(&head);
                let mut again = RunningDigest::from_bytes(algorithm, &running.to_bytes()).unwrap();
                prop_assert_eq!(&again, &running);
                running.update(&tail);
                again.update(&tail);
                prop_assert_eq!(again.finish(), running.finish());
            }
        }
    }
}
