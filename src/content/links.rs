use log::warn;

use super::link;
use super::store::Store;
use crate::oci::Digest;
use crate::storage::{Key, PutMode, StorageError, StorageErrorKind, Version};

/// What stands under a link's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing.
    Absent,
    /// Something that is no link; it counts as absent, and its version tells it from what replaces it.
    Broken(Option<Version>),
    /// A link.
    To(Digest, Version),
}

impl Link {
    /// Where it leads, if it does.
    pub(super) fn target(self) -> Option<Digest> {
        match self {
            Link::To(target, _) => Some(target),
            Link::Absent | Link::Broken(_) => None,
        }
    }
}

impl Store {
    /// Reads a link. One driver call. A broken one is warned of.
    pub(super) async fn read_link(&self, key: &Key) -> Result<Link, StorageError> {
        let object = match self.driver.get(key, link::LONGEST_LINK_BYTES).await {
            Ok(object) => object,
            Err(error) if error.is_not_found() => return Ok(Link::Absent),
            Err(error) if error.kind() == StorageErrorKind::WrongSize => {
                warn!(key:% = key; "link is too long, it counts as absent");
                return Ok(Link::Broken(None));
            }
            Err(error) => return Err(error),
        };
        match link::parse(&object.data) {
            Some(target) => Ok(Link::To(target, object.version)),
            None => {
                warn!(key:% = key, size_bytes = object.data.len(); "link is malformed, it counts as absent");
                Ok(Link::Broken(Some(object.version)))
            }
        }
    }

    /// Writes a link, durably. One driver call.
    pub(super) async fn write_link(&self, key: &Key, target: &Digest, mode: PutMode) -> Result<(), StorageError> {
        self.driver.put(key, link::format(target), mode, self.options.durability).await?;
        Ok(())
    }

    /// Deletes an object; `false` when there was none. One driver call.
    pub(super) async fn delete_if_present(&self, key: &Key) -> Result<bool, StorageError> {
        match self.driver.delete(key).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
