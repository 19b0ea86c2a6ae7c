//! The files of the log's halves.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::entry::{self, Entry, Says};
use super::mount::Mount;
use crate::storage::filesystem::TEMPORARY_FOLDER;

/// The two halves of the log, directly below the root. Other registries that serve the folder do not look at them.
pub(in crate::storage::filesystem) const REDO_FILES: [&str; 2] = ["longshore.redo.0", "longshore.redo.1"];

/// More parts than a write may have.
const MOST_PARTS: usize = 1024;

/// More than the first entry takes.
const FRONT_BYTES: usize = 4096;

/// The log is not made where it would take more than this part of what is free.
const LEAST_TIMES_FREE: u64 = 16;

/// Opens the halves that are there.
pub(super) fn open(root: &Path) -> io::Result<Option<[File; 2]>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let open = |name| {
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(root.join(name))?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other(format!("{name} is no file")));
        }
        Ok(file)
    };
    match (open(REDO_FILES[0]), open(REDO_FILES[1])) {
        (Ok(first), Ok(second)) => Ok(Some([first, second])),
        (Err(error), _) | (_, Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
        // One alone was being made or removed; nothing was ever noted in it, or nothing is any more.
        _ => Ok(None),
    }
}

/// Makes both, full of zeros: a sync then has data to write, and nothing of the filesystem's. What could not be made whole
/// takes no room.
pub(super) fn make(root: &Path, half_bytes: u64, free_bytes: u64) -> io::Result<[File; 2]> {
    make_whole(root, half_bytes, free_bytes).inspect_err(|_| {
        for folder in [root.join(TEMPORARY_FOLDER), root.to_owned()] {
            if let Err(error) = remove(&folder) {
                log::warn!(folder:% = folder.display(), error:%; "cannot remove what was made of the redo log");
            }
        }
    })
}

fn make_whole(root: &Path, half_bytes: u64, free_bytes: u64) -> io::Result<[File; 2]> {
    if free_bytes / LEAST_TIMES_FREE < 2 * half_bytes {
        return Err(io::Error::new(io::ErrorKind::StorageFull, "too little of the disk is free"));
    }
    let zeros = vec![0; 1024 * 1024];
    for name in REDO_FILES {
        let temporary = root.join(TEMPORARY_FOLDER).join(name);
        let file = File::create_new(&temporary)?;
        let mut at = 0;
        while at < half_bytes {
            let bytes = zeros.len().min((half_bytes - at) as usize);
            file.write_all_at(&zeros[..bytes], at)?;
            at += bytes as u64;
        }
        file.sync_all()?;
        fs::rename(&temporary, root.join(name))?;
    }
    File::open(root)?.sync_all()?;
    open(root)?.ok_or_else(|| io::Error::other("it has been removed"))
}

/// Removes what there is of both.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    for name in REDO_FILES {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Writes pieces one behind the other.
pub(super) fn write_all(file: &File, pieces: &mut [IoSlice<'_>], mut at: u64) -> io::Result<()> {
    for mut rest in pieces.chunks_mut(MOST_PARTS) {
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let written = match rustix::io::pwritev(file, rest, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            at += written as u64;
            IoSlice::advance_slices(&mut rest, written);
        }
    }
    Ok(())
}

/// Has the entries replayed by whoever opens the root next.
pub(super) fn mark_as_lost(file: &File) -> io::Result<()> {
    let mut front = vec![0; FRONT_BYTES];
    let length = file.read_at(&mut front, 0)?;
    front.truncate(length);
    let Some(Entry { epoch, number, says: Says::Begun { .. }, .. }) = entry::read(front.into())?.into_iter().next()
    else {
        return Ok(());
    };
    let beginning = Says::Begun { mount: Mount::lost() }.encode(epoch, number);
    let mut pieces: Vec<IoSlice<'_>> = beginning.pieces().map(IoSlice::new).collect();
    write_all(file, &mut pieces, 0)?;
    file.sync_data()
}

/// Forgets all entries, for good.
pub(super) fn empty(file: &File) -> io::Result<()> {
    // Some filesystems need room to write over what is there.
    match file.write_all_at(&[0; entry::EMPTY_BYTES], 0) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => file.set_len(0)?,
        written => written?,
    }
    file.sync_all()
}
