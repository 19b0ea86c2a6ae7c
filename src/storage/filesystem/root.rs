use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, mkdirat, openat2, unlinkat};

use super::durable::{DurableFolders, Removals};
use crate::storage::Key;

/// The folder that everything is below. Nothing outside is ever opened: the kernel refuses paths that leave it through a
/// symbolic link, and a link in the place of an object is not followed.
#[derive(Debug)]
pub(super) struct Root {
    folder: OwnedFd,
    /// `None` when nothing is ever synced.
    durable: Option<DurableFolders>,
}

impl Root {
    pub(super) fn open(path: &Path, sync: bool) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Root { folder, durable: sync.then(DurableFolders::default) })
    }

    /// Opens what `key` names.
    pub(super) fn open_file(&self, key: &Key, flags: OFlags) -> io::Result<File> {
        Ok(File::from(self.open_beneath(key.as_str(), flags | OFlags::NOFOLLOW)?))
    }

    /// The same by what the kernel has in memory; would-block when that is not enough.
    pub(super) fn open_cached(&self, key: &Key, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::CACHED;
        Ok(File::from(openat2(&self.folder, key.as_str(), flags, Mode::empty(), resolve)?))
    }

    /// Whether anything stands under `key`, or it cannot be told.
    pub(super) fn is_there(&self, key: &Key) -> bool {
        let opened = self.open_beneath(key.as_str(), OFlags::PATH | OFlags::NOFOLLOW);
        !opened.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    pub(super) fn open_folder(&self, path: &str) -> io::Result<OwnedFd> {
        self.open_beneath(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    fn open_beneath(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        open_beneath(self.folder.as_fd(), path, flags)
    }

    /// Opens the folder that `key` stands in.
    pub(super) fn open_parent(&self, key: &Key) -> io::Result<OwnedFd> {
        match parent_of(key.as_str()) {
            Some(parent) => self.open_folder(parent),
            None => self.folder.try_clone(),
        }
    }

    /// The same; folders that are missing are made. Not found when others remove them at the same moment: try again.
    pub(super) fn make_parent(&self, key: &Key) -> io::Result<OwnedFd> {
        match parent_of(key.as_str()) {
            Some(parent) => self.make_folder(parent),
            None => self.folder.try_clone(),
        }
    }

    fn make_folder(&self, path: &str) -> io::Result<OwnedFd> {
        match self.open_folder(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        match path.rsplit_once('/') {
            Some((parent, name)) => make_folder_in(self.make_folder(parent)?.as_fd(), name),
            None => make_folder_in(self.folder.as_fd(), path),
        }
    }

    /// How many bytes the filesystem can still take.
    pub(super) fn free_space(&self) -> io::Result<u64> {
        let filesystem = rustix::fs::fstatvfs(&self.folder)?;
        Ok(filesystem.f_bavail.saturating_mul(filesystem.f_frsize))
    }

    /// To be asked before a name is placed that [`Root::sync_name`] is to sync.
    pub(super) fn removals(&self) -> Option<Removals> {
        self.durable.as_ref().map(DurableFolders::removals)
    }

    /// Makes the names in `folder`, the one that `key` stands in, survive a power cut, and those of all folders above.
    pub(super) fn sync_name(&self, key: &Key, folder: &OwnedFd, before: Option<Removals>) -> io::Result<()> {
        let (Some(durable), Some(before)) = (&self.durable, before) else { return Ok(()) };
        rustix::fs::fsync(folder)?;
        let mut synced = Vec::new();
        let mut path = parent_of(key.as_str());
        while let Some(folder) = path.filter(|folder| !durable.knows(folder)) {
            path = parent_of(folder);
            match path.map(|above| self.open_folder(above)).transpose() {
                Ok(Some(above)) => rustix::fs::fsync(above)?,
                Ok(None) => rustix::fs::fsync(&self.folder)?,
                // It has been deleted again meanwhile, and with it what was to be kept.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            }
            synced.push(folder);
        }
        durable.learn(synced, before);
        Ok(())
    }

    /// Removes `folder` if it is empty, or not there, then the one above, and so on; never the root.
    pub(super) fn prune(&self, folder: Option<&str>) {
        let mut next = folder;
        while let Some(path) = next {
            match self.remove_folder(path).map_err(|error| (error.kind(), error)) {
                Ok(()) | Err((io::ErrorKind::NotFound, _)) => next = parent_of(path),
                Err((io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory, _)) => return,
                Err((_, error)) => {
                    log::warn!(folder = path, error = error.to_string(); "cannot remove an empty folder");
                    return;
                }
            }
        }
    }

    fn remove_folder(&self, path: &str) -> io::Result<()> {
        let (parent, name) = match path.rsplit_once('/') {
            Some((parent, name)) => (self.open_folder(parent)?, name),
            None => (self.folder.try_clone()?, path),
        };
        self.remove_folder_in(parent.as_fd(), name.as_bytes(), path)
    }

    /// Removes the empty folder `name` of `parent`, whose whole path is `path`.
    pub(super) fn remove_folder_in(&self, parent: BorrowedFd<'_>, name: &[u8], path: &str) -> io::Result<()> {
        let remove = || Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?);
        match &self.durable {
            Some(durable) => durable.remove(path, remove),
            None => remove(),
        }
    }
}

/// Makes the folder `name` of `parent` if it is missing, and opens it.
fn make_folder_in(parent: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    match mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
        // From its parent on the kernel has less to walk.
        Ok(()) | Err(rustix::io::Errno::EXIST) => open_beneath(parent, name, OFlags::RDONLY | OFlags::DIRECTORY),
        Err(error) => Err(error.into()),
    }
}

fn open_beneath(folder: BorrowedFd<'_>, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(folder, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
}

/// The path of the folder that `path` stands in; `None` is the root.
pub(super) fn parent_of(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}
