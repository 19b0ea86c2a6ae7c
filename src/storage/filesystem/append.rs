//! How the bytes of a batch get into a partial's file.

use std::fs::File;
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::ops::Range;

use bytes::Bytes;
use rustix::fs::Advice;
use rustix::io::Errno;

use super::direct::{self, DirectWrites, KeptFile};
use super::in_place::ALIGNMENT;
use super::store::Store;
use crate::storage::Key;

/// How much is received before its write-back is begun, so that the sync at the end finds little left to do.
///
/// `posix_fadvise(DONTNEED)` begins it without waiting (and drops pages that are on disk already, of which there are
/// none in what has just been written). Measured on ext4 with 256 MiB against none: the sync at the end takes 2 ms in
/// place of 61 ms; `sync_file_range` does exactly as well, but has no safe binding.
const WRITE_BACK_BYTES: u64 = 8 * 1024 * 1024;

/// How much is written to the page cache at once, up to a multiple of it. The kernel takes memory for all of it in one block
/// if it can; blocks of up to 32 KiB come from lists that each processor has of what was freed shortly before. On a virtual
/// machine that gives larger free blocks back to its host, those must be got again first: writing a GiB took 0.7 to 1.1 s
/// of system time in steps of 32 KiB, 1.6 to 2.1 s in steps of 64 KiB, and up to 3.1 s in steps of 512 KiB.
const WRITE_BYTES: usize = 32 * 1024;

/// The kernel takes no more pieces at once (`IOV_MAX`).
const MOST_PIECES: usize = 1024;

/// What of a batch is not written yet.
pub(super) struct Unwritten<'a> {
    pieces: Vec<&'a [u8]>,
    /// The first of `pieces` that has something left.
    first: usize,
    len: usize,
}

/// A partial that is written to.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub store: &'a Store,
    pub key: &'a Key,
    pub file: &'a File,
    /// Where its file is that is open a second time.
    pub second: &'a KeptFile,
}

/// Writes the batch at `offset`; gives the offset behind it.
pub(super) fn write_all(target: Target<'_>, batch: &[Bytes], offset: u64) -> io::Result<u64> {
    let mut unwritten = Unwritten::new(batch);
    let mut offset = offset;
    if let Some(direct) = &target.store.direct {
        offset = write_directly(direct, target, &mut unwritten, offset)?;
    }
    let rest = unwritten.len;
    write_through_cache(target.file, &mut unwritten, offset, rest)
}

/// Writes what can go past the page cache, and what stands before that.
fn write_directly(
    direct: &DirectWrites,
    target: Target<'_>,
    unwritten: &mut Unwritten<'_>,
    offset: u64,
) -> io::Result<u64> {
    let head = (offset.next_multiple_of(ALIGNMENT as u64) - offset) as usize;
    if unwritten.len < head + direct::LEAST_BYTES {
        return Ok(offset);
    }
    let Some(mut writing) = direct.begin(target) else { return Ok(offset) };
    let mut offset = write_through_cache(target.file, unwritten, offset, head)?;
    while unwritten.len >= ALIGNMENT {
        let Some(written) = writing.write(unwritten, offset)? else { break };
        offset += written as u64;
        unwritten.advance(written);
        if written % ALIGNMENT != 0 {
            break;
        }
    }
    Ok(offset)
}

/// Writes the next `len` bytes.
fn write_through_cache(file: &File, unwritten: &mut Unwritten<'_>, offset: u64, len: usize) -> io::Result<u64> {
    let (mut offset, end) = (offset, offset + len as u64);
    while offset < end {
        let room = WRITE_BYTES - (offset % WRITE_BYTES as u64) as usize;
        let room = room.min((end - offset) as usize);
        let written = match rustix::io::pwritev(file, &unwritten.slices(room), offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        offset += written as u64;
        unwritten.advance(written);
    }
    Ok(offset)
}

/// Begins the write-back of whole steps of what was written; up to where it did.
pub(super) fn write_back(file: &File, written: Range<u64>) -> u64 {
    let steps = (written.end - written.start) / WRITE_BACK_BYTES;
    if let Some(length) = NonZeroU64::new(steps * WRITE_BACK_BYTES)
        && let Err(error) = rustix::fs::fadvise(file, written.start, Some(length), Advice::DontNeed)
    {
        // Advice only: the sync at the end does the work then.
        log::debug!(error = error.to_string(); "cannot begin write-back early");
    }
    written.start + steps * WRITE_BACK_BYTES
}

impl<'a> Unwritten<'a> {
    pub(super) fn new(batch: &'a [Bytes]) -> Self {
        let pieces: Vec<&[u8]> = batch.iter().map(AsRef::as_ref).filter(|piece: &&[u8]| !piece.is_empty()).collect();
        let len = pieces.iter().map(|piece| piece.len()).sum();
        Unwritten { pieces, first: 0, len }
    }

    /// All of it, in order.
    pub(super) fn pieces(&self) -> &[&'a [u8]] {
        &self.pieces[self.first..]
    }

    /// The front, at most `room` bytes.
    fn slices(&self, room: usize) -> Vec<IoSlice<'a>> {
        let mut room = room;
        let mut slices = Vec::new();
        for piece in self.pieces[self.first..].iter().take(MOST_PIECES) {
            let length = piece.len().min(room);
            slices.push(IoSlice::new(&piece[..length]));
            room -= length;
            if room == 0 {
                break;
            }
        }
        slices
    }

    fn advance(&mut self, written: usize) {
        self.len -= written;
        let mut written = written;
        while written > 0 {
            let piece = &mut self.pieces[self.first];
            let step = written.min(piece.len());
            *piece = &piece[step..];
            written -= step;
            self.first += usize::from(piece.is_empty());
        }
    }
}
