//! longshore: a container registry whose heart is an upload engine.
//!
//! # The floors
//! A module uses only floors below its own, and folders on one floor do not know each other
//! (`tests/layers.rs` keeps it true):
//!
//! | floor | modules |
//! |---|---|
//! | 0 | [`oci`] |
//! | 1 | [`config`], [`telemetry`], [`clock`], [`hashing`] |
//! | 2 | [`storage`] |
//! | 3 | [`content`] |
//! | 4 | [`upload`] |
//! | 5 | [`registry`] |
//! | 6 | [`http`] |
//! | 7 | `app` |

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod clock;
pub mod config;
pub mod content;
pub mod hashing;
pub mod http;
pub mod oci;
pub mod registry;
pub mod storage;
pub mod telemetry;
pub mod upload;
