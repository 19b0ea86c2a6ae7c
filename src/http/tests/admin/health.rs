use super::*;

#[tokio::test]
async fn it_tells_life_readiness_and_metrics() {
    let server = started(patient());
    assert_eq!(server.ask("GET", "/livez", "").await.status, 200);
    assert_eq!(server.ask("GET", "/readyz", "").await.status, 200);
    for reason in [NotReady::Draining, NotReady::Storage("/secret/path".into())] {
        *server.readiness.0.lock().unwrap() = Err(reason);
        let reply = server.ask("GET", "/readyz", "").await;
        assert_eq!((reply.status, reply.code().as_str()), (503, "UNKNOWN"));
        assert!(!reply.body.contains("secret"));
    }
    assert_eq!(server.ask("GET", "/livez", "").await.status, 200);
    let metrics = server.ask("GET", "/metrics", "").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    assert!(metrics.body.contains("longshore_uploads_open 3\n"), "{}", metrics.body);
    assert!(metrics.body.contains("longshore_http_requests_total{route=\"readyz\",method=\"GET\",status=\"503\"} 2"));
    let open = server.ask("GET", "/metrics", "Accept: application/openmetrics-text\r\n").await;
    assert!(open.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    // A probe or a scraper may call the address as it likes.
    assert_eq!(server.ask("GET", "/metrics?x", "Host: admin.internal\r\n").await.status, 200);
    let lost = server.ask("GET", "/v2/", "").await;
    assert_eq!((lost.status, lost.code().as_str()), (404, "UNSUPPORTED"));
    let wrong = server.ask("POST", "/livez", "").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn it_asks_for_its_token() {
    let (config, _folder) = with_token(patient());
    let server = start_admin(config, "0.0.0.0:0").unwrap();
    for headers in
        ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic s3cret\r\n", "Authorization: s3cret\r\n"]
    {
        let reply = server.ask("GET", "/metrics", headers).await;
        assert_eq!((reply.status, reply.code().as_str()), (401, "UNAUTHORIZED"), "{headers}");
        assert!(reply.header("www-authenticate").is_some());
    }
    assert_eq!(server.ask("GET", "/metrics", "Authorization: bearer s3cret\r\n").await.status, 200);
}

#[tokio::test]
async fn it_is_not_started_open_to_all() {
    let error = start_admin(patient(), "0.0.0.0:0").err().expect("an error").to_string();
    assert!(error.contains("http.admin_token_file"), "{error}");
    let missing = HttpConfig { admin_token_file: Some("/nowhere/token".into()), ..patient() };
    let error = start_admin(missing, "127.0.0.1:0").err().expect("an error").to_string();
    assert!(error.contains("/nowhere/token"), "{error}");
}
