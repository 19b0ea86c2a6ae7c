//! Several changes that are asked for together.

use bytes::Bytes;

use super::{Driver, Durability, Key, PutMode, StorageError};

/// One of the changes of [`Driver::apply`](super::Driver::apply).
#[derive(Clone, Debug)]
pub enum Change {
    /// [`Driver::put`](super::Driver::put) with [`PutMode::Overwrite`], of an object in pieces.
    Put {
        /// Where.
        key: Key,
        /// Its bytes, in order.
        data: Vec<Bytes>,
        /// What the object survives.
        durability: Durability,
    },
    /// Puts objects directly below a folder, in order, each as [`Driver::put`](super::Driver::put) does. It is meant for a
    /// folder below which there is nothing yet: a driver may let all of them appear at once.
    PutFolder {
        /// The folder.
        folder: Key,
        /// Their keys, each directly below the folder, and their bytes.
        objects: Vec<(Key, Bytes)>,
        /// What they survive.
        durability: Durability,
    },
    /// [`Driver::delete_all`](super::Driver::delete_all) of a folder in which nobody puts anything any more.
    DeleteAll {
        /// The folder.
        folder: Key,
        /// What goes last.
        last: Option<&'static str>,
    },
}

/// [`Driver::apply`](super::Driver::apply) did not come to its end.
#[derive(Debug)]
pub struct Interrupted {
    /// How many of the changes are known to be made: those before the one that failed.
    pub done: usize,
    /// Why the next one was not.
    pub cause: StorageError,
}

/// Makes changes by a call for each: what [`Driver::apply`](super::Driver::apply) means.
///
/// # Errors
/// [`Interrupted`].
pub(super) async fn apply_one_by_one<D: Driver + ?Sized>(driver: &D, changes: Vec<Change>) -> Result<(), Interrupted> {
    for (done, change) in changes.into_iter().enumerate() {
        apply_one(driver, change).await.map_err(|cause| Interrupted { done, cause })?;
    }
    Ok(())
}

async fn apply_one<D: Driver + ?Sized>(driver: &D, change: Change) -> Result<(), StorageError> {
    match change {
        Change::Put { key, data, durability } => {
            driver.put(&key, joined(data), PutMode::Overwrite, durability).await?;
        }
        Change::PutFolder { objects, durability, .. } => {
            for (key, data) in objects {
                driver.put(&key, data, PutMode::Overwrite, durability).await?;
            }
        }
        Change::DeleteAll { folder, last } => driver.delete_all(&folder, last).await?,
    }
    Ok(())
}

fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        1 => pieces.remove(0),
        _ => pieces.concat().into(),
    }
}

impl Change {
    /// How many bytes it hands over to be kept.
    pub fn written_bytes(&self) -> u64 {
        match self {
            Change::Put { data, .. } => data.iter().map(|piece| piece.len() as u64).sum(),
            Change::PutFolder { objects, .. } => objects.iter().map(|(_, data)| data.len() as u64).sum(),
            Change::DeleteAll { .. } => 0,
        }
    }

    /// What it is to survive, where it says so.
    pub fn durability(&self) -> Option<Durability> {
        match self {
            Change::Put { durability, .. } | Change::PutFolder { durability, .. } => Some(*durability),
            Change::DeleteAll { .. } => None,
        }
    }

    /// What it changes.
    pub fn key(&self) -> &Key {
        match self {
            Change::Put { key, .. } => key,
            Change::PutFolder { folder, .. } | Change::DeleteAll { folder, .. } => folder,
        }
    }
}

impl From<Interrupted> for StorageError {
    fn from(interrupted: Interrupted) -> Self {
        interrupted.cause
    }
}
