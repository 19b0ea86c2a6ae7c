//! A store that can lose power.

mod disk;
mod writer;

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;

use self::disk::{Disk, FileKind};
use self::writer::PowerCutPartial;
use crate::storage::memory::{Memory, MemoryOptions};
use crate::storage::{
    Checkpoint, Driver, Durability, Key, ListPage, Object, ObjectReader, PartialWriter, PutMode, Stat, StorageError,
    Version,
};

/// A store that can lose power. For tests only. Clones are the same store.
///
/// It keeps everything in memory and, beside it, what would be on the disk of a machine that runs the filesystem driver.
/// [`PowerCut::cut`] gives the store that the machine would find after it lost power at this moment, with luck or without
/// it, as a seed decides.
///
/// # What survives a cut
/// This is the worst that a filesystem may do with what the filesystem driver tells it; what a driver's contract leaves
/// open is lost.
///
/// - A call that was made with [`Durability::Power`] and returned: its object or checkpoint, name and bytes.
/// - Nothing else for certain. Each change of a name that was not synced is there or not, by itself, in any order: what
///   was deleted is there again or not; what was put or published with [`Durability::Process`] is there, absent, or what
///   stood there before. A publication that was synced leaves its object for certain, and its partial perhaps beside it;
///   one that was not may leave neither.
/// - The bytes of a file past those that were synced and never touched since are there, cut short, zeros, or (where the
///   file was cut back and written again) those of an earlier time, in any mixture; this holds for objects that were put
///   with [`Durability::Process`] too, so that one may be empty or all zeros.
///
/// After a cut, what was found is on the disk for good, and the new store can be cut again. The old one lives on by
/// itself; what is still under way there reaches nobody.
#[derive(Clone, Debug)]
pub struct PowerCut {
    memory: Memory,
    options: MemoryOptions,
    disk: Arc<Mutex<Disk>>,
}

impl PowerCut {
    /// An empty store.
    pub fn new(options: MemoryOptions) -> Self {
        PowerCut { memory: Memory::new(options.clone()), options, disk: Arc::default() }
    }

    /// The store after a loss of power at this moment. The same seed after the same calls gives the same store.
    pub fn cut(&self, seed: u64) -> PowerCut {
        let survivors = self.lock().survivors(seed);
        // What was deleted may be there again, so that there is more than fits.
        let needed_bytes: u64 =
            survivors.iter().map(|(key, file)| 4096 + (key.as_str().len() + file.len()) as u64).sum();
        let options = MemoryOptions { max_bytes: self.options.max_bytes.max(needed_bytes) };
        let after = PowerCut::new(options);
        for (key, file) in survivors {
            let data = Bytes::from(file.bytes);
            match file.kind {
                FileKind::Object => {
                    at_once(after.put(&key, data, PutMode::Overwrite, Durability::Power)).expect("there is room");
                }
                FileKind::Partial => at_once(after.restore_partial(&key, data)).expect("there is room"),
            }
        }
        PowerCut { options: self.options.clone(), ..after }
    }

    /// As if a long time passed in which the machine wrote everything to the disk: what is there now survives.
    pub fn settle(&self) {
        self.lock().settle();
    }

    /// How much of the bound is used now.
    pub fn used_bytes(&self) -> u64 {
        self.memory.used_bytes()
    }

    async fn restore_partial(&self, key: &Key, data: Bytes) -> Result<(), StorageError> {
        let mut writer = self.create_partial(key).await?;
        writer.append(vec![data]).await?;
        writer.checkpoint(Durability::Power).await.map(drop)
    }

    /// Held over each change in memory and on the disk, so that they are one.
    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn at_once<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("the memory driver waits for nothing")
}

#[async_trait]
impl Driver for PowerCut {
    fn name(&self) -> &'static str {
        "power-cut"
    }

    async fn get(&self, key: &Key, limit_bytes: u64) -> Result<Object, StorageError> {
        self.memory.get(key, limit_bytes).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<ObjectReader, StorageError> {
        self.memory.read(key, range).await
    }

    async fn put(
        &self,
        key: &Key,
        data: Bytes,
        mode: PutMode,
        durability: Durability,
    ) -> Result<Version, StorageError> {
        let mut disk = self.lock();
        let version = at_once(self.memory.put(key, data.clone(), mode, durability))?;
        disk.put(key, &data, durability);
        Ok(version)
    }

    async fn stat(&self, key: &Key) -> Result<Stat, StorageError> {
        self.memory.stat(key).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StorageError> {
        let mut disk = self.lock();
        at_once(self.memory.delete(key))?;
        disk.remove(key);
        Ok(())
    }

    async fn delete_all(&self, folder: &Key, last: Option<&str>) -> Result<(), StorageError> {
        let mut disk = self.lock();
        at_once(self.memory.delete_all(folder, last))?;
        disk.remove_within(folder);
        Ok(())
    }

    async fn list(&self, folder: &Key, start_after: Option<&str>, limit: usize) -> Result<ListPage, StorageError> {
        self.memory.list(folder, start_after, limit).await
    }

    async fn list_mark(&self, folder: &Key) -> Result<Option<String>, StorageError> {
        self.memory.list_mark(folder).await
    }

    async fn create_partial(&self, key: &Key) -> Result<Box<dyn PartialWriter>, StorageError> {
        let mut disk = self.lock();
        let inner = at_once(self.memory.create_partial(key))?;
        disk.create_partial(key);
        drop(disk);
        Ok(Box::new(PowerCutPartial::new(self, key, inner)))
    }

    async fn open_partial(&self, key: &Key, at: &Checkpoint) -> Result<Box<dyn PartialWriter>, StorageError> {
        let inner = self.memory.open_partial(key, at).await?;
        Ok(Box::new(PowerCutPartial::new(self, key, inner)))
    }
}

#[cfg(test)]
mod tests;
