use std::sync::Mutex;

use async_trait::async_trait;
use prometheus_client::registry::Registry as MetricsRegistry;

use super::*;
use crate::http::{AdminOptions, AdminServer, NotReady, Readiness, RunningServer};

struct Switch(Mutex<Result<(), NotReady>>);

#[async_trait]
impl Readiness for Switch {
    async fn check(&self) -> Result<(), NotReady> {
        self.0.lock().unwrap().clone()
    }
}

fn start_admin(config: HttpConfig, address: &str) -> Result<(RunningServer, Arc<Switch>), crate::http::StartError> {
    let mut metrics_registry = MetricsRegistry::default();
    let metrics = Metrics::register(&mut metrics_registry);
    metrics.uploads_open.set(3);
    let switch = Arc::new(Switch(Mutex::new(Ok(()))));
    let options = AdminOptions {
        config,
        metrics_registry: Arc::new(metrics_registry),
        metrics,
        readiness: Arc::clone(&switch) as Arc<dyn Readiness>,
    };
    let listener = std::net::TcpListener::bind(address).unwrap();
    AdminServer::start(options, listener).map(|server| (server, switch))
}

async fn ask(server: &RunningServer, method: &str, path: &str, headers: &str) -> Reply {
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    Reply::parse(&read_to_end(&mut stream).await)
}

#[tokio::test]
async fn it_tells_life_readiness_and_metrics() {
    let (server, switch) = start_admin(patient(), "127.0.0.1:0").unwrap();
    assert_eq!(ask(&server, "GET", "/livez", "").await.status, 200);
    assert_eq!(ask(&server, "GET", "/readyz", "").await.status, 200);
    for reason in [NotReady::Draining, NotReady::Storage("/secret/path".into())] {
        *switch.0.lock().unwrap() = Err(reason);
        let reply = ask(&server, "GET", "/readyz", "").await;
        assert_eq!((reply.status, reply.code().as_str()), (503, "UNKNOWN"));
        assert!(!reply.body.contains("secret"));
    }
    assert_eq!(ask(&server, "GET", "/livez", "").await.status, 200);
    let metrics = ask(&server, "GET", "/metrics", "").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    assert!(metrics.body.contains("longshore_uploads_open 3\n"), "{}", metrics.body);
    assert!(metrics.body.contains("longshore_http_requests_total{route=\"readyz\",method=\"GET\",status=\"503\"} 2"));
    let open = ask(&server, "GET", "/metrics", "Accept: application/openmetrics-text\r\n").await;
    assert!(open.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let lost = ask(&server, "GET", "/v2/", "").await;
    assert_eq!((lost.status, lost.code().as_str()), (404, "UNSUPPORTED"));
    let wrong = ask(&server, "POST", "/livez", "").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn it_asks_for_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret\n").unwrap();
    let config = HttpConfig { admin_token_file: Some(file), ..patient() };
    let (server, _) = start_admin(config, "0.0.0.0:0").unwrap();
    for headers in
        ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic s3cret\r\n", "Authorization: s3cret\r\n"]
    {
        let reply = ask(&server, "GET", "/metrics", headers).await;
        assert_eq!((reply.status, reply.code().as_str()), (401, "UNAUTHORIZED"), "{headers}");
        assert!(reply.header("www-authenticate").is_some());
    }
    assert_eq!(ask(&server, "GET", "/metrics", "Authorization: bearer s3cret\r\n").await.status, 200);
}

#[tokio::test]
async fn it_is_not_started_open_to_all() {
    let error = start_admin(patient(), "0.0.0.0:0").err().expect("an error").to_string();
    assert!(error.contains("http.admin_token_file"), "{error}");
    let missing = HttpConfig { admin_token_file: Some("/nowhere/token".into()), ..patient() };
    let error = start_admin(missing, "127.0.0.1:0").err().expect("an error").to_string();
    assert!(error.contains("/nowhere/token"), "{error}");
}
