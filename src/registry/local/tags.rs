use async_trait::async_trait;

use super::{LocalRepository, page_of};
use crate::content::ContentPage;
use crate::oci::Tag;
use crate::registry::{Page, PageRequest, RegistryError, Tags};

#[async_trait]
impl Tags for LocalRepository {
    async fn list(&self, page: &PageRequest) -> Result<Page<Tag>, RegistryError> {
        let limit = self.options.page_len(page);
        let found = self.content.tags().list(&self.name, page.last.as_deref(), limit).await?;
        let found = found.unwrap_or(ContentPage::empty());
        // Tags that are gone leave the repository with its manifests and blobs, or with nothing.
        if found.items.is_empty() && !self.content.catalog().contains(&self.name).await? {
            return Err(RegistryError::NameUnknown);
        }
        Ok(page_of(found))
    }
}
