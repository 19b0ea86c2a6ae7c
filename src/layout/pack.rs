use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::lock::open_locked;
use super::writer::{LayoutWriter, OWN_PREFIX, make_folder, sync_folder};
use super::{INDEX, LayoutError, MARKER, blob_path, blocking, folder};
use crate::oci::Digest;

/// Says that a folder is one of these, and is locked by the process that fills it.
const LOCK: &str = ".longshore-archive";

/// A layout that becomes a tarball. It is gathered in a folder beside it, `PATH.partial`, which stays when the process
/// ends before its time, and is taken up by the next one.
#[derive(Debug)]
pub struct ArchiveWriter {
    path: PathBuf,
    layout: LayoutWriter,
    _lock: File,
}

impl ArchiveWriter {
    /// Begins a tarball, or takes up what an earlier run gathered for it.
    ///
    /// # Errors
    /// [`LayoutError::Exists`] when there is something at the path: a tarball is written whole, and nothing is
    /// overwritten; [`LayoutError::Busy`] when another process writes it; [`LayoutError::NotALayout`] when the folder
    /// beside it is somebody else's.
    pub async fn open(path: &Path) -> Result<ArchiveWriter, LayoutError> {
        let path = path.to_owned();
        let folder = with_suffix(&path, ".partial");
        let (path, folder, lock) = blocking(move || {
            refuse_existing(&path)?;
            let lock = lock_own_folder(&folder)?;
            Ok((path, folder, lock))
        })
        .await?;
        let layout = LayoutWriter::open(&folder).await?;
        // What an earlier run listed may be of another image.
        layout.forget_all().await?;
        Ok(ArchiveWriter { path, layout, _lock: lock })
    }

    /// Where its content goes.
    pub fn layout(&self) -> &LayoutWriter {
        &self.layout
    }

    /// Writes the tarball and removes the folder.
    ///
    /// # Errors
    /// [`LayoutError::Exists`], [`LayoutError::Io`]; the folder is there still.
    pub async fn finish(self) -> Result<(), LayoutError> {
        blocking(move || {
            let folder = self.layout.root();
            let packed = folder.join(format!("{OWN_PREFIX}packed"));
            let file = create_anew(&packed).map_err(LayoutError::io("write", &packed))?;
            if let Err(error) = pack(folder, &self.layout.used(), file) {
                // On a full disk its room is what the next run needs.
                let _ = fs::remove_file(&packed);
                return Err(error);
            }
            refuse_existing(&self.path)?;
            fs::rename(&packed, &self.path).map_err(LayoutError::io("write", &self.path))?;
            let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            sync_folder(parent.unwrap_or(Path::new("."))).map_err(LayoutError::io("write", &self.path))?;
            fs::remove_dir_all(folder).map_err(LayoutError::io("remove", folder))
        })
        .await
    }
}

/// In place of what an earlier run left, or a link that somebody put there.
fn create_anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::create_new(path)
}

/// Nobody's times, owners or modes are told, so that the same content is the same tarball.
fn pack(root: &Path, blobs: &[Digest], file: File) -> Result<(), LayoutError> {
    let failed = LayoutError::io("write", root);
    let mut builder = Builder::new(BufWriter::with_capacity(1 << 20, file));
    let names = [MARKER.to_owned(), INDEX.to_owned()].into_iter().chain(blobs.iter().map(blob_path));
    for name in names {
        let missing = || LayoutError::io("read", &root.join(&name))(io::ErrorKind::NotFound.into());
        let content = folder::open_file(root, &name)?.ok_or_else(missing)?;
        append(&mut builder, &name, &content).map_err(&failed)?;
    }
    let written = builder.into_inner().and_then(|mut out| {
        out.flush()?;
        out.get_ref().sync_all()
    });
    written.map_err(failed)
}

fn append(builder: &mut Builder<impl Write>, name: &str, content: &File) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(content.metadata()?.len());
    builder.append_data(&mut header, name, content)
}

fn refuse_existing(path: &Path) -> Result<(), LayoutError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(LayoutError::Exists { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(LayoutError::io("look at", path)(error)),
    }
}

/// The folder is removed in the end, so it must be one that was made for this.
fn lock_own_folder(folder: &Path) -> Result<File, LayoutError> {
    make_folder(folder)?;
    let path = folder.join(LOCK);
    let is_empty = fs::read_dir(folder).map_err(LayoutError::io("list", folder))?.next().is_none();
    if !is_empty && !path.is_file() {
        return Err(LayoutError::not_a_layout(folder, "something else is in the folder that its parts would go to"));
    }
    match open_locked(&path, 0o666).map_err(LayoutError::io("lock", &path))? {
        Some(lock) => Ok(lock),
        None => Err(LayoutError::Busy { path: folder.to_owned() }),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
