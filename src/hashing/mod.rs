//! Floor 1: running digests.
//!
//! A [`RunningDigest`] is a plain value (state words, bytes hashed, the block begun) that can be saved
//! and continued at any offset by any [`Implementation`]. A [`Hasher`] is the boundary the upload engine
//! speaks to: it feeds bytes at an offset and asks for the state; the hashing itself runs behind the
//! writes on the threads of a [`HashPool`], those of several uploads together as a [`LanePlan`] says.

mod aws_lc;
mod hasher;
mod implementation;
mod lanes;
mod pool;
mod running;
mod saved;
mod stream;

pub use hasher::{HashError, Hasher};
pub use implementation::Implementation;
pub use lanes::{LaneKernel, LanePlan};
pub use pool::HashPool;
pub use running::RunningDigest;
pub use saved::HashStateError;
