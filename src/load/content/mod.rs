//! What is pushed: bytes that nobody can compress or has pushed before, made at next to no cost.
//!
//! # The tape
//! Each run draws 32 MiB and some odd bytes once, from its seed. A blob is the tape from its start, lap after lap; the
//! odd bytes make that laps do not align with the blocks of a store, so that a lap does not look like the one before.
//!
//! With [`Uniqueness::Tail`](super::plan::Uniqueness), only a blob's last 64 bytes are its own: it shares all others with
//! every blob of the run, and its bytes go from the tape to the socket without a copy. Its digest is the tape's saved
//! digest state at the MiB before its end, plus the rest, which takes microseconds. With `Whole`, every 8 bytes are
//! combined with a key of the blob and the lap: no byte sequence is shared, and each blob costs a pass over it, and
//! hashing it, before it is pushed.

mod blob;
mod source;
mod tape;

pub use blob::{Blob, Chunks};
pub use source::Source;

#[cfg(test)]
mod tests;
