use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, Method};

use super::auth::{Authenticator, CredentialSource, DockerCredentials, Scopes};
use super::exchange::{Call, Exchange, Wire};
use super::retry::{Pace, SystemPace};
use super::transport::{HttpTransport, HttpTransportOptions, Transport};
use super::{AddressError, ClientError, RegistryAddress, RepositoryClient, RetryPolicy, lists};
use crate::oci::RepositoryName;
use crate::services::{Page, PageRequest};

/// What a chunk of a chunked push has where nobody says otherwise.
const CHUNK_BYTES: u64 = 16 << 20;

/// A registry at an address. Cheap to clone; clones share connections, credentials and tokens.
///
/// It implements [`Registry`](crate::services::Registry) too.
#[derive(Clone)]
pub struct Client {
    pub(super) exchange: Arc<Exchange>,
}

/// How a [`Client`] is to be.
#[must_use]
pub struct ClientBuilder {
    address: Result<RegistryAddress, AddressError>,
    credentials: Option<Arc<dyn CredentialSource>>,
    transport: Option<Arc<dyn Transport>>,
    retries: RetryPolicy,
    user_agent: HeaderValue,
    allows_plain_credentials: bool,
    chunk_bytes: u64,
    pace: Arc<dyn Pace>,
}

impl Client {
    /// A client of the registry at `address`, as [`RegistryAddress`] reads it.
    pub fn builder(address: &str) -> ClientBuilder {
        ClientBuilder::new(address.parse())
    }

    /// A client of the registry at an address that was read already.
    pub fn builder_at(address: RegistryAddress) -> ClientBuilder {
        ClientBuilder::new(Ok(address))
    }

    /// The registry's address.
    pub fn address(&self) -> &RegistryAddress {
        &self.exchange.address
    }

    /// Whether there is a registry that takes the credentials: `GET /v2/`.
    ///
    /// # Errors
    /// [`Failure::Refused`](super::Failure::Refused) with a 401 when it does not take them, with a 404 when it is none.
    pub async fn ping(&self) -> Result<(), ClientError> {
        let url = self.exchange.address.endpoint([""]);
        self.exchange.send(Call::new("ping", Method::GET, url, Scopes::none())).await?;
        Ok(())
    }

    /// One of its repositories, which need not hold anything.
    pub fn repository(&self, name: &RepositoryName) -> RepositoryClient {
        RepositoryClient { exchange: self.exchange.clone(), name: name.clone() }
    }

    /// A page of the names of its repositories, in the registry's order.
    ///
    /// # Errors
    /// [`ClientError`]. Many registries do not offer it.
    pub async fn catalog(&self, page: &PageRequest) -> Result<Page<RepositoryName>, ClientError> {
        lists::catalog(&self.exchange, page).await
    }

    /// The names of all of its repositories, page by page, in the registry's order.
    ///
    /// # Errors
    /// As [`Client::catalog`]; [`Failure::TooLarge`](super::Failure::TooLarge) past a million.
    pub async fn all_repositories(&self) -> Result<Vec<RepositoryName>, ClientError> {
        lists::whole_catalog(&self.exchange).await
    }
}

impl ClientBuilder {
    fn new(address: Result<RegistryAddress, AddressError>) -> Self {
        ClientBuilder {
            address,
            credentials: None,
            transport: None,
            retries: RetryPolicy::default(),
            user_agent: HeaderValue::from_static(concat!("longshore/", env!("CARGO_PKG_VERSION"))),
            allows_plain_credentials: false,
            chunk_bytes: CHUNK_BYTES,
            pace: Arc::new(SystemPace),
        }
    }

    /// Who to say one is: [`Credentials`](super::Credentials), or where they come from. Without it
    /// [`DockerCredentials`].
    pub fn credentials(mut self, credentials: impl CredentialSource + 'static) -> Self {
        self.credentials = Some(Arc::new(credentials));
        self
    }

    /// How requests are sent. Without it an [`HttpTransport`] of its own.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// What is tried again.
    pub fn retries(mut self, policy: RetryPolicy) -> Self {
        self.retries = policy;
        self
    }

    /// What to say one is (`User-Agent`).
    pub fn user_agent(mut self, user_agent: HeaderValue) -> Self {
        self.user_agent = user_agent;
        self
    }

    /// Sends credentials by plain http to other machines too, where anybody on the way can read them.
    pub fn allow_plain_credentials(mut self) -> Self {
        self.allows_plain_credentials = true;
        self
    }

    /// How many bytes a chunk of a chunked push has, where the push does not say; at least one.
    pub fn chunk_bytes(mut self, bytes: u64) -> Self {
        self.chunk_bytes = bytes.max(1);
        self
    }

    #[cfg(test)]
    pub(super) fn pace(mut self, pace: Arc<dyn Pace>) -> Self {
        self.pace = pace;
        self
    }

    /// Makes it. Nothing is sent yet.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn build(self) -> Result<Client, AddressError> {
        let address = self.address?;
        let credentials = self.credentials.unwrap_or_else(|| Arc::new(DockerCredentials::from_environment()));
        let auth = Authenticator::new(address.clone(), credentials, self.allows_plain_credentials);
        let transport = self.transport.unwrap_or_else(|| Arc::new(HttpTransport::new(HttpTransportOptions::default())));
        let wire = Wire { transport, user_agent: self.user_agent, pace: self.pace, retries: self.retries };
        Ok(Client { exchange: Arc::new(Exchange { address, wire, auth, chunk_bytes: self.chunk_bytes }) })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.exchange.address).finish_non_exhaustive()
    }
}
