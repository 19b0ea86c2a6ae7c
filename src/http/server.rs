//! The registry's server: from a request to its handler, and from the handler's answer to the client.

use std::net::{IpAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderName;
use actix_web::http::{ConnectionType, Method};
use actix_web::{HttpRequest, HttpResponse, web};
use tokio::sync::Semaphore;

use super::access_log::RequestRecord;
use super::activity::Activity;
use super::answer::{Answer, Delivery};
use super::body::RequestBody;
use super::connection::{ConnectionLimits, WRITE_STALL};
use super::connection_state::ConnectionState;
use super::error::ApiError;
use super::guard::Guard;
use super::handlers;
use super::listener::{self, Hosted, ListenerOptions, RunningServer};
use super::open_files::{connection_limit, open_file_limit, second_socket_limit};
use super::query::Query;
use super::request_id::request_id;
use super::routes::Route;
use super::{StartError, forwarded, tls};
use crate::config::{HttpConfig, IpNetwork};
use crate::oci::RepositoryName;
use crate::registry::{Caller, Registry, RegistryError, Repository};
use crate::telemetry::Metrics;

/// Still looked for by Docker's clients.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// The most bytes of a request's headers. (HTTP/1.1 heads are bounded while they are read, HTTP/2's only
/// at 16 MiB.)
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// How many requests one HTTP/2 connection may have running.
const MAX_STREAMS: usize = 256;

/// What the registry's server is made of.
pub struct ServerOptions {
    /// Addresses, limits and times. The listener is an argument of its own, so `addr` is not looked at.
    pub config: HttpConfig,
    /// What is served.
    pub registry: Arc<dyn Registry>,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// The largest manifest that is taken.
    pub manifest_max_bytes: u64,
}

/// What every request needs.
pub(super) struct Shared {
    pub(super) registry: Arc<dyn Registry>,
    pub(super) metrics: Metrics,
    pub(super) manifest_max_bytes: u64,
    relative_urls: bool,
    trusted_proxies: Vec<IpNetwork>,
    body_timeout: Duration,
}

/// One request, as the handlers see it.
pub(super) struct Context<'a> {
    pub(super) shared: &'a Shared,
    pub(super) request: &'a HttpRequest,
    pub(super) query: Query,
    pub(super) record: Rc<RequestRecord>,
    connection: Option<Rc<ConnectionState>>,
}

/// The registry's server.
#[derive(Debug)]
pub struct ApiServer;

impl ApiServer {
    /// Serves the registry on `listener` until the server is stopped. Must be called in a tokio or actix
    /// runtime.
    ///
    /// # Errors
    /// [`StartError`] when the certificate or its key cannot be used.
    pub fn start(options: ServerOptions, listener: TcpListener) -> Result<RunningServer, StartError> {
        start(options, listener, WRITE_STALL)
    }
}

pub(super) fn start(
    options: ServerOptions,
    listener: TcpListener,
    write_stall: Duration,
) -> Result<RunningServer, StartError> {
    let config = options.config;
    let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let guard = Guard {
        limits: ConnectionLimits {
            head_timeout: config.head_timeout,
            keep_alive: config.keep_alive,
            disconnect_timeout: config.disconnect_timeout,
            write_stall,
        },
        tls,
        http2_in_clear_text: config.h2c,
        activity: Arc::new(Activity::default()),
        direct_slots: Arc::new(Semaphore::new(second_socket_limit(open_file_limit()))),
    };
    let shared = Shared {
        registry: options.registry,
        metrics: options.metrics,
        manifest_max_bytes: options.manifest_max_bytes,
        relative_urls: config.relative_urls,
        trusted_proxies: config.trusted_proxies,
        body_timeout: config.body_timeout,
    };
    let listener_options = ListenerOptions {
        name: "longshore-http",
        // actix-server takes 512 at most.
        workers: if config.workers == 0 { cores } else { config.workers }.min(512),
        max_connections: connection_limit(config.max_connections, open_file_limit()),
        guard,
    };
    listener::start(listener, listener_options, shared, serve)
}

