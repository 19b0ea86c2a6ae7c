mod api;
mod gate;
mod health;
mod openapi;

use std::sync::Mutex;

use async_trait::async_trait;
use prometheus_client::registry::Registry as MetricsRegistry;
use serde_json::Value;

use super::*;
use crate::http::admin::{AdminOptions, AdminServer, ControlError, NotReady, Readiness, Reloaded, UploadControl};
use crate::http::{RunningServer, StartError};
use crate::oci::{RepositoryName, UploadId};
use crate::upload::{ListUploads, ScanReport, UploadPage, UploadView};

/// Says what it is told to say.
#[derive(Default)]
struct FakeControl {
    uploads: Mutex<Vec<UploadView>>,
    report: Mutex<ScanReport>,
    /// What every call fails with.
    failure: Mutex<Option<ControlError>>,
    /// What was asked that changes something, and the lists.
    calls: Mutex<Vec<String>>,
    lists: Mutex<Vec<ListUploads>>,
}

impl FakeControl {
    fn outcome<T>(&self, value: T) -> Result<T, ControlError> {
        match &*self.failure.lock().unwrap() {
            Some(failure) => Err(failure.clone()),
            None => Ok(value),
        }
    }

    fn fail_with(&self, failure: ControlError) {
        *self.failure.lock().unwrap() = Some(failure);
    }

    fn called(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }

    fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

#[async_trait]
impl UploadControl for FakeControl {
    async fn list(&self, request: ListUploads) -> Result<UploadPage, ControlError> {
        self.lists.lock().unwrap().push(request);
        let uploads = self.uploads.lock().unwrap().clone();
        let (total, next) = (uploads.len() as u64, Some("more".to_owned()));
        self.outcome(UploadPage { uploads, total, next })
    }

    async fn find(&self, id: UploadId, repository: Option<RepositoryName>) -> Result<Vec<UploadView>, ControlError> {
        let uploads = self.uploads.lock().unwrap();
        let is_wanted = |upload: &&UploadView| {
            upload.id == id && repository.as_ref().is_none_or(|repository| upload.repository == *repository)
        };
        self.outcome(uploads.iter().filter(is_wanted).cloned().collect())
    }

    async fn cancel(&self, repository: &RepositoryName, id: UploadId) -> Result<(), ControlError> {
        self.called(format!("cancel {repository} {id}"));
        self.outcome(())
    }

    async fn expire(&self, repository: &RepositoryName, id: UploadId) -> Result<(), ControlError> {
        self.called(format!("expire {repository} {id}"));
        self.outcome(())
    }

    async fn scan(&self, dry_run: bool) -> Result<(), ControlError> {
        self.called(format!("scan {dry_run}"));
        self.report.lock().unwrap().is_dry_run = dry_run;
        self.outcome(())
    }

    fn scan_report(&self) -> ScanReport {
        self.report.lock().unwrap().clone()
    }

    async fn reload(&self) -> Result<Reloaded, ControlError> {
        self.called("reload".to_owned());
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        self.outcome(Reloaded { changed: keys(&["uploads.max_age"]), needs_restart: keys(&["http.addr"]) })
    }
}

struct Switch(Mutex<Result<(), NotReady>>);

#[async_trait]
impl Readiness for Switch {
    async fn check(&self) -> Result<(), NotReady> {
        self.0.lock().unwrap().clone()
    }
}

struct TestAdmin {
    server: RunningServer,
    readiness: Arc<Switch>,
    control: Arc<FakeControl>,
    metrics: Metrics,
}

fn start_admin(config: HttpConfig, address: &str) -> Result<TestAdmin, StartError> {
    let mut metrics_registry = MetricsRegistry::default();
    let metrics = Metrics::register(&mut metrics_registry);
    metrics.uploads_open.set(3);
    let readiness = Arc::new(Switch(Mutex::new(Ok(()))));
    let control = Arc::new(FakeControl::default());
    let options = AdminOptions {
        config,
        metrics_registry: Arc::new(metrics_registry),
        metrics: metrics.clone(),
        readiness: Arc::clone(&readiness) as Arc<dyn Readiness>,
        control: Arc::clone(&control) as Arc<dyn UploadControl>,
    };
    let listener = std::net::TcpListener::bind(address).unwrap();
    AdminServer::start(options, listener).map(|server| TestAdmin { server, readiness, control, metrics })
}

fn started(config: HttpConfig) -> TestAdmin {
    start_admin(config, "127.0.0.1:0").unwrap()
}

/// Quick to close. Heads get their time: actix-http's clock for it is half a second coarse.
fn quick_to_close() -> HttpConfig {
    HttpConfig { disconnect_timeout: quick().disconnect_timeout, ..patient() }
}

/// A configuration with the token `s3cret`, and the folder of its file.
fn with_token(config: HttpConfig) -> (HttpConfig, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret\n").unwrap();
    (HttpConfig { admin_token_file: Some(file), ..config }, folder)
}

impl TestAdmin {
    /// Sends a text and gives the answer.
    async fn converse(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.server.local_addr()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        Reply::parse(&read_to_end(&mut stream).await)
    }

    /// One request without a body, to a host that is known unless `headers` say another.
    async fn ask(&self, method: &str, path: &str, headers: &str) -> Reply {
        let host = if headers.contains("Host: ") { "" } else { "Host: localhost\r\n" };
        self.converse(&format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n")).await
    }

    /// One POST of JSON.
    async fn post(&self, path: &str, body: &str) -> Reply {
        let length = body.len();
        let head = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n";
        self.converse(&format!("POST {path} {head}Content-Length: {length}\r\n\r\n{body}")).await
    }
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

/// An upload with something in every field.
fn full_upload(repository: &str, id: UploadId) -> UploadView {
    use crate::upload::{ExpiredView, Policy, UploadState};
    let at = |seconds: u64| std::time::UNIX_EPOCH + Duration::from_secs(1_767_323_045 + seconds);
    UploadView {
        repository: repository.parse().unwrap(),
        id,
        state: UploadState::Expired,
        offset: 5_000_000_000,
        started_at: at(0),
        progress_at: at(60),
        rate: 1_000,
        client: Some("2001:db8::7".parse().unwrap()),
        deadline: Some((at(86_400), Policy::Operator)),
        expired: Some(ExpiredView { at: at(120), policy: Policy::MinRate, kept_until: at(86_520), kept_bytes: 77 }),
    }
}

/// An upload with nothing where there may be nothing.
fn bare_upload(repository: &str, id: UploadId) -> UploadView {
    let state = crate::upload::UploadState::Passive;
    UploadView { state, client: None, deadline: None, expired: None, ..full_upload(repository, id) }
}
