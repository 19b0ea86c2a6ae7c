//! Gzipped tarballs: unpacked into a temporary file, since nothing can be read from the middle of them.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use uuid::Uuid;

use super::LayoutError;

/// What is left free where the temporary file is: a file that unpacks to without end must not fill it up.
const LEFT_FREE_BYTES: u64 = 256 << 20;

/// After how much it is looked how much is free.
const LOOK_EVERY_BYTES: usize = 16 << 20;

const BUFFER_BYTES: usize = 256 << 10;

/// The unpacked content, in a file that is gone when it is closed, however this process ends.
///
/// # Errors
/// [`LayoutError::Invalid`] when it cannot be unpacked; [`LayoutError::Io`].
pub(super) fn unpack(file: &File, path: &Path) -> Result<File, LayoutError> {
    let folder = temporary_folder();
    let place = folder.join(format!(".longshore-{}", Uuid::new_v4()));
    let failed = LayoutError::io("write", &place);
    let mut unpacked =
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&place).map_err(&failed)?;
    std::fs::remove_file(&place).map_err(&failed)?;
    let mut packed = MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, file));
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut since_look = LOOK_EVERY_BYTES;
    loop {
        if since_look >= LOOK_EVERY_BYTES {
            since_look = 0;
            leave_room(&unpacked).map_err(&failed)?;
        }
        let read = packed.read(&mut buffer).map_err(|cause| cannot_unpack(path, cause))?;
        if read == 0 {
            return Ok(unpacked);
        }
        unpacked.write_all(&buffer[..read]).map_err(&failed)?;
        since_look += read;
    }
}

/// Fails when there is too little.
fn leave_room(file: &File) -> io::Result<()> {
    let space = rustix::fs::fstatvfs(file)?;
    let free_bytes = space.f_bavail.saturating_mul(space.f_frsize);
    match free_bytes < LEFT_FREE_BYTES {
        true => Err(io::Error::new(io::ErrorKind::StorageFull, "too little space is left to unpack it; set TMPDIR")),
        false => Ok(()),
    }
}

fn cannot_unpack(path: &Path, cause: io::Error) -> LayoutError {
    match cause.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            LayoutError::invalid(path, format!("it cannot be unpacked: {cause}"))
        }
        _ => LayoutError::io("read", path)(cause),
    }
}

/// `TMPDIR`, or `/var/tmp`, which unlike `/tmp` is seldom in memory.
fn temporary_folder() -> PathBuf {
    let on_disk = Path::new("/var/tmp");
    match std::env::var_os("TMPDIR") {
        Some(folder) if !folder.is_empty() => folder.into(),
        _ if on_disk.is_dir() => on_disk.to_owned(),
        _ => std::env::temp_dir(),
    }
}
