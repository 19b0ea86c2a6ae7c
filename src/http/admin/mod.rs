//! The admin server, on an address of its own: health, metrics, and the API with which operators see and steer uploads.
//!
//! A request's path is looked up in `routes`, `gate` says whether who sent it may, `input` reads what it says,
//! `handlers` asks the [`UploadControl`], and `documents` puts into JSON what that says. `openapi.json` describes all of
//! it for programs; tests compare the two.

mod control;
mod documents;
pub(in crate::http) mod fuzzing;
mod gate;
mod handlers;
mod health;
mod input;
mod routes;

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use prometheus_client::registry::Registry as MetricsRegistry;
use tokio::sync::Semaphore;

pub use self::control::{ControlError, Reloaded, UploadControl};
use self::gate::Gate;
use self::handlers::Call;
#[cfg(test)]
pub(super) use self::handlers::OPENAPI;
pub use self::health::{NotReady, Readiness};
use self::routes::Endpoint;
#[cfg(test)]
pub(super) use self::routes::ROUTES;
use super::StartError;
use super::access_log::RequestRecord;
use super::activity::Activity;
use super::answer::Answer;
use super::body::RequestBody;
use super::connection::{ConnectionLimits, WRITE_STALL};
use super::connection_state::ConnectionState;
use super::error::ApiError;
use super::guard::Guard;
use super::listener::{self, Hosted, ListenerOptions, RunningServer};
use super::open_files::{connection_limit, open_file_limit};
use super::query::Query;
use super::request_id::request_id;
use super::server::deliver;
use crate::config::HttpConfig;
use crate::telemetry::Metrics;

/// A scraper, a probe and a person at once do not need more.
const MAX_CONNECTIONS: usize = 64;

/// What the admin server is made of.
pub struct AdminOptions {
    /// Times, known hosts and the token's file. The listener is an argument of its own.
    pub config: HttpConfig,
    /// What `/metrics` shows.
    pub metrics_registry: Arc<MetricsRegistry>,
    /// Where the admin server's own requests are counted.
    pub metrics: Metrics,
    /// What `/readyz` asks.
    pub readiness: Arc<dyn Readiness>,
    /// What the API asks.
    pub control: Arc<dyn UploadControl>,
}

struct Shared {
    metrics_registry: Arc<MetricsRegistry>,
    metrics: Metrics,
    readiness: Arc<dyn Readiness>,
    control: Arc<dyn UploadControl>,
    gate: Gate,
    body_timeout: Duration,
}

/// The admin server.
#[derive(Debug)]
pub struct AdminServer;

impl AdminServer {
    /// Serves on `listener` until the server is stopped.
    ///
    /// # Errors
    /// [`StartError`] when the token's file cannot be used, or there is none and the listener is
    /// reachable from elsewhere.
    pub fn start(options: AdminOptions, listener: TcpListener) -> Result<RunningServer, StartError> {
        let config = &options.config;
        let gate = Gate::new(config)?;
        let address =
            listener.local_addr().map_err(|error| StartError::new(format!("listener has no address: {error}")))?;
        if !gate.has_token() && !address.ip().to_canonical().is_loopback() {
            let problem = "is reachable from elsewhere and there is no http.admin_token_file";
            return Err(StartError::new(format!("admin address {address} {problem}")));
        }
        let guard = Guard {
            limits: ConnectionLimits {
                head_timeout: config.head_timeout,
                keep_alive: config.keep_alive,
                disconnect_timeout: config.disconnect_timeout,
                write_stall: WRITE_STALL,
            },
            tls: None,
            http2_in_clear_text: false,
            activity: Arc::new(Activity::default()),
            direct_slots: Arc::new(Semaphore::new(0)),
        };
        let shared = Shared {
            body_timeout: config.body_timeout,
            metrics_registry: options.metrics_registry,
            metrics: options.metrics,
            readiness: options.readiness,
            control: options.control,
            gate,
        };
        let listener_options = ListenerOptions {
            name: "longshore-admin",
            workers: 1,
            max_connections: connection_limit(MAX_CONNECTIONS, open_file_limit()),
            guard,
        };
        listener::start(listener, listener_options, shared, serve)
    }
}

async fn serve(request: HttpRequest, payload: web::Payload, shared: web::Data<Hosted<Shared>>) -> HttpResponse {
    let connection = request.conn_data::<Rc<ConnectionState>>().cloned();
    let record = RequestRecord::begin(
        request_id(request.headers()),
        request.method().clone(),
        request.path(),
        request.peer_addr().map(|peer| peer.ip()),
        shared.metrics.clone(),
        connection.clone(),
    );
    let mut body = RequestBody::new(&request, payload, shared.body_timeout, Rc::clone(&record));
    let outcome = match connection.as_deref().is_some_and(ConnectionState::has_answered_last) {
        true => Err(ApiError::connection_closing()),
        false => answer(&request, &shared, &mut body, &record).await,
    };
    let answer = outcome.unwrap_or_else(|error| {
        log_fault(&error, &record);
        Answer::from(&error)
    });
    deliver(&request, body, answer, record).await
}

fn log_fault(error: &ApiError, record: &RequestRecord) {
    let request_id = record.id();
    match error.cause() {
        None => {}
        Some(cause) if error.status() == StatusCode::SERVICE_UNAVAILABLE => {
            log::warn!(request_id, cause; "the registry is not ready");
        }
        Some(cause) => log::error!(request_id, cause; "a request to the admin address failed"),
    }
}

async fn answer(
    request: &HttpRequest,
    shared: &Shared,
    body: &mut RequestBody,
    record: &RequestRecord,
) -> Result<Answer, ApiError> {
    let matched = routes::find(request.path()).ok_or_else(ApiError::not_found)?;
    record.named(matched.name());
    let Some(route) = matched.row(request.method()) else {
        return Err(ApiError::method_not_allowed(&matched.methods()));
    };
    if matched.is_api() {
        shared.gate.check_host(request)?;
    }
    shared.gate.check_token(request)?;
    let is_change = route.method == Method::POST;
    if is_change {
        shared.gate.check_change(request)?;
    }
    let call = Call {
        control: &*shared.control,
        id: matched.id,
        query: if matched.is_api() { Query::parse(request.query_string())? } else { Query::default() },
        body: if is_change { input::read(body).await? } else { bytes::Bytes::new() },
        record,
    };
    match route.endpoint {
        Endpoint::Live => Ok(health::live()),
        Endpoint::Ready => health::ready(&*shared.readiness).await,
        Endpoint::Metrics => health::metrics(request, &shared.metrics_registry),
        Endpoint::OpenApi => handlers::openapi(&call),
        Endpoint::ListUploads => handlers::list_uploads(&call).await,
        Endpoint::ShowUpload => handlers::show_upload(&call).await,
        Endpoint::CancelUpload => handlers::cancel_upload(&call).await,
        Endpoint::ExpireUpload => handlers::expire_upload(&call).await,
        Endpoint::StartScan => handlers::start_scan(&call).await,
        Endpoint::ShowScan => handlers::show_scan(&call),
        Endpoint::Reload => handlers::reload(&call).await,
    }
}
