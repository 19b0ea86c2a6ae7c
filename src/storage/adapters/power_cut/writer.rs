use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use super::{PowerCut, at_once};
use crate::storage::{ByteStream, Checkpoint, Durability, Key, PartialWriter, Stat, StorageError};

/// The writer of a partial: what the memory driver has done, the disk is told.
#[derive(Debug)]
pub(super) struct PowerCutPartial {
    store: PowerCut,
    key: Key,
    inner: Box<dyn PartialWriter>,
}

impl PowerCutPartial {
    pub(super) fn new(store: &PowerCut, key: &Key, inner: Box<dyn PartialWriter>) -> Self {
        PowerCutPartial { store: store.clone(), key: key.clone(), inner }
    }
}

#[async_trait]
impl PartialWriter for PowerCutPartial {
    fn offset(&self) -> u64 {
        self.inner.offset()
    }

    async fn append(&mut self, batch: Vec<Bytes>) -> Result<(), StorageError> {
        let mut disk = self.store.lock();
        at_once(self.inner.append(batch.clone()))?;
        disk.append(&self.key, &batch);
        Ok(())
    }

    async fn checkpoint(&mut self, durability: Durability) -> Result<Checkpoint, StorageError> {
        let mut disk = self.store.lock();
        let checkpoint = at_once(self.inner.checkpoint(durability))?;
        if durability == Durability::Power {
            disk.sync(&self.key);
        }
        Ok(checkpoint)
    }

    async fn rewind(&mut self, offset: u64) -> Result<(), StorageError> {
        let mut disk = self.store.lock();
        at_once(self.inner.rewind(offset))?;
        disk.cut_back(&self.key, offset);
        Ok(())
    }

    async fn read(&mut self, range: Range<u64>) -> Result<ByteStream, StorageError> {
        self.inner.read(range).await
    }

    async fn publish(self: Box<Self>, key: &Key, durability: Durability) -> Result<Stat, StorageError> {
        let PowerCutPartial { store, key: partial, inner } = *self;
        let mut disk = store.lock();
        let stat = at_once(inner.publish(key, durability))?;
        disk.publish(&partial, key, durability);
        Ok(stat)
    }
}
