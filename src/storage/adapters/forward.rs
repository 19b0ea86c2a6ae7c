use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::call::{Around, Call, Operation};
use crate::storage::change::apply_one_by_one;
use crate::storage::each::each;
use crate::storage::{
    ByteStream, Change, Checkpoint, Driver, Durability, Interrupted, Key, ListPage, Object, ObjectReader, ObjectSender,
    PartialWriter, PutMode, RedirectOptions, SharedDriver, SharedSocket, Stat, StorageError, Version, keys,
};

/// A driver around another: every call, also those of its writers and streams, goes through `A`.
#[derive(Debug)]
pub struct Adapter<A> {
    inner: SharedDriver,
    around: Arc<A>,
}

impl<A: Around> Adapter<A> {
    /// Puts `around` around `inner`.
    pub fn around(inner: SharedDriver, around: A) -> Self {
        Adapter { inner, around: Arc::new(around) }
    }

    /// What is done around each call.
    pub(super) fn manner(&self) -> &A {
        &self.around
    }

    fn writer(&self, key: &Key, inner: Box<dyn PartialWriter>) -> Box<dyn PartialWriter> {
        Box::new(AdapterPartial { inner, key: key.clone(), around: self.around.clone() })
    }
}

/// Another handle of the same adapter: what one counts or plans holds for both.
impl<A> Clone for Adapter<A> {
    fn clone(&self) -> Self {
        Adapter { inner: self.inner.clone(), around: self.around.clone() }
    }
}

