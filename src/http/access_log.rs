//! One line and one count for each request, at its end, whether it was answered or cut.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use actix_web::http::{Method, StatusCode};

use super::activity::ActivityGuard;
use super::connection_state::ConnectionState;
use super::routes::{Route, UNMATCHED};
use crate::oci::{RepositoryName, UploadId};
use crate::telemetry::{DurationLabels, Metrics, RequestLabels};

/// The status that is logged when the client left before it was answered, as nginx does.
const CLIENT_CLOSED: u16 = 499;

/// What is known of a request. It is written down when it is dropped, which its body and its answer
/// both hold back.
pub(super) struct RequestRecord {
    id: String,
    method: Method,
    path: String,
    client: Option<IpAddr>,
    begun: Instant,
    route: Cell<&'static str>,
    repository: RefCell<Option<RepositoryName>>,
    upload: Cell<Option<UploadId>>,
    status: Cell<u16>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    metrics: Metrics,
    connection: Option<Rc<ConnectionState>>,
    _activity: Option<ActivityGuard>,
}

impl RequestRecord {
    pub(super) fn begin(
        id: String,
        method: Method,
        path: &str,
        client: Option<IpAddr>,
        metrics: Metrics,
        connection: Option<Rc<ConnectionState>>,
    ) -> Rc<Self> {
        let activity = connection.as_ref().map(|connection| connection.request_begins());
        Rc::new(RequestRecord {
            id,
            method,
            path: shortened(path),
            client,
            begun: Instant::now(),
            route: Cell::new(UNMATCHED),
            repository: RefCell::new(None),
            upload: Cell::new(None),
            status: Cell::new(CLIENT_CLOSED),
            bytes_in: Cell::new(0),
            bytes_out: Cell::new(0),
            metrics,
            connection,
            _activity: activity,
        })
    }

    /// The connection that it came on.
    pub(super) fn connection(&self) -> Option<Rc<ConnectionState>> {
        self.connection.clone()
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// For a route that is not one of the registry's.
    pub(super) fn named(&self, route: &'static str) {
        self.route.set(route);
    }

    pub(super) fn routed(&self, route: &Route) {
        self.route.set(route.name());
        self.repository.replace(route.repository().cloned());
        self.upload.set(route.upload());
    }

    pub(super) fn set_upload(&self, id: UploadId) {
        self.upload.set(Some(id));
    }

    pub(super) fn answered(&self, status: StatusCode) {
        self.status.set(status.as_u16());
    }

    pub(super) fn add_bytes_in(&self, count: u64) {
        self.bytes_in.set(self.bytes_in.get() + count);
    }

    pub(super) fn add_bytes_out(&self, count: u64) {
        self.bytes_out.set(self.bytes_out.get() + count);
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.request_ends();
        }
        let duration = self.begun.elapsed();
        let (route, status) = (self.route.get(), self.status.get());
        let method = method_label(&self.method);
        self.metrics.http_requests.get_or_create(&RequestLabels { route, method, status }).inc();
        let labels = DurationLabels { route, method };
        self.metrics.http_request_duration.get_or_create(&labels).observe(duration.as_secs_f64());
        log::info!(
            target: "longshore::access",
            request_id = self.id.as_str(),
            method = self.method.as_str(),
            route,
            path = self.path.as_str(),
            status,
            repository = self.repository.borrow().as_ref().map_or("", RepositoryName::as_str),
            upload_id = self.upload.get().map(|id| id.to_string()).unwrap_or_default().as_str(),
            bytes_in = self.bytes_in.get(),
            bytes_out = self.bytes_out.get(),
            duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            peer = self.client.map(|client| client.to_string()).unwrap_or_default().as_str();
            "request"
        );
    }
}

/// A label has few values, whatever clients send.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// A path that is longer than any of ours is cut in the log.
fn shortened(path: &str) -> String {
    const MAX_BYTES: usize = 600;
    match path.get(..MAX_BYTES) {
        Some(start) if path.len() > MAX_BYTES => format!("{start}…"),
        _ => path.to_string(),
    }
}
