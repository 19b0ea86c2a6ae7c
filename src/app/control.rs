use std::sync::Arc;

use async_trait::async_trait;

use super::reload::Reloader;
use crate::http::{ControlError, Reloaded, UploadControl};
use crate::oci::{RepositoryName, UploadId};
use crate::upload::{Engine, ListUploads, ScanReport, UploadError, UploadPage, UploadView};

/// What the admin API steers: the engine and the configuration.
pub(super) struct EngineControl {
    pub engine: Engine,
    /// `None`: the configuration came from no source that could be read again.
    pub reloader: Option<Arc<Reloader>>,
}

#[async_trait]
impl UploadControl for EngineControl {
    async fn list(&self, request: ListUploads) -> Result<UploadPage, ControlError> {
        let engine = self.engine.clone();
        // A million uploads take a while to look at.
        let listed = tokio::task::spawn_blocking(move || engine.list(&request)).await;
        listed.map_err(|error| ControlError::Failed(error.to_string()))?.ok_or(ControlError::BadToken)
    }

    async fn find(&self, id: UploadId, repository: Option<RepositoryName>) -> Result<Vec<UploadView>, ControlError> {
        let mut found = self.engine.find(id);
        if let Some(repository) = repository {
            found.retain(|view| view.repository == repository);
            if found.is_empty() {
                return self.find_in_storage(&repository, id).await;
            }
        }
        Ok(found)
    }

    async fn cancel(&self, repository: &RepositoryName, id: UploadId) -> Result<(), ControlError> {
        Ok(self.engine.upload(repository, id).discard().await?)
    }

    async fn expire(&self, repository: &RepositoryName, id: UploadId) -> Result<(), ControlError> {
        Ok(self.engine.upload(repository, id).expire().await?)
    }

    async fn scan(&self, dry_run: bool) -> Result<(), ControlError> {
        self.engine.start_scan(dry_run).then_some(()).ok_or(ControlError::Busy)
    }

    fn scan_report(&self) -> ScanReport {
        self.engine.scan_report()
    }

    async fn reload(&self) -> Result<Reloaded, ControlError> {
        let Some(reloader) = self.reloader.clone() else {
            let problem = "there is nothing to reload from: the configuration was given by the program itself";
            return Err(ControlError::Refused(problem.to_owned()));
        };
        match tokio::task::spawn_blocking(move || reloader.reload()).await {
            Ok(Ok(reloaded)) => Ok(reloaded),
            Ok(Err(error)) => {
                // The first line says what and where; an excerpt of the file, which may follow, is for terminals.
                let problem = error.to_string();
                let problem = problem.lines().next().unwrap_or_default();
                Err(ControlError::Refused(format!("wrong configuration: {problem}")))
            }
            Err(error) => Err(ControlError::Failed(error.to_string())),
        }
    }
}

impl EngineControl {
    /// Until the look through the storage that follows a start has met an upload, nobody knows it: asking for it by its
    /// repository makes it known.
    async fn find_in_storage(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Vec<UploadView>, ControlError> {
        match self.engine.upload(repository, id).status().await {
            Ok(_) => {}
            Err(UploadError::Unknown | UploadError::Expired { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        let mut found = self.engine.find(id);
        found.retain(|view| view.repository == *repository);
        Ok(found)
    }
}

impl From<UploadError> for ControlError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Unknown => ControlError::Unknown,
            UploadError::Busy { .. } => ControlError::Busy,
            UploadError::Expired { policy, .. } => {
                ControlError::Refused(format!("upload has expired before, by {policy}"))
            }
            UploadError::Draining => ControlError::Refused("registry is shutting down".to_owned()),
            error => ControlError::Failed(error.to_string()),
        }
    }
}
