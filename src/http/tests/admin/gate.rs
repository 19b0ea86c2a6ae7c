use super::super::early_answers::{IN_FLIGHT, flood};
use super::*;

const JSON: &str = "Content-Type: application/json\r\nContent-Length: 2\r\n";

async fn reload(server: &TestAdmin, headers: &str) -> Reply {
    let head = format!("POST /admin/v1/reload HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    server.converse(&format!("{head}{{}}")).await
}

#[tokio::test]
async fn a_host_that_is_not_known_gets_nothing_of_the_api() {
    let server = started(HttpConfig { admin_hosts: vec!["admin.example.org".into()], ..patient() });
    for host in ["evil.example", "evil.example:5001", "localhost.evil.example", ""] {
        for path in ["/admin/v1/uploads", "/admin/v1/scan", "/admin/v1/openapi.json"] {
            let reply = server.ask("GET", path, &format!("Host: {host}\r\n")).await;
            assert_eq!((reply.status, reply.code().as_str()), (421, "DENIED"), "{host} {path}");
        }
        assert_eq!(reload(&server, &format!("Host: {host}\r\n{JSON}")).await.status, 421, "{host}");
    }
    assert!(server.control.take_calls().is_empty());
    let own = server.server.local_addr().to_string();
    for host in [own.as_str(), "[::1]:1", "localhost:9", "10.1.2.3", "Admin.Example.org:443"] {
        assert_eq!(server.ask("GET", "/admin/v1/scan", &format!("Host: {host}\r\n")).await.status, 200, "{host}");
        assert_eq!(reload(&server, &format!("Host: {host}\r\n{JSON}")).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn no_web_page_changes_anything() {
    let server = started(HttpConfig { admin_hosts: vec!["admin.example.org".into()], ..patient() });
    let from = async |origin: &str| {
        reload(&server, &format!("Host: 127.0.0.1:5001\r\nOrigin: {origin}\r\n{JSON}")).await.status
    };
    for origin in ["http://evil.example", "null", "http://localhost:3000", "http://127.0.0.1:3000", "https://10.0.0.7"]
    {
        assert_eq!(from(origin).await, 403, "{origin}");
    }
    for content_type in ["", "Content-Type: text/plain\r\n", "Content-Type: multipart/form-data\r\n"] {
        let reply = reload(&server, &format!("Host: localhost\r\nContent-Length: 2\r\n{content_type}")).await;
        assert_eq!((reply.status, reply.code().as_str()), (415, "UNSUPPORTED"), "{content_type}");
    }
    assert!(server.control.take_calls().is_empty());
    for origin in ["http://127.0.0.1:5001", "https://admin.example.org"] {
        assert_eq!(from(origin).await, 200, "{origin}");
    }
}

/// What a page may send to any origin, a form's text, does not become a request of its own.
#[tokio::test]
async fn a_body_that_is_refused_is_no_request() {
    let hidden = format!("POST /admin/v1/reload HTTP/1.1\r\nHost: localhost\r\n{JSON}\r\n{{}}");
    let body = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    for head in ["Transfer-Encoding: chunked\r\n".to_owned(), "Content-Length: 999999\r\n".to_owned()] {
        let request = format!(
            "POST /admin/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n{head}\r\n{body}{hidden}"
        );
        let server = started(quick_to_close());
        assert_eq!(server.converse(&request).await.status, 415);
        assert!(server.control.take_calls().is_empty());
    }
}

#[tokio::test]
async fn the_token_is_asked_for_on_every_call() {
    let (config, _folder) = with_token(patient());
    let server = started(config);
    for route in &crate::http::admin::ROUTES {
        let path = route.pattern.replace("{id}", &UploadId::random().to_string());
        let reply = server.ask(route.method.as_str(), &path, JSON).await;
        assert_eq!((reply.status, reply.code().as_str()), (401, "UNAUTHORIZED"), "{path}");
    }
    let with_it = format!("Host: localhost\r\nAuthorization: Bearer s3cret\r\n{JSON}");
    assert_eq!(reload(&server, &with_it).await.status, 200);
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_time() {
    let server = started(HttpConfig { body_timeout: Duration::from_millis(200), ..quick_to_close() });
    let large = server.post("/admin/v1/reload", &format!("{{{}}}", " ".repeat(16 * 1024))).await;
    assert_eq!((large.status, large.code().as_str()), (413, "SIZE_INVALID"));
    let most = server.post("/admin/v1/reload", &format!("{{{}}}", " ".repeat(16 * 1024 - 2))).await;
    assert_eq!(most.status, 200);
    let head = "POST /admin/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let (answer, taken) = flood(server.server.local_addr(), &format!("{head}Transfer-Encoding: chunked\r\n\r\n")).await;
    assert_eq!(Reply::parse(&answer).status, 413);
    assert!(taken < IN_FLIGHT, "{taken} bytes were taken");
    let silent = server.converse(&format!("{head}Content-Length: 9\r\n\r\n{{")).await;
    assert_eq!((silent.status, silent.header("connection")), (408, Some("close")));
    assert_eq!(server.control.take_calls(), ["reload"]);
}
