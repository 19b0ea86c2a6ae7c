use async_trait::async_trait;

use crate::client::error::Subject;
use crate::client::repository::RepositoryClient;
use crate::oci::Reference;
use crate::services::{
    ManifestContent, ManifestPut, Manifests, PutManifest, Referrers, ReferrersRequest, RegistryError,
};

#[async_trait]
impl Manifests for RepositoryClient {
    async fn get(&self, reference: &Reference) -> Result<ManifestContent, RegistryError> {
        self.manifest(reference).await.map_err(|error| error.for_service(Subject::Manifest(reference)))
    }

    async fn put(&self, request: PutManifest) -> Result<ManifestPut, RegistryError> {
        let subject = Subject::Manifest(&request.reference);
        self.put_manifest(&request).await.map_err(|error| error.for_service(subject))
    }

    async fn delete(&self, reference: &Reference) -> Result<(), RegistryError> {
        self.delete_manifest(reference).await.map_err(|error| error.for_service(Subject::Manifest(reference)))
    }

    async fn referrers(&self, request: &ReferrersRequest) -> Result<Referrers, RegistryError> {
        RepositoryClient::referrers(self, request).await.map_err(|error| error.for_service(Subject::Repository))
    }
}