#[async_trait]
impl<A: Around> Driver for Adapter<A> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn get(&self, key: &Key, limit_bytes: u64) -> Result<Object, StorageError> {
        let object = self.around.around(Call::new(Operation::Get, key), self.inner.get(key, limit_bytes)).await?;
        self.around.received(object.data.len() as u64);
        Ok(object)
    }

    async fn get_each(&self, keys: &[Key], limit_bytes: u64) -> Result<Vec<Option<Object>>, StorageError> {
        let Some(first) = keys.first().filter(|_| self.around.takes_many_at_once()) else {
            return each(keys, |key| async move { self.get(&key, limit_bytes).await }).await;
        };
        let call = Call::new(Operation::GetEach, first);
        let objects = self.around.around(call, self.inner.get_each(keys, limit_bytes)).await?;
        self.around.received(objects.iter().flatten().map(|object| object.data.len() as u64).sum());
        Ok(objects)
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<ObjectReader, StorageError> {
        let reader = self.around.around(Call::new(Operation::Read, key), self.inner.read(key, range)).await?;
        let stream = pieces(reader.stream, key.clone(), self.around.clone());
        let sender = reader.sender.map(|inner| {
            Box::new(AdapterSender { inner, key: key.clone(), around: self.around.clone() }) as Box<dyn ObjectSender>
        });
        Ok(ObjectReader { stream, sender, ..reader })
    }

    async fn put(
        &self,
        key: &Key,
        data: Bytes,
        mode: PutMode,
        durability: Durability,
    ) -> Result<Version, StorageError> {
        let call = Call { written_bytes: data.len() as u64, ..Call::new(Operation::Put, key) };
        self.around.around(call, self.inner.put(key, data, mode, durability)).await
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<(), Interrupted> {
        let Some(first) = changes.first().filter(|_| self.around.takes_many_at_once()) else {
            return apply_one_by_one(self, changes).await;
        };
        let key = first.key().clone();
        let written_bytes = changes.iter().map(Change::written_bytes).sum();
        let call = Call { written_bytes, ..Call::new(Operation::Apply, &key) };
        let mut done = 0;
        let applied = async {
            self.inner.apply(changes).await.map_err(|interrupted| {
                done = interrupted.done;
                interrupted.cause
            })
        };
        self.around.around(call, applied).await.map_err(|cause| Interrupted { done, cause })
    }

    async fn stat(&self, key: &Key) -> Result<Stat, StorageError> {
        self.around.around(Call::new(Operation::Stat, key), self.inner.stat(key)).await
    }

    async fn stat_each(&self, keys: &[Key]) -> Result<Vec<Option<Stat>>, StorageError> {
        let Some(first) = keys.first().filter(|_| self.around.takes_many_at_once()) else {
            return each(keys, |key| async move { self.stat(&key).await }).await;
        };
        self.around.around(Call::new(Operation::StatEach, first), self.inner.stat_each(keys)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StorageError> {
        self.around.around(Call::new(Operation::Delete, key), self.inner.delete(key)).await
    }

    async fn delete_all(&self, folder: &Key, last: Option<&str>) -> Result<(), StorageError> {
        self.around.around(Call::new(Operation::DeleteAll, folder), self.inner.delete_all(folder, last)).await
    }

    async fn list(&self, folder: &Key, start_after: Option<&str>, limit: usize) -> Result<ListPage, StorageError> {
        self.around.around(Call::new(Operation::List, folder), self.inner.list(folder, start_after, limit)).await
    }

    async fn list_mark(&self, folder: &Key) -> Result<Option<String>, StorageError> {
        self.around.around(Call::new(Operation::ListMark, folder), self.inner.list_mark(folder)).await
    }

    async fn create_partial(&self, key: &Key) -> Result<Box<dyn PartialWriter>, StorageError> {
        let call = Call::new(Operation::CreatePartial, key);
        let inner = self.around.around(call, self.inner.create_partial(key)).await?;
        Ok(self.writer(key, inner))
    }

    async fn open_partial(&self, key: &Key, at: &Checkpoint) -> Result<Box<dyn PartialWriter>, StorageError> {
        let call = Call::new(Operation::OpenPartial, key);
        let inner = self.around.around(call, self.inner.open_partial(key, at)).await?;
        Ok(self.writer(key, inner))
    }

    async fn free_space(&self) -> Result<Option<u64>, StorageError> {
        let found = self.around.around(Call::new(Operation::FreeSpace, &keys::root()), self.inner.free_space()).await?;
        Ok(self.around.free_space(found))
    }

    async fn redirect(&self, key: &Key, options: &RedirectOptions) -> Result<Option<String>, StorageError> {
        self.around.around(Call::new(Operation::Redirect, key), self.inner.redirect(key, options)).await
    }
}

#[derive(Debug)]
struct AdapterPartial<A> {
    inner: Box<dyn PartialWriter>,
    key: Key,
    around: Arc<A>,
}

#[async_trait]
impl<A: Around> PartialWriter for AdapterPartial<A> {
    fn offset(&self) -> u64 {
        self.inner.offset()
    }

    async fn append(&mut self, batch: Vec<Bytes>) -> Result<(), StorageError> {
        let written_bytes = batch.iter().map(|piece| piece.len() as u64).sum();
        let call = Call { written_bytes, ..Call::new(Operation::Append, &self.key) };
        self.around.around(call, self.inner.append(batch)).await
    }

    async fn checkpoint(&mut self, durability: Durability) -> Result<Checkpoint, StorageError> {
        self.around.around(Call::new(Operation::Checkpoint, &self.key), self.inner.checkpoint(durability)).await
    }

    fn standing_checkpoint(&self, durability: Durability) -> Option<Checkpoint> {
        self.inner.standing_checkpoint(durability)
    }

    async fn rewind(&mut self, offset: u64) -> Result<(), StorageError> {
        self.around.around(Call::new(Operation::Rewind, &self.key), self.inner.rewind(offset)).await
    }

    async fn read(&mut self, range: Range<u64>) -> Result<ByteStream, StorageError> {
        let stream = self.around.around(Call::new(Operation::ReadPartial, &self.key), self.inner.read(range)).await?;
        Ok(pieces(stream, self.key.clone(), self.around.clone()))
    }

    async fn publish(self: Box<Self>, key: &Key, durability: Durability) -> Result<Stat, StorageError> {
        let AdapterPartial { inner, around, .. } = *self;
        around.around(Call::new(Operation::Publish, key), inner.publish(key, durability)).await
    }
}

/// What is sent at once is a call, as a piece of a stream is.
struct AdapterSender<A> {
    inner: Box<dyn ObjectSender>,
    key: Key,
    around: Arc<A>,
}

#[async_trait]
impl<A: Around> ObjectSender for AdapterSender<A> {
    async fn send(&mut self, socket: SharedSocket, limit_bytes: u64) -> Result<io::Result<u64>, StorageError> {
        let call = Call::new(Operation::ReadPiece, &self.key);
        let sent = self.around.around(call, self.inner.send(socket, limit_bytes)).await?;
        if let Ok(sent_bytes) = sent {
            self.around.received(sent_bytes);
        }
        Ok(sent)
    }
}

/// A stream whose pieces are calls of their own. It ends after the first error.
fn pieces<A: Around>(inner: ByteStream, key: Key, around: Arc<A>) -> ByteStream {
    stream::unfold(Some((inner, key, around)), |state| async move {
        let (mut inner, key, around) = state?;
        match around.around(Call::new(Operation::ReadPiece, &key), inner.try_next()).await {
            Ok(None) => None,
            Ok(Some(piece)) => {
                around.received(piece.len() as u64);
                Some((Ok(piece), Some((inner, key, around))))
            }
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}
