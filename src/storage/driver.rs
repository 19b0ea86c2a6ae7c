use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::change::apply_one_by_one;
use super::each::each;
use super::{Change, Interrupted, Key, StorageError};

/// Bytes in order, each piece bounded (at most a few MiB), ending after the first error.
pub type ByteStream = BoxStream<'static, Result<Bytes, StorageError>>;

/// A driver shared by everything that stores.
pub type SharedDriver = Arc<dyn Driver>;

/// The storage-driver contract: objects under keys, and partials that become objects.
///
/// A driver can be written from this page alone; `suite` checks what it says.
///
/// # Objects
/// An object is some bytes under a [`Key`]. It is seen whole or not at all: a reader, another
/// process or the next process after a crash never finds it empty or half written. A key that has an
/// object is never at the same time a folder of other keys; what happens if it were is undefined.
/// Folders are not created or deleted: they are there as long as a key stands below them.
///
/// # Consistency
/// What a call that returned has put, published or deleted is seen by every later call.
///
/// # Errors
/// [`StorageErrorKind::NotFound`](super::StorageErrorKind) is said only when the store said that the
/// key is absent; any other failure is another kind. After a failed or cancelled `put`, `delete` or
/// `publish`, the object may be as before or as wanted, never anything else; the same call may be
/// made again.
///
/// # Cancellation and deadlines
/// Dropping a returned future cancels the call: it is not waited for, and what it had begun may still
/// happen (as after a failure). The `deadline` adapter drops each call that takes longer than
/// `storage.timeout`, which ends as [`TimedOut`](super::StorageErrorKind). A caller that must not be
/// cut (a commit) runs the call in a task of its own. No call holds a lock while it waits for bytes
/// of its caller, and none blocks the calling thread.
///
/// # Who cleans up
/// A driver removes its own temporary data of a `put` that failed or was cancelled, at the latest when
/// it is next opened. Partials are kept until they are published or deleted: the upload engine cleans
/// them up.
#[async_trait]
pub trait Driver: Send + Sync + fmt::Debug {
    /// The driver's name in the configuration and in metrics.
    fn name(&self) -> &'static str;

    /// The whole of a small object.
    ///
    /// # Errors
    /// `NotFound`; `WrongSize` when it is larger than `limit_bytes`, without reading it.
    async fn get(&self, key: &Key, limit_bytes: u64) -> Result<Object, StorageError>;

    /// Gets several small objects as one call, in the order of their keys; `None` where there is none. A driver whose calls
    /// cost more than what they do looks them up in one go.
    ///
    /// # Errors
    /// That of any of them, as of `get`, but for `NotFound`: which one it is of shows when each is asked for alone.
    async fn get_each(&self, keys: &[Key], limit_bytes: u64) -> Result<Vec<Option<Object>>, StorageError> {
        each(keys, |key| async move { self.get(&key, limit_bytes).await }).await
    }

    /// Opens an object for reading and streams `range` of it (`None`: all), in bounded memory.
    ///
    /// A range that reaches past the end is cut at it. The stream reads the object as it was when this
    /// call returned, even when it is deleted or replaced meanwhile; when the store cannot do so, or
    /// the object is shorter than its size said, the stream ends with an error, never early.
    ///
    /// # Errors
    /// `NotFound`.
    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<ObjectReader, StorageError>;

    /// Puts a small object (at most a few MiB) whole, atomically.
    ///
    /// # Errors
    /// `AlreadyExists` and `VersionMismatch` as `mode` says; `Full`.
    async fn put(&self, key: &Key, data: Bytes, mode: PutMode, durability: Durability)
    -> Result<Version, StorageError>;

    /// Size and modification time.
    ///
    /// # Errors
    /// `NotFound`, also for a folder.
    async fn stat(&self, key: &Key) -> Result<Stat, StorageError>;

    /// Size and modification time of several, as [`Driver::get_each`].
    ///
    /// # Errors
    /// That of any of them, but for `NotFound`.
    async fn stat_each(&self, keys: &[Key]) -> Result<Vec<Option<Stat>>, StorageError> {
        each(keys, |key| async move { self.stat(&key).await }).await
    }

    /// Deletes one object or one partial. Folders that this leaves empty go too.
    ///
    /// It works on a full store.
    ///
    /// # Errors
    /// `NotFound` when there was nothing.
    async fn delete(&self, key: &Key) -> Result<(), StorageError>;

