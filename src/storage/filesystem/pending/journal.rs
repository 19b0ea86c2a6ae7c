//! The file in which this module writes down which folders are there only in memory, so that they outlive the process.
//!
//! It has one size, and its blocks are set aside when it is made: what comes into it takes the place of what was there, so
//! that a full disk refuses no note. It is never synced; its page cache outlives the process, which is all that is asked.
//!
//! ```text
//! entry   length of the body (4 bytes), generation (8), checksum of generation and body (8), body
//! body    kind (1 byte), length of the folder's key (2), the key; then, of a folder that is put, of each object:
//!         length of its name (2), the name, length of its bytes (4), the bytes
//! ```
//!
//! Numbers are little-endian. Entries follow each other from the file's start; the first one that is not whole, or is of
//! another generation than the first, is behind the last. Each time it is begun again it has another, random generation.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use bytes::{Buf as _, BufMut as _, Bytes};
use rustix::fs::{FallocateFlags, OFlags, fallocate};

use crate::storage::Key;

/// The journal, directly below the root. Other registries that serve the folder do not look at it.
pub(in crate::storage::filesystem) const JOURNAL_FILE: &str = "longshore.journal";

/// Room for the uploads of some thousand small blobs. When it is used up, what is pending is written as files.
const SIZE_BYTES: u64 = 4 * 1024 * 1024;

const HEADER_BYTES: usize = 4 + 8 + 8;

/// The longest key of a folder.
pub(super) const MOST_KEY_BYTES: usize = 512;

/// How long an entry is at most that says that a folder is gone.
pub(super) const MOST_GONE_BYTES: usize = HEADER_BYTES + 1 + 2 + MOST_KEY_BYTES;

const KIND_FOLDER: u8 = 1;
const KIND_GONE: u8 = 2;

/// What an entry says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The folder has these objects, whatever an earlier entry said.
    Folder(Key, Vec<(Key, Bytes)>),
    /// It is on disk now, or deleted.
    Gone(Key),
}

#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    generation: u64,
    end: u64,
    size_bytes: u64,
}

