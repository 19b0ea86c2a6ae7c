use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use rustix::buffer::spare_capacity;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::blocking::{self, Blocking};
use super::object;
use super::send::FileSender;
use super::store::Store;
use crate::storage::{ByteStream, Key, ObjectReader, Stat, StorageError, StorageErrorKind};

/// What is read at once. One piece is read ahead while the one before is on its way, so that a stream holds two.
const PIECE_BYTES: u64 = 512 * 1024;

/// An object up to this is read in the call that opens it, which makes one hop.
const FIRST_PIECE_BYTES: u64 = 64 * 1024;

/// Opens an object, and reads it when it is small.
pub(super) fn open(store: &Store, key: &Key, range: Option<Range<u64>>) -> Result<ObjectReader, StorageError> {
    if let Some((data, stat)) = store.pending.object(key) {
        let range = cut(range, &stat);
        let data = data.slice(range.start as usize..range.end as usize);
        let pieces = (!data.is_empty()).then_some(Ok(data));
        return Ok(ObjectReader { stat, range, stream: stream::iter(pieces).boxed(), sender: None });
    }
    let fail = |error| StorageError::from_io("read", key, error);
    let (file, metadata) = object::open(store, "read", key, OFlags::RDONLY)?;
    let stat = object::stat_of(&metadata).map_err(fail)?;
    let range = cut(range, &stat);
    let reading = Reading { file: Arc::new(file), key: key.clone(), range: range.clone() };
    let length_bytes = range.end - range.start;
    if length_bytes > FIRST_PIECE_BYTES {
        // Most of these are sent from the file, and what was read here would be dropped.
        let sender = FileSender::new(reading.file.clone(), key.clone(), range.clone());
        return Ok(ObjectReader { stat, range, stream: stream_of(reading, None), sender: Some(Box::new(sender)) });
    }
    let first = reading.read_piece(FIRST_PIECE_BYTES)?;
    Ok(ObjectReader { stat, range, stream: stream_of(reading, Some(first)), sender: None })
}

/// What there is of a range that was asked for.
fn cut(range: Option<Range<u64>>, stat: &Stat) -> Range<u64> {
    let range = range.unwrap_or(0..stat.size_bytes);
    range.start.min(stat.size_bytes)..range.end.min(stat.size_bytes)
}

/// Streams `range` of an open file.
pub(super) fn stream(file: Arc<File>, key: Key, range: Range<u64>) -> ByteStream {
    stream_of(Reading { file, key, range }, None)
}

/// What is left to be read.
#[derive(Clone)]
struct Reading {
    file: Arc<File>,
    key: Key,
    range: Range<u64>,
}

/// The next piece.
enum Next {
    Read(Bytes),
    OnItsWay(Blocking<Bytes>),
    NotAsked,
}

fn stream_of(reading: Reading, first: Option<Bytes>) -> ByteStream {
    let next = first.map_or(Next::NotAsked, Next::Read);
    stream::unfold(Some((reading, next)), |state| async move {
        let (mut reading, next) = state?;
        if reading.range.is_empty() {
            return None;
        }
        let piece = match next {
            Next::Read(piece) => Ok(piece),
            Next::OnItsWay(piece) => piece.await,
            Next::NotAsked => reading.clone().start().await,
        };
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => return Some((Err(error), None)),
        };
        reading.range.start += piece.len() as u64;
        let next = if reading.range.is_empty() { Next::NotAsked } else { Next::OnItsWay(reading.clone().start()) };
        Some((Ok(piece), Some((reading, next))))
    })
    .boxed()
}

impl Reading {
    fn start(self) -> Blocking<Bytes> {
        let key = self.key.clone();
        blocking::start("read", &key, move |_| self.read_piece(PIECE_BYTES))
    }

    /// Reads the first `limit_bytes` of what is left, or all of it.
    fn read_piece(&self, limit_bytes: u64) -> Result<Bytes, StorageError> {
        let wanted = limit_bytes.min(self.range.end - self.range.start) as usize;
        let mut piece = Vec::with_capacity(wanted);
        while piece.len() < wanted {
            let offset = self.range.start + piece.len() as u64;
            match rustix::io::pread(&*self.file, spare_capacity(&mut piece), offset) {
                Ok(0) => return Err(self.too_short(offset)),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(StorageError::from_io("read", &self.key, error.into())),
            }
        }
        // The allocation may have been larger than asked for.
        piece.truncate(wanted);
        Ok(piece.into())
    }

    fn too_short(&self, size_bytes: u64) -> StorageError {
        let cause = format!("it ends at {size_bytes}, before {}", self.range.end);
        StorageError::with_source(StorageErrorKind::WrongSize, "read", &self.key, cause)
    }
}
