use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;

use async_trait::async_trait;
use rustix::fs::sendfile;
use rustix::io::Errno;

use super::blocking;
use crate::storage::{Key, ObjectSender, SharedSocket, StorageError, StorageErrorKind};

/// Sends a file's pages as they lie in the page cache. A page that is not there is read from the disk, which is why it
/// is done on a thread that may block.
///
/// The socket refers to the pages until the peer has them. Nothing writes to an object's file, and a file that was
/// deleted keeps its pages as long as somebody refers to them.
pub(super) struct FileSender {
    file: Arc<File>,
    key: Key,
    /// What is left.
    range: Range<u64>,
}

impl FileSender {
    pub(super) fn new(file: Arc<File>, key: Key, range: Range<u64>) -> Self {
        FileSender { file, key, range }
    }
}

#[async_trait]
impl ObjectSender for FileSender {
    async fn send(&mut self, socket: SharedSocket, limit_bytes: u64) -> Result<io::Result<u64>, StorageError> {
        let wanted = self.range.start..self.range.end.min(self.range.start.saturating_add(limit_bytes));
        let (file, key) = (self.file.clone(), self.key.clone());
        let sent = blocking::start("read", &self.key, move |_| send(&file, &key, wanted, &socket)).await?;
        if let Ok(sent_bytes) = sent {
            self.range.start += sent_bytes;
        }
        Ok(sent)
    }
}

/// Until all of `range` is sent, or the socket takes no more.
fn send(file: &File, key: &Key, range: Range<u64>, socket: &impl AsFd) -> Result<io::Result<u64>, StorageError> {
    let mut offset = range.start;
    while offset < range.end {
        let wanted = usize::try_from(range.end - offset).unwrap_or(usize::MAX);
        match sendfile(socket, file, Some(&mut offset), wanted) {
            Ok(0) => {
                let cause = format!("it ends at {offset}, before {}", range.end);
                return Err(StorageError::with_source(StorageErrorKind::WrongSize, "read", key, cause));
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(error) if is_of_a_socket(error) => return Ok(Err(error.into())),
            Err(error) => return Err(StorageError::from_io("read", key, error.into())),
        }
    }
    Ok(Ok(offset - range.start))
}

/// Whether the connection is what failed, and not the file.
fn is_of_a_socket(error: Errno) -> bool {
    matches!(
        error,
        Errno::PIPE
            | Errno::CONNRESET
            | Errno::CONNABORTED
            | Errno::NOTCONN
            | Errno::TIMEDOUT
            | Errno::HOSTUNREACH
            | Errno::NETUNREACH
            | Errno::NETDOWN
    )
}
