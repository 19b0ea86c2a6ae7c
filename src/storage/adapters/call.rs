use std::fmt;

use crate::storage::{Key, StorageError};

/// One call of a driver, of a partial's writer, or for the next piece of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What is called.
    pub operation: Operation,
    /// On what; for `apply` the first change's key, for `get_each` and `stat_each` the first key, for `publish` the key of the object, for `free_space`
    /// [`root`](crate::storage::keys::root), else the one that was named when the partial or stream was opened.
    pub key: &'a Key,
    /// How many bytes it hands over to be kept.
    pub written_bytes: u64,
}

impl<'a> Call<'a> {
    pub(super) fn new(operation: Operation, key: &'a Key) -> Self {
        Call { operation, key, written_bytes: 0 }
    }
}

/// What an adapter does around every call. [`Adapter`](super::Adapter) does the forwarding.
pub trait Around: Send + Sync + fmt::Debug + 'static {
    /// Does `work`, which is the call, in its own manner. Work that is dropped is cancelled.
    fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T, StorageError>> + Send,
    ) -> impl Future<Output = Result<T, StorageError>> + Send;

    /// Whether what is asked for together ([`Driver::apply`](crate::storage::Driver::apply), `get_each`, `stat_each`) is one
    /// call. Otherwise it is taken apart, so that what is done around a call is done around each change and look.
    fn takes_many_at_once(&self) -> bool {
        false
    }

    /// What is told of the free space, of which the store told `found`.
    fn free_space(&self, found: Option<u64>) -> Option<u64> {
        found
    }

    /// Bytes came back from the store.
    fn received(&self, bytes: u64) {
        let _ = bytes;
    }
}

/// Every call there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the method of its name; what is not is documented")]
pub enum Operation {
    Get,
    GetEach,
    Read,
    /// The next piece of a stream, of an object or of a partial.
    ReadPiece,
    Put,
    Apply,
    Stat,
    StatEach,
    Delete,
    DeleteAll,
    List,
    ListMark,
    CreatePartial,
    OpenPartial,
    FreeSpace,
    Redirect,
    Append,
    Checkpoint,
    Rewind,
    /// `read` of a partial's writer.
    ReadPartial,
    Publish,
}

impl Operation {
    /// All of them, in the order of their numbers.
    pub const ALL: [Operation; 21] = [
        Operation::Get,
        Operation::GetEach,
        Operation::Read,
        Operation::ReadPiece,
        Operation::Put,
        Operation::Apply,
        Operation::Stat,
        Operation::StatEach,
        Operation::Delete,
        Operation::DeleteAll,
        Operation::List,
        Operation::ListMark,
        Operation::CreatePartial,
        Operation::OpenPartial,
        Operation::FreeSpace,
        Operation::Redirect,
        Operation::Append,
        Operation::Checkpoint,
        Operation::Rewind,
        Operation::ReadPartial,
        Operation::Publish,
    ];

    /// Its name in metrics and errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Get => "get",
            Operation::GetEach => "get_each",
            Operation::Read => "read",
            Operation::ReadPiece => "read_piece",
            Operation::Put => "put",
            Operation::Apply => "apply",
            Operation::Stat => "stat",
            Operation::StatEach => "stat_each",
            Operation::Delete => "delete",
            Operation::DeleteAll => "delete_all",
            Operation::List => "list",
            Operation::ListMark => "list_mark",
            Operation::CreatePartial => "create_partial",
            Operation::OpenPartial => "open_partial",
            Operation::FreeSpace => "free_space",
            Operation::Redirect => "redirect",
            Operation::Append => "append",
            Operation::Checkpoint => "checkpoint",
            Operation::Rewind => "rewind",
            Operation::ReadPartial => "read_partial",
            Operation::Publish => "publish",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_in_the_order_of_their_numbers() {
        for (number, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, number, "{}", operation.as_str());
        }
    }
}
