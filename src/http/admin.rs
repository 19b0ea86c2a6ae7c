//! The admin server: `/livez`, `/readyz` and `/metrics`, on an address of its own.

use std::net::TcpListener;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use async_trait::async_trait;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry as MetricsRegistry;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::StartError;
use super::access_log::RequestRecord;
use super::activity::Activity;
use super::answer::{Answer, Content, Delivery};
use super::body::{RequestBody, SILENCE};
use super::connection::{ConnectionLimits, WRITE_STALL};
use super::connection_state::ConnectionState;
use super::error::ApiError;
use super::guard::Guard;
use super::listener::{self, Hosted, ListenerOptions, RunningServer};
use super::open_files::{connection_limit, open_file_limit};
use super::request_id::request_id;
use crate::config::HttpConfig;
use crate::telemetry::Metrics;

/// A scraper, a probe and a person at once do not need more.
const MAX_CONNECTIONS: usize = 64;

/// A token that is longer is a wrong file.
const MAX_TOKEN_BYTES: usize = 4096;

/// Whether the registry should be sent requests.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Looks now.
    ///
    /// # Errors
    /// [`NotReady`].
    async fn check(&self) -> Result<(), NotReady>;
}

/// Why the registry should not be sent requests now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// It is stopping.
    Draining,
    /// Its storage does not answer; the text is for the log.
    Storage(String),
}

/// What the admin server is made of.
pub struct AdminOptions {
    /// Times and the token's file. The listener is an argument of its own.
    pub config: HttpConfig,
    /// What `/metrics` shows.
    pub metrics_registry: Arc<MetricsRegistry>,
    /// Where the admin server's own requests are counted.
    pub metrics: Metrics,
    /// What `/readyz` asks.
    pub readiness: Arc<dyn Readiness>,
}

struct Shared {
    metrics_registry: Arc<MetricsRegistry>,
    metrics: Metrics,
    readiness: Arc<dyn Readiness>,
    /// The hash of what must stand behind `Bearer`.
    token: Option<[u8; 32]>,
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
        let token = config.admin_token_file.as_deref().map(read_token).transpose()?;
        let address =
            listener.local_addr().map_err(|error| StartError::new(format!("listener has no address: {error}")))?;
        if token.is_none() && !address.ip().to_canonical().is_loopback() {
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
        };
        let shared = Shared {
            metrics_registry: options.metrics_registry,
            metrics: options.metrics,
            readiness: options.readiness,
            token,
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

fn read_token(path: &Path) -> Result<[u8; 32], StartError> {
    let unusable =
        |cause: &dyn std::fmt::Display| StartError::new(format!("http.admin_token_file {}: {cause}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| unusable(&error))?;
    let token = text.trim();
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
        return Err(unusable(&"it does not hold a token"));
    }
    Ok(Sha256::digest(token).into())
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
    let body = RequestBody::new(&request, payload, SILENCE, Rc::clone(&record));
    let outcome = answer(&request, &shared, &record).await;
    let answer = outcome.unwrap_or_else(|error| {
        if let Some(cause) = error.cause() {
            log::warn!(request_id = record.id(), cause; "the registry is not ready");
        }
        Answer::from(&error)
    });
    // Nothing here takes a body, so one that came ends the connection.
    let close = body.is_unread();
    if let Some(connection) = connection.as_deref().filter(|_| close) {
        connection.answer_early();
    }
    let head_only = request.method() == Method::HEAD;
    answer.into_response(Delivery { head_only, close, payload: body.into_payload(), record })
}

async fn answer(request: &HttpRequest, shared: &Shared, record: &RequestRecord) -> Result<Answer, ApiError> {
    const READ: &[Method] = &[Method::GET, Method::HEAD];
    let page = match request.path() {
        "/livez" => Page::Live,
        "/readyz" => Page::Ready,
        "/metrics" => Page::Metrics,
        _ => return Err(ApiError::not_found()),
    };
    record.named(page.route());
    if !READ.contains(request.method()) {
        return Err(ApiError::method_not_allowed(READ));
    }
    if !is_authorized(request, shared.token.as_ref()) {
        return Err(ApiError::unauthorized());
    }
    match page {
        Page::Live => Ok(Answer::json(StatusCode::OK, &json!({"status": "ok"}))),
        Page::Ready => match shared.readiness.check().await {
            Ok(()) => Ok(Answer::json(StatusCode::OK, &json!({"status": "ok"}))),
            Err(NotReady::Draining) => Err(ApiError::unavailable("registry is stopping", None)),
            Err(NotReady::Storage(cause)) => Err(ApiError::unavailable("storage does not answer", Some(cause))),
        },
        Page::Metrics => metrics_page(request, &shared.metrics_registry),
    }
}

#[derive(Clone, Copy)]
enum Page {
    Live,
    Ready,
    Metrics,
}

impl Page {
    fn route(self) -> &'static str {
        match self {
            Page::Live => "livez",
            Page::Ready => "readyz",
            Page::Metrics => "metrics",
        }
    }
}

/// The text is OpenMetrics, which reads as the older Prometheus text too; it is called what was asked for.
fn metrics_page(request: &HttpRequest, registry: &MetricsRegistry) -> Result<Answer, ApiError> {
    let mut text = String::new();
    encode(&mut text, registry).map_err(|error| ApiError::internal(format!("metrics: {error}")))?;
    let accepted = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let content_type = if accepted.contains("application/openmetrics-text") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    Ok(Answer::new(StatusCode::OK).header_static(CONTENT_TYPE, content_type).content(Content::Whole(text.into())))
}

/// Hashes are compared, in a time that does not depend on where they differ.
fn is_authorized(request: &HttpRequest, token: Option<&[u8; 32]>) -> bool {
    let Some(token) = token else {
        return true;
    };
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or("");
    let Some((scheme, given)) = header.split_once(' ') else {
        return false;
    };
    let given: [u8; 32] = Sha256::digest(given.trim()).into();
    let difference = token.iter().zip(&given).fold(0, |difference, (ours, theirs)| difference | (ours ^ theirs));
    scheme.eq_ignore_ascii_case("bearer") && difference == 0
}
