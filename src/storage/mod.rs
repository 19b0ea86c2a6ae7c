//! Floor 2: where bytes are kept.
//!
//! [`Driver`] is the contract; read its documentation before you write or use one. [`keys`] draws
//! every key there is. [`filesystem`] and [`memory`] are the drivers, [`adapters`] wrap any of
//! them, and [`suite`] is what each has to pass.

pub mod adapters;
mod change;
mod driver;
mod each;
mod error;
pub mod filesystem;
mod key;
pub mod keys;
pub mod memory;
pub mod suite;

pub use change::{Change, Interrupted};
pub use driver::{
    ByteStream, Checkpoint, Driver, Durability, Entry, EntryKind, ListPage, Object, ObjectReader, ObjectSender,
    PartialWriter, PutMode, RedirectOptions, SharedDriver, SharedSocket, Stat, Version,
};
pub use error::{StorageError, StorageErrorKind};
pub use key::{Key, KeyError};
