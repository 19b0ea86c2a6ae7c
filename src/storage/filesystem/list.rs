use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use moka::sync::Cache;
use rustix::fs::{AtFlags, FileType, RawDir, statat};

use super::store::Store;
use crate::storage::{Entry, EntryKind, Key, ListPage, StorageError};

/// The kernel stamps changes with a clock that ticks every 1 to 10 ms. A folder that changed less than this ago may
/// change again under the same time stamp, so that what was read of it is not kept.
const SETTLED_AFTER: Duration = Duration::from_millis(20);

/// How much of a folder is read at once. Some hundred names are read as they were at one moment; where it takes several
/// reads, names may go between them.
const READ_BYTES: usize = 32 * 1024;

/// What a name costs beside its bytes.
const ENTRY_OVERHEAD_BYTES: usize = 48;

/// Sorted names of folders that were listed, bounded, trusted as long as the folder's time stamp stays.
pub(super) struct ListCache {
    listings: Cache<Key, Arc<Listing>>,
    last_unsettled: AtomicU64,
}

#[derive(Debug)]
struct Listing {
    mark: FolderMark,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FolderMark {
    device: u64,
    inode: u64,
    modified: (i64, i64),
}

impl ListCache {
    pub(super) fn new(max_bytes: u64) -> Self {
        let listings = Cache::builder().max_capacity(max_bytes).weigher(weight).build();
        ListCache { listings, last_unsettled: AtomicU64::new(0) }
    }
}

pub(super) fn list(
    store: &Store,
    folder: &Key,
    start_after: Option<&str>,
    limit: usize,
) -> Result<ListPage, StorageError> {
    let mut pending = store.pending.names_in(folder);
    let listing = match listing(store, folder) {
        Err(error) if !pending.is_empty() && error.kind() == io::ErrorKind::NotFound => None,
        listing => Some(listing.map_err(|error| StorageError::from_io("list", folder, error))?),
    };
    let entries = listing.as_ref().map_or(&[][..], |listing| &listing.entries);
    let start = start_after.map_or(0, |after| entries.partition_point(|entry| entry.name.as_str() <= after));
    let rest = &entries[start..];
    if pending.is_empty() {
        return Ok(ListPage { entries: rest[..rest.len().min(limit)].to_vec(), more: rest.len() > limit });
    }
    pending.retain(|name, _| start_after.is_none_or(|after| name.as_str() > after));
    pending.extend(rest.iter().take(limit.saturating_add(1)).map(|entry| (entry.name.clone(), entry.kind)));
    let more = pending.len() > limit;
    let entries = pending.into_iter().take(limit).map(|(name, kind)| Entry { name, kind }).collect();
    Ok(ListPage { entries, more })
}

/// Names the time stamp, or, while that is not settled or something is pending, nothing that was named before.
pub(super) fn mark(store: &Store, folder: &Key) -> Result<String, StorageError> {
    let fail = |error| StorageError::from_io("list_mark", folder, error);
    if !store.pending.names_in(folder).is_empty() {
        return Ok(format!("pending-{}", store.lists.last_unsettled.fetch_add(1, Ordering::Relaxed)));
    }
    let now = SystemTime::now();
    let mark = FolderMark::of(&store.root.open_folder(folder.as_str()).map_err(fail)?.into()).map_err(fail)?;
    let stamp = format!("{}-{}-{}.{:09}", mark.device, mark.inode, mark.modified.0, mark.modified.1);
    if mark.is_settled(now) {
        return Ok(stamp);
    }
    let number = store.lists.last_unsettled.fetch_add(1, Ordering::Relaxed);
    Ok(format!("{stamp}-{number}"))
}

fn listing(store: &Store, folder: &Key) -> io::Result<Arc<Listing>> {
    let opened = File::from(store.root.open_folder(folder.as_str())?);
    let now = SystemTime::now();
    let mark = FolderMark::of(&opened)?;
    if let Some(cached) = store.lists.listings.get(folder).filter(|cached| cached.mark == mark) {
        return Ok(cached);
    }
    let entries = read_sorted(&opened.into(), folder)?;
    let listing = Arc::new(Listing { mark, entries });
    if listing.mark.is_settled(now) {
        store.lists.listings.insert(folder.clone(), listing.clone());
    } else {
        store.lists.listings.invalidate(folder);
    }
    Ok(listing)
}

fn read_sorted(opened: &OwnedFd, folder: &Key) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut buffer = Vec::with_capacity(READ_BYTES);
    let mut names = RawDir::new(opened, buffer.spare_capacity_mut());
    while let Some(entry) = names.next() {
        let entry = entry?;
        let bytes = entry.file_name().to_bytes();
        if matches!(bytes, b"." | b"..") {
            continue;
        }
        let Ok(name) = entry.file_name().to_str() else {
            let name = String::from_utf8_lossy(bytes);
            log::warn!(folder = folder.as_str(), name = name.as_ref(); "a name that is not UTF-8 is left out of a listing");
            continue;
        };
        if let Some(kind) = kind_of(opened, name, entry.file_type())? {
            entries.push(Entry { name: name.to_owned(), kind });
        }
    }
    entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

/// Almost every filesystem tells the kind with the name. Links, pipes and the like are nobody's objects.
fn kind_of(opened: &OwnedFd, name: &str, told: FileType) -> io::Result<Option<EntryKind>> {
    let file_type = match told {
        FileType::Unknown => match statat(opened, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        },
        told => told,
    };
    Ok(match file_type {
        FileType::RegularFile => Some(EntryKind::Object),
        FileType::Directory => Some(EntryKind::Folder),
        _ => None,
    })
}

impl FolderMark {
    fn of(opened: &File) -> io::Result<Self> {
        let metadata = opened.metadata()?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Ok(FolderMark { device: metadata.dev(), inode: metadata.ino(), modified })
    }

    /// Whether a change that comes after `now` has another time stamp. A stamp of the future never settles.
    fn is_settled(&self, now: SystemTime) -> bool {
        let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(self.modified.0), u32::try_from(self.modified.1)) else {
            return false;
        };
        let modified = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        now.duration_since(modified).is_ok_and(|age| age >= SETTLED_AFTER)
    }
}

fn weight(folder: &Key, listing: &Arc<Listing>) -> u32 {
    let names: usize = listing.entries.iter().map(|entry| entry.name.len() + ENTRY_OVERHEAD_BYTES).sum();
    u32::try_from(folder.as_str().len() + ENTRY_OVERHEAD_BYTES + names).unwrap_or(u32::MAX)
}

impl std::fmt::Debug for ListCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListCache").field("folders", &self.listings.entry_count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_time_stamp_and_one_of_the_future_are_not_trusted() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_100);
        let mark = |nanoseconds| FolderMark { device: 1, inode: 1, modified: (1_000_000, nanoseconds) };
        assert!(mark(80_000_000).is_settled(now));
        assert!(!mark(80_000_001).is_settled(now));
        assert!(!mark(200_000_000).is_settled(now));
    }
}
