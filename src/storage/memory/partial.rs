use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use super::Memory;
use super::pieces::Pieces;
use super::state::{Partial, State, cost_bytes};
use crate::storage::{ByteStream, Checkpoint, Durability, Key, PartialWriter, Stat, StorageError, StorageErrorKind};

/// The writer of a partial in memory.
#[derive(Debug)]
pub(super) struct MemoryPartial {
    memory: Memory,
    key: Key,
    writer: u64,
    offset: u64,
}

pub(super) fn create(memory: &Memory, key: &Key) -> Result<MemoryPartial, StorageError> {
    let mut state = memory.lock();
    state.remove_partial(key.as_str());
    if state.root.object(key.as_str()).is_some() {
        state.remove(key);
    }
    state.charge("create_partial", key, 0, cost_bytes(key.as_str().len(), &Pieces::default()))?;
    let writer = state.next_change();
    state.partials.insert(key.as_str().into(), Partial { pieces: Arc::default(), modified: SystemTime::now(), writer });
    Ok(MemoryPartial { memory: memory.clone(), key: key.clone(), writer, offset: 0 })
}

pub(super) fn open(memory: &Memory, key: &Key, at: &Checkpoint) -> Result<MemoryPartial, StorageError> {
    let fail = |kind| StorageError::new(kind, "open_partial", key);
    let mut state = memory.lock();
    let writer = state.next_change();
    let partial = state.partials.get_mut(key.as_str()).ok_or_else(|| fail(StorageErrorKind::NotFound))?;
    let offset = partial.pieces.size_bytes();
    if offset < at.offset {
        return Err(fail(StorageErrorKind::WrongSize));
    }
    partial.writer = writer;
    Ok(MemoryPartial { memory: memory.clone(), key: key.clone(), writer, offset })
}

impl MemoryPartial {
    /// The partial, if this writer still owns it.
    fn partial<'a>(&self, state: &'a mut State, operation: &'static str) -> Result<&'a mut Partial, StorageError> {
        let Some(partial) = state.partials.get_mut(self.key.as_str()) else {
            return Err(StorageError::new(StorageErrorKind::NotFound, operation, &self.key));
        };
        if partial.writer != self.writer {
            let cause = "another writer has opened it";
            return Err(StorageError::with_source(StorageErrorKind::Fault, operation, &self.key, cause));
        }
        Ok(partial)
    }

    fn outside(&self, operation: &'static str, offset: u64) -> StorageError {
        let cause = format!("offset {offset} is past its end at {}", self.offset);
        StorageError::with_source(StorageErrorKind::WrongSize, operation, &self.key, cause)
    }
}

#[async_trait]
impl PartialWriter for MemoryPartial {
    fn offset(&self) -> u64 {
        self.offset
    }

    async fn append(&mut self, batch: Vec<Bytes>) -> Result<(), StorageError> {
        let mut addition = Pieces::default();
        addition.append(batch);
        let mut state = self.memory.lock();
        self.partial(&mut state, "append")?;
        state.charge("append", &self.key, 0, addition.cost_bytes())?;
        let partial = self.partial(&mut state, "append")?;
        Arc::make_mut(&mut partial.pieces).extend(addition);
        partial.modified = SystemTime::now();
        self.offset = partial.pieces.size_bytes();
        Ok(())
    }

    async fn checkpoint(&mut self, _durability: Durability) -> Result<Checkpoint, StorageError> {
        self.partial(&mut self.memory.lock(), "checkpoint")?;
        Ok(Checkpoint { offset: self.offset, token: String::new() })
    }

    fn standing_checkpoint(&self, _durability: Durability) -> Option<Checkpoint> {
        let is_mine = self.partial(&mut self.memory.lock(), "checkpoint").is_ok();
        is_mine.then(|| Checkpoint { offset: self.offset, token: String::new() })
    }

    async fn rewind(&mut self, offset: u64) -> Result<(), StorageError> {
        if offset > self.offset {
            return Err(self.outside("rewind", offset));
        }
        let mut state = self.memory.lock();
        let partial = self.partial(&mut state, "rewind")?;
        let old_bytes = partial.pieces.cost_bytes();
        Arc::make_mut(&mut partial.pieces).truncate(offset);
        let new_bytes = partial.pieces.cost_bytes();
        state.settle(old_bytes, new_bytes);
        self.offset = offset;
        Ok(())
    }

    async fn read(&mut self, range: Range<u64>) -> Result<ByteStream, StorageError> {
        if range.end > self.offset {
            return Err(self.outside("read", range.end));
        }
        let pieces = self.partial(&mut self.memory.lock(), "read")?.pieces.clone();
        Ok(pieces.stream(range))
    }

    async fn publish(self: Box<Self>, key: &Key, _durability: Durability) -> Result<Stat, StorageError> {
        let mut state = self.memory.lock();
        let pieces = self.partial(&mut state, "publish")?.pieces.clone();
        state.check_place("publish", key)?;
        let replaced = state.root.object(key.as_str());
        let replaced_bytes = replaced.map_or(0, |stored| cost_bytes(key.as_str().len(), &stored.pieces));
        let partial_bytes = cost_bytes(self.key.as_str().len(), &pieces);
        let object_bytes = cost_bytes(key.as_str().len(), &pieces);
        state.settle(partial_bytes + replaced_bytes, object_bytes);
        state.partials.remove(self.key.as_str());
        Ok(state.insert(key, pieces).stat())
    }
}