/// The way of every request.
async fn serve(request: HttpRequest, payload: web::Payload, shared: web::Data<Hosted<Shared>>) -> HttpResponse {
    let connection = request.conn_data::<Rc<ConnectionState>>().cloned();
    let record = RequestRecord::begin(
        request_id(request.headers()),
        request.method().clone(),
        request.path(),
        client_of(&request, &shared),
        shared.metrics.clone(),
        connection.clone(),
    );
    let mut body = RequestBody::new(&request, payload, shared.body_timeout, Rc::clone(&record));
    let is_v2 = request.path() == "/v2" || request.path().starts_with("/v2/");
    let outcome = answer(&request, &shared, &mut body, &record, connection.clone()).await;
    let mut answer = outcome.unwrap_or_else(|error| {
        log_fault(&error, &record);
        Answer::from(&error)
    });
    if is_v2 {
        answer = answer.header_static(API_VERSION, "registry/2.0");
    }
    deliver(&request, body, answer, record).await
}

/// Sends an answer out. When there is more of a body than is worth reading, nothing more is read and the connection ends
/// with the answer; what follows on it then is no request.
pub(super) async fn deliver(
    request: &HttpRequest,
    mut body: RequestBody,
    answer: Answer,
    record: Rc<RequestRecord>,
) -> HttpResponse {
    let connection = record.connection();
    body.drop_small_rest().await;
    let close = body.is_unread();
    if let Some(connection) = connection.as_deref().filter(|_| close) {
        connection.answer_early();
    }
    let ends = |connection: &ConnectionState| connection.is_stopping() || connection.has_answered_last();
    let close = close || connection.as_deref().is_some_and(ends);
    if let Some(connection) = connection.as_deref().filter(|_| close || wants_close(request)) {
        connection.answers_last();
    }
    answer.into_response(Delivery {
        head_only: request.method() == Method::HEAD,
        close,
        payload: body.into_payload(),
        record,
    })
}

async fn answer(
    request: &HttpRequest,
    shared: &Shared,
    body: &mut RequestBody,
    record: &Rc<RequestRecord>,
    connection: Option<Rc<ConnectionState>>,
) -> Result<Answer, ApiError> {
    if connection.as_ref().is_some_and(|connection| connection.has_answered_last()) {
        return Err(ApiError::connection_closing());
    }
    let header_bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > MAX_HEADER_BYTES {
        return Err(ApiError::headers_too_large(MAX_HEADER_BYTES));
    }
    if connection.as_ref().is_some_and(|connection| connection.running() > MAX_STREAMS) {
        return Err(ApiError::too_many_requests());
    }
    let route = Route::parse(request.path())?;
    record.routed(&route);
    if !route.methods().contains(request.method()) {
        return Err(ApiError::method_not_allowed(route.methods()));
    }
    let query = Query::parse(request.query_string())?;
    let context = Context { shared, request, query, record: Rc::clone(record), connection };
    handlers::handle(&context, route, body).await
}

/// A fault of ours is logged once, here, with what the client does not get to see.
fn log_fault(error: &ApiError, record: &RequestRecord) {
    if let Some(cause) = error.cause() {
        let (status, code) = (error.status().as_u16(), error.code().as_str());
        log::error!(request_id = record.id(), status, code, cause; "a request failed");
    }
}

fn client_of(request: &HttpRequest, shared: &Shared) -> Option<IpAddr> {
    forwarded::client_address(peer_of(request), request.headers(), &shared.trusted_proxies)
}

/// Whether the client means this to be the connection's last request.
fn wants_close(request: &HttpRequest) -> bool {
    request.head().connection_type() == ConnectionType::Close
}

fn peer_of(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|peer| peer.ip())
}

impl Context<'_> {
    /// The services of a repository, for this request's client.
    pub(super) fn repository(&self, name: &RepositoryName) -> Result<Box<dyn Repository>, RegistryError> {
        let caller = Caller { address: client_of(self.request, self.shared) };
        self.shared.registry.repository(name, &caller)
    }

    /// Whether only the head of the answer is wanted.
    pub(super) fn is_head(&self) -> bool {
        self.request.method() == Method::HEAD
    }

    /// A header's text; one that is no text counts as absent.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    /// `path` as it stands in a `Location`: as it is, or with the address that the client sees.
    pub(super) fn location(&self, path: String) -> String {
        if self.shared.relative_urls {
            return path;
        }
        let is_tls = self.connection.as_ref().is_some_and(|connection| connection.is_tls);
        let uri_host = self.request.uri().authority().map(|authority| authority.as_str());
        let headers = self.request.headers();
        match forwarded::origin(peer_of(self.request), headers, uri_host, is_tls, &self.shared.trusted_proxies) {
            Some(origin) => format!("{origin}{path}"),
            None => path,
        }
    }
}
