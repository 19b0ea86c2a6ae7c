use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::client::transport::ByteStream;

/// How much of a file is read at once.
const PIECE_BYTES: usize = 256 << 10;

/// Bytes that can be read again from any offset, so that a push can go on after a failure.
pub trait BlobSource: Send + Sync {
    /// How many there are.
    fn size_bytes(&self) -> u64;

    /// The bytes from `offset` to the end, in pieces of any size. A stream that ends too soon, or fails, ends the push
    /// with [`Failure::Source`](crate::client::Failure::Source).
    fn open(&self, offset: u64) -> ByteStream;
}

/// Bytes in memory.
impl BlobSource for Bytes {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn open(&self, offset: u64) -> ByteStream {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        // In pieces, so that progress can be seen.
        let rest = self.slice(start..);
        stream::unfold(rest, |mut rest| async move {
            let piece = rest.split_to(rest.len().min(PIECE_BYTES));
            (!piece.is_empty()).then_some((Ok(piece), rest))
        })
        .boxed()
    }
}

/// A file.
#[derive(Clone, Debug)]
pub struct FileSource {
    path: PathBuf,
    size_bytes: u64,
}

impl FileSource {
    /// The file at `path`, in the size that it has now.
    ///
    /// # Errors
    /// When it cannot be looked at, or is no file.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let metadata = tokio::fs::metadata(&path).await?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not a file", path.display())));
        }
        Ok(FileSource { path, size_bytes: metadata.len() })
    }
}

impl BlobSource for FileSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn open(&self, offset: u64) -> ByteStream {
        let path = self.path.clone();
        let opened = async move {
            let mut file = File::open(path).await?;
            file.set_max_buf_size(PIECE_BYTES);
            file.seek(SeekFrom::Start(offset)).await?;
            Ok::<File, io::Error>(file)
        };
        stream::once(opened)
            .flat_map(|opened| match opened {
                Ok(file) => pieces_of(file),
                Err(error) => stream::iter([Err(error)]).boxed(),
            })
            .boxed()
    }
}

fn pieces_of(file: File) -> ByteStream {
    stream::unfold(Some(file), |file| async move {
        let mut file = file?;
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        match file.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(piece.freeze()), Some(file))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    async fn read(source: &dyn BlobSource, offset: u64) -> Vec<u8> {
        let pieces: Vec<Bytes> = source.open(offset).try_collect().await.unwrap();
        assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= PIECE_BYTES));
        pieces.concat()
    }

    #[tokio::test]
    async fn a_source_is_read_from_any_offset_and_again() {
        let data: Vec<u8> = (0..PIECE_BYTES * 2 + 7).map(|n| n as u8).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blob");
        std::fs::write(&path, &data).unwrap();
        let file = FileSource::open(&path).await.unwrap();
        for source in [&Bytes::from(data.clone()) as &dyn BlobSource, &file] {
            assert_eq!(source.size_bytes(), data.len() as u64);
            for offset in [0, 1, PIECE_BYTES, data.len() - 1, data.len(), data.len() + 1] {
                assert_eq!(read(source, offset as u64).await, data[offset.min(data.len())..], "{offset}");
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(FileSource::open(folder.path()).await.is_err());
        let path = folder.path().join("blob");
        std::fs::write(&path, "x").unwrap();
        let file = FileSource::open(&path).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(BlobSource::open(&file, 0).try_collect::<Vec<Bytes>>().await.is_err());
    }
}
