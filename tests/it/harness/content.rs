//! Blobs and manifests to push.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::Digest as _;

use super::{OCI_IMAGE, OCI_INDEX};

/// A digest algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alg {
    Sha256,
    Sha512,
}

impl Alg {
    pub const BOTH: [Alg; 2] = [Alg::Sha256, Alg::Sha512];

    pub fn name(self) -> &'static str {
        match self {
            Alg::Sha256 => "sha256",
            Alg::Sha512 => "sha512",
        }
    }

    pub fn digest(self, data: &[u8]) -> String {
        let hash = match self {
            Alg::Sha256 => sha2::Sha256::digest(data).to_vec(),
            Alg::Sha512 => sha2::Sha512::digest(data).to_vec(),
        };
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}:{hex}", self.name())
    }
}

/// The sha256 digest.
pub fn digest_of(data: &[u8]) -> String {
    Alg::Sha256.digest(data)
}

/// Bytes that no other call of this process gives.
pub fn random(length: usize) -> Bytes {
    static SEED: AtomicU64 = AtomicU64::new(1);
    let mut state = SEED.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut data = Vec::with_capacity(length + 8);
    while data.len() < length {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        data.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    data.truncate(length);
    data.into()
}

/// An image's manifest of a config and layers that are named by digest and size.
pub fn image_manifest(config: &(String, usize), layers: &[(String, usize)]) -> Value {
    let layer = |(digest, size): &(String, usize)| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": size});
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.0, "size": config.1},
        "layers": layers.iter().map(layer).collect::<Vec<_>>(),
    })
}

/// An index of manifests that are named by digest and size.
pub fn index_manifest(children: &[(String, usize)]) -> Value {
    let child = |(digest, size): &(String, usize)| json!({"mediaType": OCI_IMAGE, "digest": digest, "size": size});
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children.iter().map(child).collect::<Vec<_>>()})
}
