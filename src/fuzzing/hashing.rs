use sha2::Digest as _;

use crate::hashing::RunningDigest;
use crate::oci::{Algorithm, Digest};

/// A saved state is what is saved of it again, goes on from the offset that it says, and where all that was hashed
/// still stands in it, gives the digest of that.
///
/// The first byte chooses the algorithm; what is longer than a state is hashed on it.
pub(super) fn hash_state(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    let algorithm = Algorithm::ALL[usize::from(*choice) % Algorithm::ALL.len()];
    let state_bytes = RunningDigest::new(algorithm).to_bytes().len();
    let (state, more) = data.split_at(data.len().min(state_bytes));
    let Ok(running) = RunningDigest::from_bytes(algorithm, state) else { return };

    let saved = running.to_bytes();
    assert_eq!(saved.len(), state_bytes);
    let again = RunningDigest::from_bytes(algorithm, &saved).expect("what was saved is a state");
    assert_eq!(again, running);
    assert_eq!(again.to_bytes(), saved);
    let said: [u8; 8] = state[state_bytes - 8..].try_into().expect("eight bytes");
    assert_eq!(running.offset(), u64::from_be_bytes(said));
    if let Some(hashed) = still_whole(algorithm, state, running.offset()) {
        assert_eq!(running.finish(), digest_of(algorithm, hashed));
    }

    let mut whole = running.clone();
    whole.update(more);
    assert_eq!(whole.offset() - running.offset(), more.len() as u64);
    let mut in_parts = again;
    for part in more.chunks(1 + more.len() / 3) {
        in_parts.update(part);
    }
    assert_eq!(in_parts, whole);
    assert_eq!(in_parts.finish(), whole.finish());
}

/// The bytes that were hashed, when they are no more than the block that is in the state.
fn still_whole(algorithm: Algorithm, state: &[u8], offset: u64) -> Option<&[u8]> {
    let (words_bytes, block_bytes) = match algorithm {
        Algorithm::Sha256 => (32, 64),
        Algorithm::Sha512 => (64, 128),
    };
    let block = &state[4 + words_bytes..4 + words_bytes + block_bytes];
    usize::try_from(offset).ok().filter(|offset| *offset < block_bytes).map(|offset| &block[..offset])
}

fn digest_of(algorithm: Algorithm, data: &[u8]) -> Digest {
    let value = match algorithm {
        Algorithm::Sha256 => sha2::Sha256::digest(data).to_vec(),
        Algorithm::Sha512 => sha2::Sha512::digest(data).to_vec(),
    };
    Digest::from_bytes(algorithm, &value).expect("the value has the algorithm's length")
}
