//! longshore: a container registry whose heart is an upload engine.
//!
//! A registry in a program of one's own, here in memory and on a free port:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use longshore::{app::App, config::{Config, StorageDriver}};
//!
//! let mut config = Config::default();
//! config.storage.driver = StorageDriver::Memory;
//! (config.http.addr, config.http.admin_addr) = ("127.0.0.1:0".parse()?, "127.0.0.1:0".parse()?);
//! actix::System::new().block_on(async {
//!     let app = App::start(config).await?;
//!     println!("push to {}", app.addr());
//!     app.stop().await;
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # The floors
//! A module uses only floors below its own, and folders on one floor do not know each other
//! (`tests/layers.rs` keeps it true):
//!
//! | floor | modules |
//! |---|---|
//! | 0 | [`oci`] |
//! | 1 | [`config`], [`telemetry`], [`clock`], [`hashing`], [`services`], [`text`] |
//! | 2 | [`storage`], [`client`], [`layout`] |
//! | 3 | [`content`], [`transfer`] |
//! | 4 | [`upload`] |
//! | 5 | [`registry`] |
//! | 6 | [`http`], [`load`] |
//! | 7 | [`app`], `fuzzing`, `benching` |

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod app;
#[doc(hidden)]
pub mod benching;
pub mod client;
pub mod clock;
pub mod config;
pub mod content;
#[doc(hidden)]
pub mod fuzzing;
pub mod hashing;
pub mod http;
pub mod layout;
pub mod load;
pub mod oci;
pub mod registry;
pub mod services;
pub mod storage;
pub mod telemetry;
pub mod text;
pub mod transfer;
pub mod upload;
