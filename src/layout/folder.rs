//! Opening files of a folder that somebody else may have filled.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::LayoutError;

/// Opens a plain file below `root` for reading, without following any link below it; `None` when it is not there.
///
/// # Errors
/// [`LayoutError::Unsafe`] for a link or anything but a plain file.
pub(super) fn open_file(root: &Path, relative: &str) -> Result<Option<File>, LayoutError> {
    let path = root.join(relative);
    let folder_flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Not blocking, since opening a named pipe would wait for somebody to write to it.
    let file_flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut folder: OwnedFd = match openat(CWD, root, folder_flags, Mode::empty()) {
        Ok(folder) => folder,
        Err(errno) => return absent_or_error(errno, root),
    };
    let mut components = relative.split('/').peekable();
    while let Some(component) = components.next() {
        let is_last = components.peek().is_none();
        let flags = if is_last { file_flags } else { folder_flags | OFlags::NOFOLLOW };
        match openat(&folder, component, flags, Mode::empty()) {
            Ok(opened) => folder = opened,
            Err(errno) => return absent_or_error(errno, &path),
        }
    }
    let file = File::from(folder);
    let metadata = file.metadata().map_err(LayoutError::io("look at", &path))?;
    if !metadata.is_file() {
        return Err(LayoutError::not_safe(&path, "it is no plain file"));
    }
    Ok(Some(file))
}

/// A short file whole; `None` when it is not there.
///
/// # Errors
/// As [`open_file`]; [`LayoutError::Invalid`] when it is longer than `limit_bytes`.
pub(super) fn read_file(root: &Path, relative: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, LayoutError> {
    let Some(file) = open_file(root, relative)? else { return Ok(None) };
    let path = root.join(relative);
    let mut data = Vec::new();
    file.take(limit_bytes + 1).read_to_end(&mut data).map_err(LayoutError::io("read", &path))?;
    if data.len() as u64 > limit_bytes {
        return Err(LayoutError::invalid(&path, format!("it is longer than {limit_bytes} bytes")));
    }
    Ok(Some(data))
}

fn absent_or_error<T>(errno: Errno, path: &Path) -> Result<Option<T>, LayoutError> {
    match errno {
        Errno::NOENT => Ok(None),
        Errno::LOOP | Errno::NOTDIR => Err(LayoutError::not_safe(path, "it is a link, or leads through one")),
        errno => Err(LayoutError::io("open", path)(errno.into())),
    }
}