    /// Deletes every object and partial below `folder`, and `folder` itself when it is an object.
    /// Nothing there is not an error. It is not atomic: a crash may leave a part, and calling it again
    /// removes the rest. The object named by `last` (a name directly below `folder`) goes last, so that
    /// it can stand as the sign that there is still something to remove. Parent folders that this leaves
    /// empty go too. It works on a full store.
    async fn delete_all(&self, folder: &Key, last: Option<&str>) -> Result<(), StorageError>;

    /// One page of the names directly below `folder`, in the byte order of the names.
    ///
    /// The page holds at most `limit` names greater than `start_after`. A driver's own temporary
    /// data is not shown; a partial may be. No object below is opened or looked at. A driver
    /// whose store sorts a folder by its trailing slash has to put the names in order
    /// itself (only names that go on after another's end with `-` or `.` differ).
    ///
    /// # Errors
    /// `NotFound` when there is no such folder.
    async fn list(&self, folder: &Key, start_after: Option<&str>, limit: usize) -> Result<ListPage, StorageError>;

    /// A mark that changes whenever a name directly below `folder` is added or removed, if the store
    /// has one that costs less than listing. Two equal marks mean that the names are the same.
    ///
    /// # Errors
    /// `NotFound` when there is no such folder.
    async fn list_mark(&self, folder: &Key) -> Result<Option<String>, StorageError>;

    /// Makes several changes in order, as one call. Each is begun only when the one before it was made, with what that one
    /// has to survive; so whatever moment the process dies at, the first ones are made, one may be half way as its own
    /// call might, and the rest are not begun. A driver whose calls cost more than what they do makes them in one go.
    ///
    /// # Errors
    /// [`Interrupted`]: which changes were made, and why the next one was not.
    async fn apply(&self, changes: Vec<Change>) -> Result<(), Interrupted> {
        apply_one_by_one(self, changes).await
    }

    /// Begins a partial under `key`: bytes that are appended by one writer and then published under
    /// another key, at which moment they become an object. What stood under `key` before is dropped.
    ///
    /// A partial is no object: `get`, `read`, `stat` and `list` do not promise to show or to hide it.
    async fn create_partial(&self, key: &Key) -> Result<Box<dyn PartialWriter>, StorageError>;

    /// Opens a partial again at a checkpoint, in any process (the next one after a crash, or another
    /// node for a store that is shared).
    ///
    /// The writer stands at `at.offset` or, when the store kept bytes past it, further: see
    /// [`PartialWriter::offset`]. Bytes before `at.offset` are those that were appended. Whoever opens
    /// it fences writers opened before: their appends fail, or do nothing to what this one writes,
    /// as far as the store can; the upload engine has one writer at a time in any case.
    ///
    /// # Errors
    /// `NotFound` when there is no partial; `WrongSize` when it holds less than `at.offset` bytes.
    async fn open_partial(&self, key: &Key, at: &Checkpoint) -> Result<Box<dyn PartialWriter>, StorageError>;

    /// How many bytes can still be written, if the store has such a bound and others use it up as well. It may be out
    /// of date by the time it is read, and counts no overhead: a call that finds the store full says so in any case.
    ///
    /// # Errors
    /// Faults.
    async fn free_space(&self) -> Result<Option<u64>, StorageError> {
        Ok(None)
    }

    /// An address from which a client can fetch the object without this server, if the store has such.
    async fn redirect(&self, key: &Key, options: &RedirectOptions) -> Result<Option<String>, StorageError> {
        let _ = (key, options);
        Ok(None)
    }
}

/// The one writer of a partial. Dropping it keeps the partial and closes what is open.
///
/// After an error of any call the writer is of no more use: open the partial again.
#[async_trait]
pub trait PartialWriter: Send + fmt::Debug {
    /// How many bytes the partial holds, the offset of the next one.
    fn offset(&self) -> u64;

    /// Appends the pieces in order. On return they survive the end of this process as far as the
    /// store can (a filesystem: yes, they are with the kernel; an object store: only what
    /// [`PartialWriter::checkpoint`] returned).
    ///
    /// # Errors
    /// `Full` and faults; how much of the batch was kept is then told by opening the partial again.
    async fn append(&mut self, batch: Vec<Bytes>) -> Result<(), StorageError>;

