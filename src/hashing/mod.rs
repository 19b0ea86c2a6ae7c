//! Floor 1: running digests.
//!
//! A [`RunningDigest`] is a plain value (state words, bytes hashed, the block begun) that can be saved
//! and continued at any offset by any implementation. A [`Hasher`] is the boundary the upload engine
//! speaks to: it feeds bytes at an offset, asks for the state at an offset, and finishes; the hashing
//! itself may run behind the writes on another thread, and later many uploads at once.
