//! `/livez`, `/readyz` and `/metrics`.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CONTENT_TYPE};
use async_trait::async_trait;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry as MetricsRegistry;
use serde_json::json;

use crate::http::answer::{Answer, Content};
use crate::http::error::ApiError;

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

pub(super) fn live() -> Answer {
    Answer::json(StatusCode::OK, &json!({"status": "ok"}))
}

pub(super) async fn ready(readiness: &dyn Readiness) -> Result<Answer, ApiError> {
    match readiness.check().await {
        Ok(()) => Ok(Answer::json(StatusCode::OK, &json!({"status": "ok"}))),
        Err(NotReady::Draining) => Err(ApiError::unavailable("registry is stopping", None)),
        Err(NotReady::Storage(cause)) => Err(ApiError::unavailable("storage does not answer", Some(cause))),
    }
}

/// The text is OpenMetrics, which reads as the older Prometheus text too; it is called what was asked for.
pub(super) fn metrics(request: &HttpRequest, registry: &MetricsRegistry) -> Result<Answer, ApiError> {
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
