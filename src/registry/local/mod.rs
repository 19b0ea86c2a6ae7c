//! The server's own implementation of the services, on the content stores and the upload engine.

mod blobs;
mod errors;
mod manifests;
mod tags;
mod uploads;

use async_trait::async_trait;

use super::{Blobs, Caller, Manifests, Page, PageRequest, Registry, RegistryError, Repository, Tags, Uploads};
use crate::content::{Content, ContentPage};
use crate::oci::RepositoryName;
use crate::upload::Engine;

/// The registry of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalRegistry {
    options: LocalRegistryOptions,
    content: Content,
    engine: Engine,
}

/// How a [`LocalRegistry`] answers.
#[derive(Clone, Debug)]
pub struct LocalRegistryOptions {
    /// Whether a blob is mounted without a repository that has it being named: whoever knows its digest gets at it.
    pub anonymous_mount: bool,
    /// The longest page of a list, and the length of one when no length is asked for.
    pub page_max_items: usize,
}

impl Default for LocalRegistryOptions {
    fn default() -> Self {
        LocalRegistryOptions { anonymous_mount: true, page_max_items: 10_000 }
    }
}

/// One repository of a [`LocalRegistry`]; it is all of its services itself.
#[derive(Clone, Debug)]
pub(crate) struct LocalRepository {
    name: RepositoryName,
    caller: Caller,
    options: LocalRegistryOptions,
    content: Content,
    engine: Engine,
}

impl LocalRegistry {
    /// The registry of what `content` holds and `engine` takes in.
    pub fn new(options: LocalRegistryOptions, content: Content, engine: Engine) -> Self {
        LocalRegistry { options, content, engine }
    }
}

#[async_trait]
impl Registry for LocalRegistry {
    fn repository(&self, name: &RepositoryName, caller: &Caller) -> Result<Box<dyn Repository>, RegistryError> {
        let (options, content, engine) = (self.options.clone(), self.content.clone(), self.engine.clone());
        Ok(Box::new(LocalRepository { name: name.clone(), caller: caller.clone(), options, content, engine }))
    }

    async fn catalog(&self, page: &PageRequest) -> Result<Page<RepositoryName>, RegistryError> {
        let found = self.content.catalog().page(page.last.as_deref(), self.options.page_len(page)).await?;
        Ok(page_of(found))
    }
}

impl Repository for LocalRepository {
    fn name(&self) -> &RepositoryName {
        &self.name
    }

    fn blobs(&self) -> &dyn Blobs {
        self
    }

    fn uploads(&self) -> &dyn Uploads {
        self
    }

    fn manifests(&self) -> &dyn Manifests {
        self
    }

    fn tags(&self) -> &dyn Tags {
        self
    }
}

impl LocalRepository {
    /// What it means that something of the repository is not there: the repository holds nothing at all, or `unknown`.
    async fn unknown(&self, unknown: RegistryError) -> RegistryError {
        match self.content.catalog().contains(&self.name).await {
            Ok(true) => unknown,
            Ok(false) => RegistryError::NameUnknown,
            Err(error) => error.into(),
        }
    }
}

impl LocalRegistryOptions {
    fn page_len(&self, page: &PageRequest) -> usize {
        page.limit.unwrap_or(self.page_max_items).min(self.page_max_items)
    }
}

fn page_of<T>(found: ContentPage<T>) -> Page<T> {
    Page { items: found.items, more: found.more }
}

#[cfg(test)]
mod tests;
