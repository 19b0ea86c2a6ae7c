use crate::content::ContentError;
use crate::content::cache::LinkKind;
use crate::content::links::Link;
use crate::content::store::Store;
use crate::oci::{Digest, RepositoryName, Tag};
use crate::storage::{PutMode, StorageError, keys};

/// What must hold of a tag before it moves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TagCondition {
    /// Nothing.
    #[default]
    Any,
    /// It points at one of these; or already at the manifest that it is to be moved to, so that a move whose answer was
    /// lost can be asked for again (RFC 9110, section 13.1.1).
    PointsAt(Vec<Digest>),
    /// It exists.
    Exists,
    /// It does not exist.
    IsNew,
}

impl Store {
    /// Checks a condition without changing anything. A tag that leads to no manifest does not exist, as for who reads
    /// it.
    ///
    /// # Errors
    /// [`ContentError::ConditionFailed`].
    pub(in crate::content) async fn check_condition(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        wanted: &Digest,
        condition: &TagCondition,
    ) -> Result<(), ContentError> {
        self.mode_for(repository, tag, wanted, condition).await.map(|_| ())
    }

    /// How the tag's link has to be put so that the condition holds at that moment.
    pub(super) async fn mode_for(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        wanted: &Digest,
        condition: &TagCondition,
    ) -> Result<PutMode, ContentError> {
        if *condition == TagCondition::Any {
            return Ok(PutMode::Overwrite);
        }
        let link = self.read_link(&keys::tag_current(repository, tag)).await?;
        let mode = match &link {
            Link::Absent => PutMode::Create,
            Link::To(_, version) | Link::Broken(Some(version)) => PutMode::Update(version.clone()),
            // It is too long to be read, so it has no version; no tag is lost with it.
            Link::Broken(None) => PutMode::Overwrite,
        };
        let current = self.manifest_of(repository, link).await?;
        let holds = match condition {
            TagCondition::Any => true,
            TagCondition::PointsAt(digests) => {
                current.as_ref().is_some_and(|digest| digest == wanted || digests.contains(digest))
            }
            TagCondition::Exists => current.is_some(),
            TagCondition::IsNew => current.is_none(),
        };
        if holds { Ok(mode) } else { Err(ContentError::ConditionFailed { tag: tag.clone(), current }) }
    }

    async fn manifest_of(&self, repository: &RepositoryName, link: Link) -> Result<Option<Digest>, StorageError> {
        let Some(digest) = link.target() else { return Ok(None) };
        let is_there = self.find(repository, LinkKind::Revision, &digest).await?.is_some();
        Ok(is_there.then_some(digest))
    }
}