impl Journal {
    /// Opens the journal of `root`, or makes it; with what it says. Its end is where it goes on.
    pub(super) fn open(root: &Path) -> io::Result<(Self, Vec<Entry>)> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let path = root.join(JOURNAL_FILE);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        if metadata.len() < SIZE_BYTES {
            fallocate(&file, FallocateFlags::empty(), 0, SIZE_BYTES)?;
        }
        let mut journal = Journal { file, generation: 0, end: 0, size_bytes: SIZE_BYTES };
        let entries = journal.replay()?;
        if entries.is_empty() {
            journal.generation = random_generation();
        }
        Ok((journal, entries))
    }

    fn replay(&mut self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut reader = BufReader::with_capacity(64 * 1024, &self.file).take(self.size_bytes);
        while let Some((generation, body)) = read_entry(&mut reader)? {
            let is_first = entries.is_empty();
            let Some(entry) = decode(&body).filter(|_| is_first || generation == self.generation) else { break };
            self.generation = generation;
            self.end += (HEADER_BYTES + body.len()) as u64;
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Forgets all there is. To be called when nothing is pending.
    pub(super) fn begin_again(&mut self) -> io::Result<()> {
        self.file.write_all_at(&[0; HEADER_BYTES], 0)?;
        self.generation = random_generation();
        self.end = 0;
        Ok(())
    }

    /// Whether `entry_bytes` fit in, and behind them what is to be kept free.
    pub(super) fn has_room(&self, entry_bytes: usize, kept_free_bytes: usize) -> bool {
        self.end + (entry_bytes + kept_free_bytes) as u64 <= self.size_bytes
    }

    pub(super) fn is_half_full(&self) -> bool {
        self.end > self.size_bytes / 2
    }

    /// Writes an entry behind the last one; when that fails, it is as if it had not been tried.
    pub(super) fn append(&mut self, mut entry: Vec<u8>) -> io::Result<()> {
        let checksum = checksum(self.generation, &entry[HEADER_BYTES..]);
        entry[4..12].copy_from_slice(&self.generation.to_le_bytes());
        entry[12..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        if !self.has_room(entry.len(), 0) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the journal is full"));
        }
        self.file.write_all_at(&entry, self.end)?;
        self.end += entry.len() as u64;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn set_size(&mut self, size_bytes: u64) {
        self.size_bytes = size_bytes;
    }
}

/// An entry that lacks the generation and the checksum. `None` when it cannot hold what is so long.
pub(super) fn entry_of_folder(folder: &str, objects: &[(Key, Bytes)]) -> Option<Vec<u8>> {
    let mut entry = begin_entry(KIND_FOLDER, folder)?;
    for (key, data) in objects {
        entry.put_u16_le(u16::try_from(key.name().len()).ok()?);
        entry.put_slice(key.name().as_bytes());
        entry.put_u32_le(u32::try_from(data.len()).ok()?);
        entry.put_slice(data);
    }
    end_entry(entry)
}

/// As [`entry_of_folder`].
pub(super) fn entry_of_gone(folder: &str) -> Option<Vec<u8>> {
    end_entry(begin_entry(KIND_GONE, folder)?)
}

fn begin_entry(kind: u8, folder: &str) -> Option<Vec<u8>> {
    let mut entry = vec![0; HEADER_BYTES];
    entry.put_u8(kind);
    entry.put_u16_le(u16::try_from(folder.len()).ok().filter(|_| folder.len() <= MOST_KEY_BYTES)?);
    entry.put_slice(folder.as_bytes());
    Some(entry)
}

fn end_entry(mut entry: Vec<u8>) -> Option<Vec<u8>> {
    let body_bytes = u32::try_from(entry.len() - HEADER_BYTES).ok()?;
    entry[..4].copy_from_slice(&body_bytes.to_le_bytes());
    Some(entry)
}

/// The next whole entry: its generation and its body.
fn read_entry(reader: &mut io::Take<impl Read>) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut header = [0; HEADER_BYTES];
    if !is_there(reader.read_exact(&mut header))? {
        return Ok(None);
    }
    let mut fields = &header[..];
    let (body_bytes, generation, expected) = (fields.get_u32_le(), fields.get_u64_le(), fields.get_u64_le());
    if body_bytes == 0 || u64::from(body_bytes) > reader.limit() {
        return Ok(None);
    }
    let mut body = vec![0; body_bytes as usize];
    let is_whole = is_there(reader.read_exact(&mut body))? && checksum(generation, &body) == expected;
    Ok(is_whole.then_some((generation, body)))
}

fn is_there(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn decode(mut body: &[u8]) -> Option<Entry> {
    let kind = body.try_get_u8().ok()?;
    let length = body.try_get_u16_le().ok()?;
    let folder: Key = text(&mut body, length.into())?.parse().ok()?;
    match kind {
        KIND_GONE => body.is_empty().then_some(Entry::Gone(folder)),
        KIND_FOLDER => {
            let mut objects = Vec::new();
            while !body.is_empty() {
                let length = body.try_get_u16_le().ok()?;
                let key = folder.child(text(&mut body, length.into())?).ok()?;
                let length = body.try_get_u32_le().ok()?;
                objects.push((key, Bytes::copy_from_slice(piece(&mut body, length as usize)?)));
            }
            Some(Entry::Folder(folder, objects))
        }
        _ => None,
    }
}

fn text<'a>(body: &mut &'a [u8], length: usize) -> Option<&'a str> {
    std::str::from_utf8(piece(body, length)?).ok()
}

fn piece<'a>(body: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (piece, rest) = body.split_at_checked(length)?;
    *body = rest;
    Some(piece)
}

/// Tells what was written whole from what was torn; it guards against nobody's malice.
fn checksum(generation: u64, body: &[u8]) -> u64 {
    let mut sum = generation ^ body.len() as u64;
    for chunk in body.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        sum ^= sum >> 29;
    }
    sum
}

fn random_generation() -> u64 {
    RandomState::new().hash_one(JOURNAL_FILE)
}
