use std::fmt;
use std::sync::Arc;

use http::Method;
use reqwest::Url;

use super::auth::Scopes;
use super::error::ClientError;
use super::exchange::{Call, Exchange};
use super::lists;
use crate::oci::{RepositoryName, Tag};
use crate::services::{Page, PageRequest};

/// One repository of a registry. Cheap to clone.
///
/// It implements [`Repository`](crate::services::Repository) too, and all services of one.
#[derive(Clone)]
pub struct RepositoryClient {
    pub(super) exchange: Arc<Exchange>,
    pub(super) name: RepositoryName,
}

impl RepositoryClient {
    /// Its name.
    pub fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// A page of its tags, in the registry's order.
    ///
    /// # Errors
    /// [`ClientError`]; with a 404 when the repository holds nothing.
    pub async fn tags(&self, page: &PageRequest) -> Result<Page<Tag>, ClientError> {
        lists::tags(&self.exchange, &self.name, page).await
    }

    /// All of its tags, page by page, in the registry's order.
    ///
    /// # Errors
    /// As [`RepositoryClient::tags`]; [`Failure::TooLarge`](super::Failure::TooLarge) past a million.
    pub async fn all_tags(&self) -> Result<Vec<Tag>, ClientError> {
        lists::all_tags(&self.exchange, &self.name).await
    }

    /// An address below this repository's.
    pub(super) fn endpoint<'a>(&'a self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        self.exchange.address.endpoint(self.name.components().chain(segments))
    }

    /// A call that reads.
    pub(super) fn pull(&self, operation: &'static str, method: Method, url: Url) -> Call {
        Call::new(operation, method, url, Scopes::pull(&self.name))
    }

    /// A call that writes.
    pub(super) fn push(&self, operation: &'static str, method: Method, url: Url) -> Call {
        Call::new(operation, method, url, Scopes::push(&self.name))
    }

    /// A call that takes something away.
    pub(super) fn take_away(&self, operation: &'static str, url: Url) -> Call {
        Call::new(operation, Method::DELETE, url, Scopes::delete(&self.name))
    }
}

impl fmt::Debug for RepositoryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryClient")
            .field("address", &self.exchange.address)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
