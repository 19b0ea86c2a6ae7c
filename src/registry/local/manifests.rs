use async_trait::async_trait;

use super::{LocalRepository, page_of};
use crate::content::{NewManifest, ReferrersQuery, TagCondition};
use crate::oci::{Digest, Reference};
use crate::registry::{
    ManifestContent, ManifestPut, Manifests, Precondition, PutManifest, Referrers, ReferrersRequest, RegistryError,
};
use crate::storage::StorageError;

/// How often a tag is followed that moves while it is read. More than once takes a publisher that deletes what it has
/// just pushed.
const MOST_MOVES: usize = 8;

#[async_trait]
impl Manifests for LocalRepository {
    async fn get(&self, reference: &Reference) -> Result<ManifestContent, RegistryError> {
        let mut digest = self.resolve(reference).await?;
        for _ in 0..MOST_MOVES {
            let Some(found) = digest else { break };
            if let Some(stored) = self.content.manifests().get(&self.name, &found).await? {
                let media_type = stored.media_type.to_string();
                return Ok(ManifestContent { digest: found, media_type, data: stored.data });
            }
            // The tag may have been moved, and the manifest that it pointed at deleted, between the two looks.
            digest = self.resolve(reference).await?.filter(|now| *now != found);
        }
        Err(self.unknown(RegistryError::ManifestUnknown(reference.to_string())).await)
    }

    async fn put(&self, request: PutManifest) -> Result<ManifestPut, RegistryError> {
        let outcome = self
            .content
            .manifests()
            .put(NewManifest {
                repository: self.name.clone(),
                reference: request.reference,
                tags: request.tags,
                media_type: request.media_type,
                data: request.data,
                condition: request.precondition.into(),
            })
            .await?;
        Ok(ManifestPut { digest: outcome.digest, subject: outcome.subject, tags: outcome.tags })
    }

    async fn delete(&self, reference: &Reference) -> Result<(), RegistryError> {
        let was_there = match reference {
            Reference::Digest(digest) => self.content.manifests().delete(&self.name, digest).await?,
            Reference::Tag(tag) => self.content.tags().delete(&self.name, tag).await?,
        };
        if was_there {
            return Ok(());
        }
        Err(self.unknown(RegistryError::ManifestUnknown(reference.to_string())).await)
    }

    async fn referrers(&self, request: &ReferrersRequest) -> Result<Referrers, RegistryError> {
        let query = ReferrersQuery {
            repository: self.name.clone(),
            subject: request.subject.clone(),
            artifact_type: request.artifact_type.clone(),
            last: request.page.last.clone(),
            limit: self.options.page_len(&request.page),
        };
        Ok(page_of(self.content.referrers().list(&query).await?))
    }
}

impl LocalRepository {
    async fn resolve(&self, reference: &Reference) -> Result<Option<Digest>, StorageError> {
        match reference {
            Reference::Digest(digest) => Ok(Some(digest.clone())),
            Reference::Tag(tag) => self.content.tags().resolve(&self.name, tag).await,
        }
    }
}

impl From<Precondition> for TagCondition {
    fn from(precondition: Precondition) -> Self {
        match precondition {
            Precondition::None => TagCondition::Any,
            Precondition::PointsAt(digests) => TagCondition::PointsAt(digests),
            Precondition::Exists => TagCondition::Exists,
            Precondition::IsNew => TagCondition::IsNew,
        }
    }
}
