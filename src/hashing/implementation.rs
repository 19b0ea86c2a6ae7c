use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use super::aws_lc;
use crate::oci::Algorithm;

/// Which code compresses blocks into a digest's words. All give the same words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Implementation {
    /// The `sha2` crate, with SHA instructions where the processor has them.
    Sha2,
    /// The assembly of AWS-LC.
    AwsLc,
}

/// What [`Implementation::choose`] chose: 0 for nothing yet, else the place in `ALL` plus one.
static CHOSEN: AtomicU8 = AtomicU8::new(0);

impl Implementation {
    /// Every one there is.
    pub const ALL: [Implementation; 2] = [Implementation::Sha2, Implementation::AwsLc];

    /// Makes every digest of this process use one implementation, `None` the fastest for this processor. It may
    /// change at any time, as all continue each other's states.
    pub fn choose(implementation: Option<Implementation>) {
        let chosen = match implementation {
            None => 0,
            Some(Implementation::Sha2) => 1,
            Some(Implementation::AwsLc) => 2,
        };
        CHOSEN.store(chosen, Ordering::Relaxed);
    }

    /// What is in use for an algorithm.
    pub fn current(algorithm: Algorithm) -> Implementation {
        match CHOSEN.load(Ordering::Relaxed) {
            1 => Implementation::Sha2,
            2 => Implementation::AwsLc,
            _ => Implementation::fastest(algorithm),
        }
    }

    /// The fastest for this processor. In GB/s of one core, as measured by `benches/hashing.rs`:
    ///
    /// | | `sha2` | AWS-LC |
    /// |---|---|---|
    /// | SHA-256, with SHA instructions (Zen 5) | 2.08 | 2.08 |
    /// | SHA-256, without (Cascade Lake) | 0.19 | 0.34 |
    /// | SHA-512, Zen 5 | 0.89 | 0.87 |
    /// | SHA-512, Cascade Lake | 0.38 | 0.48 |
    pub fn fastest(algorithm: Algorithm) -> Implementation {
        match Implementation::has_instructions(algorithm) {
            true => Implementation::Sha2,
            false => Implementation::AwsLc,
        }
    }

    /// Whether this processor has instructions for an algorithm, which all implementations then use.
    pub(super) fn has_instructions(algorithm: Algorithm) -> bool {
        static FOR_SHA256: OnceLock<bool> = OnceLock::new();
        algorithm == Algorithm::Sha256 && *FOR_SHA256.get_or_init(has_sha256_instructions)
    }

    /// Its name in the log and in benchmarks.
    pub fn as_str(self) -> &'static str {
        match self {
            Implementation::Sha2 => "sha2",
            Implementation::AwsLc => "aws-lc",
        }
    }

    pub(super) fn compress256(self, words: &mut [u32; 8], blocks: &[[u8; 64]]) {
        match self {
            Implementation::Sha2 => sha2::block_api::compress256(words, blocks),
            Implementation::AwsLc => aws_lc::compress256(words, blocks),
        }
    }

    pub(super) fn compress512(self, words: &mut [u64; 8], blocks: &[[u8; 128]]) {
        match self {
            Implementation::Sha2 => sha2::block_api::compress512(words, blocks),
            Implementation::AwsLc => aws_lc::compress512(words, blocks),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_sha256_instructions() -> bool {
    std::arch::is_x86_feature_detected!("sha")
}

#[cfg(target_arch = "aarch64")]
fn has_sha256_instructions() -> bool {
    std::arch::is_aarch64_feature_detected!("sha2")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn has_sha256_instructions() -> bool {
    false
}
