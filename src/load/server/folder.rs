use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::ServerError;

/// How often a folder is tried to be removed, as somebody may write to it until the process ends.
const REMOVALS: usize = 3;

/// What the folders' names begin with.
const PREFIX: &str = "longshore-load-";

/// The file in each that its owner has locked for as long as it lives.
const OWNER: &str = "owner";

/// A folder that this process made for itself, and removes with all that is in it when it is dropped. When the process is
/// killed it stays, until the next one makes a folder beside it.
#[derive(Debug)]
pub struct OwnFolder {
    path: PathBuf,
    /// It tells others that somebody needs the folder. The system unlocks it when the process ends, however it does.
    _owner: File,
}

impl OwnFolder {
    /// Makes one in `parent` (`None`: where temporary files are), which is there. Only this user may look into it.
    /// Folders that processes left which were killed go.
    ///
    /// # Errors
    /// [`ServerError::Folder`].
    pub fn create(parent: Option<&Path>) -> Result<OwnFolder, ServerError> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        remove_abandoned(&parent);
        let path = parent.join(format!("{PREFIX}{}", uuid::Uuid::new_v4().simple()));
        match make(&path) {
            Ok(owner) => Ok(OwnFolder { path, _owner: owner }),
            Err(source) => Err(ServerError::Folder { path, source }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for OwnFolder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            log::warn!(folder:% = self.path.display(), error:% = error; "folder of the load tester could not be removed");
        }
    }
}

fn make(path: &Path) -> io::Result<File> {
    // Fails when there is such a folder already, so that nothing of anybody else's is ever removed.
    fs::DirBuilder::new().mode(0o700).create(path)?;
    let unlocked = path.join("owner.new");
    let owner = File::create_new(&unlocked)?;
    flock(&owner, FlockOperation::NonBlockingLockExclusive)?;
    // Nobody ever finds it under its name without its lock.
    fs::rename(unlocked, path.join(OWNER))?;
    Ok(owner)
}

fn remove(path: &Path) -> io::Result<()> {
    for _ in 1..REMOVALS {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            result => return result,
        }
    }
    fs::remove_dir_all(path)
}

/// Removes folders of this kind whose owners do not live any more.
fn remove_abandoned(parent: &Path) {
    // What cannot be read is none of ours.
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let is_one = path.file_name().and_then(|name| name.to_str()).is_some_and(is_name);
        let Some(owner) = is_one.then(|| File::open(path.join(OWNER)).ok()).flatten() else { continue };
        if flock(&owner, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        match remove(&path) {
            Ok(()) => log::info!(folder:% = path.display(); "folder of a load tester that was killed is removed"),
            Err(error) => {
                log::warn!(folder:% = path.display(), error:% = error; "folder of a load tester that was killed stays");
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_hex = |id: &str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.strip_prefix(PREFIX).is_some_and(is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn it_goes_with_all_that_is_in_it_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("of somebody else"), "x").unwrap();
        let folder = OwnFolder::create(Some(parent.path())).unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(folder.path().join("data/blob"), "x").unwrap();
        drop(folder);
        assert_eq!(names_in(parent.path()), ["of somebody else"]);
    }

    #[test]
    fn a_parent_that_is_not_there_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let missing = parent.path().join("missing");
        let error = OwnFolder::create(Some(&missing)).unwrap_err();
        assert!(error.to_string().starts_with(&format!("folder {}/longshore-load-", missing.display())), "{error}");
    }

    #[test]
    fn what_was_abandoned_goes_and_what_is_needed_stays() {
        let parent = tempfile::tempdir().unwrap();
        let needed = OwnFolder::create(Some(parent.path())).unwrap();
        let id = "0123456789abcdef0123456789abcdef";
        let abandoned = parent.path().join(format!("{PREFIX}{id}"));
        // Those that are not quite so are somebody else's, or not ready yet.
        let others = [format!("{PREFIX}results"), format!("other-{id}"), format!("{PREFIX}{}", id.replace('0', "f"))];
        for folder in [&abandoned, &parent.path().join(&others[0]), &parent.path().join(&others[1])] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join(OWNER), "").unwrap();
        }
        fs::create_dir(parent.path().join(&others[2])).unwrap();
        let another = OwnFolder::create(Some(parent.path())).unwrap();
        assert!(!abandoned.exists());
        assert!(needed.path().exists() && another.path().exists());
        drop((needed, another));
        let mut expected = others.to_vec();
        expected.sort();
        assert_eq!(names_in(parent.path()), expected);
    }
}
