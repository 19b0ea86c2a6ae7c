use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::hashing::RunningDigest;

/// Bodies are received, hashed and written in pieces of this size. One stream on two cores with SHA instructions took
/// 1.74, 1.90 and 1.92 GB/s with 64 KiB, 256 KiB and 1 MiB.
pub(super) const PIECE_BYTES: usize = 256 << 10;

/// How much is written at once. More makes the kernel take larger blocks of memory for it. On a virtual machine that gives
/// free blocks of that size back to its host, they must be got again first: writing a GiB took 0.25 s of processor time
/// in steps of 64 KiB and 2.8 s in steps of 128 KiB or more. Where the blocks are there, 64 KiB cost 0.1 s a GiB more.
const WRITE_BYTES: usize = 64 << 10;

/// How many pieces a connection uses whose hash runs on a second thread: one that is received, one that is written, and
/// some that wait to be hashed.
const PIECES: usize = 4;

/// With more bodies than this at once each gets smaller pieces, so that ten thousand do not take gigabytes.
const MANY_BODIES: usize = 64;

/// The size of a piece when there are many.
const SMALL_PIECE_BYTES: usize = 64 << 10;

/// How many bodies are under way in this process.
#[derive(Debug, Default)]
pub(super) struct Bodies(AtomicUsize);

/// One of them, until it is dropped.
struct Body<'a>(&'a Bodies);

/// What a connection receives into, and hashes and writes from.
///
/// While there are no more bodies than cores, hashing runs behind the writes on a thread of its own (1.9 GB/s for one
/// stream, against 1.2 on one thread). With more of them every core is busy anyway, and one thread does both.
pub(super) struct Pieces {
    free: Vec<Vec<u8>>,
    hasher: Option<HashThread>,
}

/// A thread that hashes, until this is dropped.
struct HashThread {
    work: SyncSender<Work>,
    /// Pieces that are hashed.
    hashed: Receiver<Arc<Vec<u8>>>,
    /// The state after all that was handed over.
    state: Receiver<RunningDigest>,
    /// How many pieces it has.
    pending: usize,
}

enum Work {
    Begin(Box<RunningDigest>),
    Hash(Arc<Vec<u8>>, usize),
    End,
}

/// A body on its way into a file and a digest.
pub(super) struct Intake<'a> {
    pieces: &'a mut Pieces,
    file: &'a mut File,
    digest: &'a mut RunningDigest,
    body: Body<'a>,
    is_first: bool,
    hashes_behind: bool,
}

impl Bodies {
    fn begin(&self) -> Body<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Body(self)
    }
}

impl Body<'_> {
    fn count(&self) -> usize {
        self.0.0.load(Ordering::Relaxed)
    }
}

impl Drop for Body<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pieces {
    pub(super) fn new() -> Pieces {
        Pieces { free: Vec::new(), hasher: None }
    }

    /// An empty piece.
    pub(super) fn take(&mut self) -> Vec<u8> {
        // Zeroed memory comes from the system untouched: a small body makes only its own part of it real.
        self.free.pop().unwrap_or_else(|| vec![0; PIECE_BYTES])
    }

    pub(super) fn give_back(&mut self, piece: Vec<u8>) {
        self.free.push(piece);
    }
}

impl<'a> Intake<'a> {
    pub(super) fn new(
        pieces: &'a mut Pieces,
        file: &'a mut File,
        digest: &'a mut RunningDigest,
        bodies: &'a Bodies,
    ) -> Intake<'a> {
        Intake { pieces, file, digest, body: bodies.begin(), is_first: true, hashes_behind: false }
    }

    /// How many bytes of each piece are to be used.
    pub(super) fn piece_bytes(&self) -> usize {
        if self.body.count() > MANY_BODIES { SMALL_PIECE_BYTES } else { PIECE_BYTES }
    }

    /// An empty piece to receive into.
    pub(super) fn piece(&mut self) -> io::Result<Vec<u8>> {
        match &mut self.pieces.hasher {
            Some(hasher) if hasher.pending >= PIECES - 1 => hasher.wait_for_piece(),
            _ => Ok(self.pieces.take()),
        }
    }

    /// Writes and hashes the first `length` bytes of a piece. More pieces follow unless it is the last.
    pub(super) fn put(&mut self, piece: Vec<u8>, length: usize, is_last: bool) -> io::Result<()> {
        if self.is_first && !is_last {
            self.hash_behind();
        }
        self.is_first = false;
        let Some(hasher) = self.pieces.hasher.as_mut().filter(|_| self.hashes_behind) else {
            self.digest.update(&piece[..length]);
            let written = write(self.file, &piece[..length]);
            self.pieces.give_back(piece);
            return written;
        };
        let piece = Arc::new(piece);
        hasher.send(Work::Hash(Arc::clone(&piece), length))?;
        hasher.pending += 1;
        write(self.file, &piece[..length])
    }

    /// Waits until all is hashed. To be called also when the body broke off.
    pub(super) fn end(self) -> io::Result<()> {
        let Some(hasher) = self.pieces.hasher.as_mut().filter(|_| self.hashes_behind) else {
            return Ok(());
        };
        hasher.send(Work::End)?;
        *self.digest = hasher.state.recv().map_err(|_| hashing_ended())?;
        while hasher.pending > 0 {
            let piece = hasher.wait_for_piece()?;
            self.pieces.free.push(piece);
        }
        Ok(())
    }

    /// Lets a second thread hash if there are cores for it.
    fn hash_behind(&mut self) {
        if self.body.count() > thread::available_parallelism().map_or(1, usize::from) {
            return;
        }
        if self.pieces.hasher.is_none() {
            self.pieces.hasher = HashThread::start().ok();
        }
        if let Some(hasher) = &self.pieces.hasher {
            self.hashes_behind = hasher.send(Work::Begin(Box::new(self.digest.clone()))).is_ok();
        }
    }
}

impl HashThread {
    fn start() -> io::Result<HashThread> {
        // No more than this is ever on its way, so that neither side waits to hand over.
        let (work, work_here) = sync_channel(PIECES + 2);
        let (hashed_here, hashed) = sync_channel(PIECES);
        let (state_here, state) = sync_channel(1);
        thread::Builder::new().name("control-hash".to_owned()).spawn(move || {
            let mut digest = None;
            for work in work_here {
                match work {
                    Work::Begin(begun) => digest = Some(*begun),
                    Work::Hash(piece, length) => {
                        if let Some(digest) = &mut digest {
                            digest.update(&piece[..length]);
                        }
                        if hashed_here.send(piece).is_err() {
                            return;
                        }
                    }
                    Work::End => {
                        if digest.take().is_some_and(|digest| state_here.send(digest).is_err()) {
                            return;
                        }
                    }
                }
            }
        })?;
        Ok(HashThread { work, hashed, state, pending: 0 })
    }

    fn send(&self, work: Work) -> io::Result<()> {
        self.work.send(work).map_err(|_| hashing_ended())
    }

    fn wait_for_piece(&mut self) -> io::Result<Vec<u8>> {
        let piece = self.hashed.recv().map_err(|_| hashing_ended())?;
        self.pending -= 1;
        // It is nobody else's by now: the connection's own hold on it ended when it was written.
        Arc::try_unwrap(piece).map_err(|_| hashing_ended())
    }
}

fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    bytes.chunks(WRITE_BYTES).try_for_each(|bytes| file.write_all(bytes))
}

fn hashing_ended() -> io::Error {
    io::Error::other("the thread that hashes has ended")
}
