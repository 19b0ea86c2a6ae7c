//! The client as the services that any registry offers.
//!
//! What HTTP cannot say of them:
//! - The caller is the client itself; whom it acts for is told to nobody.
//! - A mount that the registry answers with an upload is none: that upload is ended.
//! - An upload that belongs to another repository is told so at its first use.
//! - See [`UploadWriter`](crate::services::UploadWriter) and [`StartPoint`](crate::services::StartPoint) in `uploads`.

mod blobs;
mod manifests;
mod uploads;

use async_trait::async_trait;

use super::Client;
use super::error::Subject;
use super::repository::RepositoryClient;
use crate::oci::{RepositoryName, Tag};
use crate::services::{
    Blobs, Caller, Manifests, Page, PageRequest, Registry, RegistryError, Repository, Tags, Uploads,
};

#[async_trait]
impl Registry for Client {
    fn repository(&self, name: &RepositoryName, _: &Caller) -> Result<Box<dyn Repository>, RegistryError> {
        Ok(Box::new(Client::repository(self, name)))
    }

    async fn catalog(&self, page: &PageRequest) -> Result<Page<RepositoryName>, RegistryError> {
        Ok(Client::catalog(self, page).await?)
    }
}

impl Repository for RepositoryClient {
    fn name(&self) -> &RepositoryName {
        self.name()
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

#[async_trait]
impl Tags for RepositoryClient {
    async fn list(&self, page: &PageRequest) -> Result<Page<Tag>, RegistryError> {
        RepositoryClient::tags(self, page).await.map_err(|error| error.for_service(Subject::Repository))
    }
}