    /// Names a point from which the partial can be opened again after this process died
    /// ([`Durability::Process`]) or the machine lost power ([`Durability::Power`]). The point is the
    /// newest that the store can offer without padding: at most [`PartialWriter::offset`].
    async fn checkpoint(&mut self, durability: Durability) -> Result<Checkpoint, StorageError>;

    /// What [`PartialWriter::checkpoint`] would return, where there is nothing to be done for it: then it need not be called.
    /// `None` means that it has to be.
    fn standing_checkpoint(&self, durability: Durability) -> Option<Checkpoint> {
        let _ = durability;
        None
    }

    /// Cuts the partial back to `offset`, which is not greater than [`PartialWriter::offset`].
    async fn rewind(&mut self, offset: u64) -> Result<(), StorageError>;

    /// Reads appended bytes back, in bounded memory. (A store that cannot read what is unfinished
    /// finishes it under a key of its own first and goes on behind it.)
    async fn read(&mut self, range: Range<u64>) -> Result<ByteStream, StorageError>;

    /// Makes the partial the object `key`, durably as asked for, whole and at once; the partial is then
    /// gone. Its cost does not depend on its size beyond what has not been synced yet. An object that
    /// stood under `key` is replaced.
    async fn publish(self: Box<Self>, key: &Key, durability: Durability) -> Result<Stat, StorageError>;
}

/// What a call's effect must survive when the call has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// The death of this process.
    Process,
    /// The loss of power.
    Power,
}

/// What a put may find under its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// Anything: it is replaced.
    Overwrite,
    /// Nothing: an object there is `AlreadyExists`. Of several at once, one wins.
    Create,
    /// The object in this very version: anything else, or nothing, is `VersionMismatch`.
    Update(Version),
}

/// A mark of an object's content or write. Equal versions of one key mean equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub String);

/// An object read whole.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its bytes.
    pub data: Bytes,
    /// For [`PutMode::Update`].
    pub version: Version,
}

/// An object opened for reading.
pub struct ObjectReader {
    /// Size and modification time of the whole object.
    pub stat: Stat,
    /// The part that is streamed, cut at the object's end.
    pub range: Range<u64>,
    /// Its bytes.
    pub stream: ByteStream,
    /// The same bytes for a socket, where the store has a way that is cheaper than the stream. A caller uses one of the
    /// two; what was not begun costs nothing.
    pub sender: Option<Box<dyn ObjectSender>>,
}

/// A socket that a call may hold on to after its caller has left.
pub type SharedSocket = Arc<dyn AsFd + Send + Sync>;

/// Sends an opened object into a socket without its bytes passing through this process.
#[async_trait]
pub trait ObjectSender: Send {
    /// Sends the next bytes, at most `limit_bytes` (a few MiB) and not past the end of the opened range.
    ///
    /// `socket` is a non-blocking stream socket; it is never waited for. The inner result is the socket's: how many
    /// bytes it took (fewer than could be sent when it takes no more now), or why it takes none any more. When this is
    /// cancelled, bytes may still go out that nobody counts: of the socket nothing can be made then but to close it.
    ///
    /// # Errors
    /// Faults of the store; `WrongSize` when the object is shorter than its size said.
    async fn send(&mut self, socket: SharedSocket, limit_bytes: u64) -> Result<io::Result<u64>, StorageError>;
}

/// What `stat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The object's length.
    pub size_bytes: u64,
    /// When it was put or published.
    pub modified: SystemTime,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// In the byte order of their names.
    pub entries: Vec<Entry>,
    /// Whether there are more after these.
    pub more: bool,
}

/// One name directly below a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, without the folder.
    pub name: String,
    /// What stands under it.
    pub kind: EntryKind,
}

/// What a listed name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// An object (or a partial that the store cannot tell from one).
    Object,
    /// A folder of further names.
    Folder,
}

/// A point of a partial at which it can be opened again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// How many bytes stand before it.
    pub offset: u64,
    /// What the driver needs to find them (part ids, for instance); empty for many. Text without control characters, kept in
    /// the upload's record.
    pub token: String,
}

/// How a redirect address should answer.
#[derive(Clone, Debug)]
pub struct RedirectOptions {
    /// How long it should work.
    pub expires_in: Duration,
    /// The `Content-Type` it should answer with.
    pub content_type: Option<String>,
}

impl fmt::Debug for ObjectReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectReader").field("stat", &self.stat).field("range", &self.range).finish_non_exhaustive()
    }
}
