//! Blobs of a repository: whether they are there, their bytes, mounting and taking away.
//!
//! Source: distribution-spec, end-2, end-10 and end-11.

mod download;

use std::ops::Range;

use http::header::{CONTENT_LENGTH, HeaderMap};
use http::{Method, StatusCode};

pub use self::download::BlobDownload;
use super::auth::Scopes;
use super::error::{ClientError, Failure};
use super::exchange::Again;
use super::repository::RepositoryClient;
use super::upload::{UploadSession, created};
use crate::oci::{Digest, RepositoryName};

/// What a mount came to.
#[derive(Debug)]
pub enum Mount {
    /// The blob is there.
    Mounted,
    /// The blob is to be uploaded, and the registry began this upload for it.
    Upload(UploadSession),
}

impl RepositoryClient {
    /// The size of a blob; `None` when the repository has it not.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, ClientError> {
        let url = self.endpoint(["blobs", &digest.to_string()]);
        let answer = match self.exchange.send(self.pull("look up blob", Method::HEAD, url.clone())).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let size = content_length(&answer.headers);
        let missing = || Failure::Answer("there is no content-length".to_owned());
        size.map(Some).ok_or_else(|| ClientError::new("look up blob", &url, missing()))
    }

    /// A blob's bytes, all or a range of them (cut at the end). A fetch that breaks goes on where it broke.
    ///
    /// # Errors
    /// [`ClientError`]; with a 404 when the repository has it not.
    pub async fn fetch_blob(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<BlobDownload, ClientError> {
        download::start(self, digest, range).await
    }

    /// Links a blob that `from` (or, with `None`, any repository) has into this one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn mount_blob(&self, digest: &Digest, from: Option<&RepositoryName>) -> Result<Mount, ClientError> {
        let operation = "mount blob";
        let mut url = self.endpoint(["blobs", "uploads", ""]);
        url.query_pairs_mut().append_pair("mount", &digest.to_string());
        let mut call_url = url.clone();
        let mut scopes = Scopes::push(&self.name);
        if let Some(from) = from {
            call_url.query_pairs_mut().append_pair("from", from.as_str());
            scopes = scopes.and(&Scopes::pull(from));
        }
        // A second upload that nobody goes on with expires.
        let call = super::exchange::Call::new(operation, Method::POST, call_url, scopes).again(Again::Always);
        let answer = self.exchange.send(call).await?;
        match answer.status {
            StatusCode::CREATED => {
                created(operation, &answer, digest)?;
                Ok(Mount::Mounted)
            }
            StatusCode::ACCEPTED => Ok(Mount::Upload(UploadSession::of_answer(self, operation, &answer)?)),
            other => {
                let wrong = Failure::Answer(format!("status {}, neither 201 nor 202", other.as_u16()));
                Err(ClientError::new(operation, &url, wrong))
            }
        }
    }

    /// Takes a blob from the repository.
    ///
    /// # Errors
    /// [`ClientError`]; with a 404 when the repository has it not.
    pub async fn delete_blob(&self, digest: &Digest) -> Result<(), ClientError> {
        let url = self.endpoint(["blobs", &digest.to_string()]);
        self.exchange.send(self.take_away("delete blob", url)).await?;
        Ok(())
    }
}

pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
