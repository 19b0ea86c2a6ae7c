use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::{LayoutError, blocking};

/// How much is read at once: enough that a call does not count, little enough that many blobs fit in memory.
const PIECE_BYTES: u64 = 256 << 10;

/// A blob of a layout, opened for reading.
pub struct LayoutBlob {
    /// The size of the whole blob.
    pub size_bytes: u64,
    /// The bytes that were asked for, in bounded pieces; an error ends it. Digests are not verified here.
    pub stream: BoxStream<'static, Result<Bytes, LayoutError>>,
}

/// Where the bytes of a blob are.
#[derive(Clone, Debug)]
pub(super) enum Extent {
    Memory(Bytes),
    File(FileExtent),
}

/// A part of a file.
#[derive(Clone, Debug)]
pub(super) struct FileExtent {
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
    pub(super) offset: u64,
    pub(super) size_bytes: u64,
}

impl Extent {
    pub(super) fn size_bytes(&self) -> u64 {
        match self {
            Extent::Memory(data) => data.len() as u64,
            Extent::File(extent) => extent.size_bytes,
        }
    }

    /// The bytes of a range, which is cut at the end.
    pub(super) fn open(self, range: Option<Range<u64>>) -> LayoutBlob {
        let size_bytes = self.size_bytes();
        let range = range.unwrap_or(0..size_bytes);
        let range = range.start.min(size_bytes)..range.end.min(size_bytes);
        let stream = match self {
            Extent::Memory(data) => {
                let part = data.slice(range.start as usize..range.end.max(range.start) as usize);
                stream::iter([Ok(part)]).boxed()
            }
            Extent::File(extent) => extent.stream(range).boxed(),
        };
        LayoutBlob { size_bytes, stream }
    }
}

impl FileExtent {
    fn stream(self, range: Range<u64>) -> impl stream::Stream<Item = Result<Bytes, LayoutError>> {
        stream::try_unfold((self, range), |(extent, range)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let end = range.end.min(range.start + PIECE_BYTES);
            let (piece, extent) = blocking(move || {
                let piece = extent.read(range.start..end);
                (piece, extent)
            })
            .await;
            Ok(Some((piece?, (extent, end..range.end))))
        })
    }

    /// Reads a range, which must be within the extent. That the file has become shorter since it was opened is an
    /// error.
    pub(super) fn read(&self, range: Range<u64>) -> Result<Bytes, LayoutError> {
        let mut piece = vec![0; (range.end - range.start) as usize];
        let read = self.file.read_exact_at(&mut piece, self.offset + range.start);
        read.map_err(LayoutError::io("read", &self.path))?;
        Ok(piece.into())
    }

    /// Reads all of it, which the caller has bounded.
    pub(super) fn read_whole(&self) -> Result<Bytes, LayoutError> {
        self.read(0..self.size_bytes)
    }
}

impl fmt::Debug for LayoutBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayoutBlob").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}
