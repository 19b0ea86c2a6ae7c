//! Several SHA-256 digests at once on one core: one in each lane of the processor's vectors.
//!
//! A [`LanePlan`] says which kernel runs for how many streams; [`Lane`] is one stream's digest with the bytes that wait,
//! and [`LanePlan::step`] hashes some blocks of each. Every kernel gives what one stream alone would have given, at
//! every block, so that a digest may change between them at any time. Where the processor has none of the
//! instructions, every stream is hashed alone.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod constants;
mod kernel;
mod lane;
mod measure;
mod plan;
#[cfg(target_arch = "x86_64")]
mod sha_ni;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod transposed;

use super::Implementation;
use crate::oci::Algorithm;

pub use kernel::LaneKernel;
pub(super) use lane::Lane;
pub use plan::LanePlan;

/// Compresses blocks of one digest by the implementation in use.
fn compress_alone(words: &mut [u32; 8], blocks: &[[u8; 64]]) {
    Implementation::current(Algorithm::Sha256).compress256(words, blocks);
}
