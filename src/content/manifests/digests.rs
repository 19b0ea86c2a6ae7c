use sha2::{Digest as _, Sha256, Sha512};

use crate::oci::{Algorithm, Digest};

/// The digest of bytes that are all there.
pub(in crate::content) fn digest_of(algorithm: Algorithm, data: &[u8]) -> Digest {
    let digest = match algorithm {
        Algorithm::Sha256 => Digest::from_bytes(algorithm, &Sha256::digest(data)),
        Algorithm::Sha512 => Digest::from_bytes(algorithm, &Sha512::digest(data)),
    };
    digest.expect("a hash has the length of its algorithm")
}
