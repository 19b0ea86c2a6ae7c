//! The admin API with the real engine behind it: what an operator sees of uploads, and ends.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpStream;

use crate::harness::{
    Registry, ReplyExt as _, Storage, begin_body, digest_of, eventually, id_of, random, raw_head, read_reply,
    read_to_close, with_digest, without_policies,
};

on_both_storages! {
    uploads_are_listed_filtered_sorted_and_by_pages,
    one_upload_is_shown_in_each_of_its_states,
    a_cancel_tells_the_writer_and_leaves_nothing,
    an_expiry_tells_the_writer_and_keeps_what_there_is,
    what_there_is_not_is_told,
    every_metric_of_uploads_has_its_name,
}

async fn start(storage: Storage) -> Registry {
    Registry::start_with(storage, |config| {
        config.http.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
        let uploads = without_policies(config);
        uploads.idle_timeout = Duration::from_secs(3600);
        uploads.keep_failed_for = Duration::from_secs(7200);
    })
    .await
}

/// Begins an upload with so many bytes.
async fn begin_as(registry: &Registry, client: &str, repository: &str, size: usize) -> String {
    let headers = [("x-forwarded-for", client)];
    let post = registry.send(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), "", &headers).await;
    let location = post.expect(202).await.value("location");
    registry.send(Method::PATCH, &location, random(size), &headers).await.expect(202).await;
    location
}

async fn begin_body_of(registry: &Registry, location: &str) -> TcpStream {
    let head = raw_head("PATCH", location, "Content-Length: 1000000\r\n");
    let stream = begin_body(registry.address(), &head, b"12345").await;
    eventually("the first bytes", async || registry.stands_at(location).await == "0-4").await;
    stream
}

fn column(uploads: &[Value], name: &str) -> Vec<String> {
    uploads.iter().map(|upload| upload[name].to_string().trim_matches('"').to_owned()).collect()
}

async fn cancel(registry: &Registry, locations: &[&String]) {
    for location in locations {
        registry.end(location, "cancel").await.expect(200).await;
    }
}

async fn uploads_are_listed_filtered_sorted_and_by_pages(storage: Storage) {
    let registry = start(storage).await;
    let first = begin_as(&registry, "192.0.2.1", "b", 300).await;
    let second = begin_as(&registry, "192.0.2.2", "a", 100).await;
    let third = begin_as(&registry, "192.0.2.1", "c/d", 200).await;
    registry.end(&third, "expire").await.expect(200).await;

    assert_eq!(column(&registry.listed("").await, "repository"), ["a", "b", "c/d"]);
    assert_eq!(column(&registry.listed("?sort=started").await, "repository"), ["b", "a", "c/d"]);
    assert_eq!(column(&registry.listed("?sort=progress&order=desc").await, "repository"), ["c/d", "a", "b"]);
    assert_eq!(column(&registry.listed("?sort=offset&order=desc").await, "offset_bytes"), ["300", "200", "100"]);
    // What has expired has no deadline, and comes last.
    assert_eq!(column(&registry.listed("?sort=deadline").await, "repository"), ["b", "a", "c/d"]);
    assert_eq!(column(&registry.listed("?repository=a").await, "id"), [id_of(&second)]);
    assert_eq!(column(&registry.listed("?client=192.0.2.1").await, "repository"), ["b", "c/d"]);
    assert_eq!(column(&registry.listed("?state=open").await, "repository"), ["a", "b"]);
    assert_eq!(column(&registry.listed("?state=expired,passive").await, "repository"), ["c/d"]);
    assert_eq!(registry.listed("?repository=nobody").await, [] as [Value; 0]);

    for order in ["asc", "desc"] {
        let (mut seen, mut query) = (Vec::new(), format!("?sort=offset&order={order}&limit=1"));
        loop {
            let page = registry.admin_get(&format!("/admin/v1/uploads{query}")).await.expect(200).await;
            let page = page.document().await;
            assert_eq!(page["total"], 3, "{page}");
            assert_eq!(page["uploads"].as_array().expect("uploads").len(), 1, "{page}");
            seen.extend(column(page["uploads"].as_array().expect("uploads"), "offset_bytes"));
            let Some(next) = page["next"].as_str() else { break };
            let next = reqwest::Url::parse_with_params("http://h", [("after", next)]).expect("an address");
            query = format!("?sort=offset&order={order}&limit=1&{}", next.query().expect("a query"));
        }
        let mut expected = ["100", "200", "300"];
        if order == "desc" {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
    registry.admin_get("/admin/v1/uploads?after=x").await.expect_error(400, "UNSUPPORTED").await;
    registry.admin_get("/admin/v1/uploads?sort=size").await.expect_error(400, "UNSUPPORTED").await;
    cancel(&registry, &[&first, &second, &third]).await;
    assert_eq!(registry.listed("").await, [] as [Value; 0]);
    registry.finish().await;
}

async fn one_upload_is_shown_in_each_of_its_states(storage: Storage) {
    let registry = start(storage).await;
    let location = registry.begin("repo1").await;
    let seen = registry.seen(&location).await;
    assert_eq!((&seen["state"], &seen["offset_bytes"]), (&json!("open"), &json!(0)), "{seen}");
    assert_eq!((&seen["id"], &seen["repository"]), (&json!(id_of(&location)), &json!("repo1")), "{seen}");
    assert_eq!((&seen["client"], &seen["expired"]), (&json!("127.0.0.1"), &Value::Null), "{seen}");
    assert_eq!(seen["deadline"]["policy"], "idle_timeout");
    assert!(seen["deadline"]["at"].as_str() > seen["started_at"].as_str(), "{seen}");

    let stream = begin_body_of(&registry, &location).await;
    let seen = registry.seen(&location).await;
    assert_eq!((&seen["state"], &seen["offset_bytes"]), (&json!("writing"), &json!(5)), "{seen}");
    assert_eq!(registry.listed("?state=writing").await.len(), 1);
    drop(stream);
    eventually("its end", async || registry.seen(&location).await["state"] == "open").await;
    // It may be asked for with its repository, and is not found in another.
    let path = format!("/admin/v1/uploads/{}", id_of(&location));
    registry.admin_get(&format!("{path}?repository=repo1")).await.expect(200).await;
    registry.admin_get(&format!("{path}?repository=repo2")).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;

    registry.end(&location, "expire").await.expect(200).await;
    let seen = registry.seen(&location).await;
    assert_eq!((&seen["state"], &seen["deadline"]), (&json!("expired"), &Value::Null), "{seen}");
    assert_eq!(seen["expired"]["policy"], "operator");
    assert!(seen["expired"]["kept_until"].as_str() > seen["expired"]["at"].as_str(), "{seen}");
    cancel(&registry, &[&location]).await;
    registry.finish().await;
}

async fn a_cancel_tells_the_writer_and_leaves_nothing(storage: Storage) {
    let registry = start(storage).await;
    let location = registry.begin("repo1").await;
    let mut stream = begin_body_of(&registry, &location).await;
    let ended = registry.end(&location, "cancel").await.expect(200).await.document().await;
    assert_eq!(ended, json!({"repository": "repo1", "id": id_of(&location), "offset_bytes": 5}));
    let reply = read_reply(&mut stream).await.expect("an answer");
    assert_eq!(reply.last_detail(404, "BLOB_UPLOAD_UNKNOWN"), json!({}));
    read_to_close(&mut stream).await;
    registry.vanishes(&location).await;
    registry.end(&location, "cancel").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
    assert_eq!(registry.metric("longshore_uploads_ended_total{reason=\"cancelled\"}").await, Some(1.0));
    registry.finish().await;
}

async fn an_expiry_tells_the_writer_and_keeps_what_there_is(storage: Storage) {
    let registry = start(storage).await;
    let location = registry.begin("repo1").await;
    let mut stream = begin_body_of(&registry, &location).await;
    let ended = registry.end(&location, "expire").await.expect(200).await.document().await;
    assert_eq!(ended["offset_bytes"], 5);
    let reply = read_reply(&mut stream).await.expect("an answer");
    let detail = reply.last_detail(408, "BLOB_UPLOAD_INVALID");
    assert_eq!(detail, json!({"reason": "expired", "policy": "operator"}));
    read_to_close(&mut stream).await;
    registry.expires(&location, "operator").await;
    let [seen] = &registry.listed("?state=expired").await[..] else { panic!("it is not listed") };
    assert_eq!((&seen["offset_bytes"], &seen["expired"]["kept_bytes"]), (&json!(5), &json!(5)), "{seen}");
    // It has expired already.
    registry.end(&location, "expire").await.expect_error(422, "UNSUPPORTED").await;
    assert_eq!(registry.metric("longshore_uploads_expired_total{policy=\"operator\"}").await, Some(1.0));
    registry.end(&location, "cancel").await.expect(200).await;
    registry.vanishes(&location).await;
    registry.end(&location, "cancel").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
    registry.finish().await;
}

async fn what_there_is_not_is_told(storage: Storage) {
    let registry = start(storage).await;
    for id in ["55555555-5555-4555-8555-555555555555", "x"] {
        registry.admin_get(&format!("/admin/v1/uploads/{id}")).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
        for how in ["cancel", "expire"] {
            registry.end(id, how).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
        }
    }
    let location = registry.begin("repo1").await;
    registry.put(&with_digest(&location, &digest_of(b"x")), "x").await.expect(201).await;
    registry.end(&location, "cancel").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
    let report = registry.scan(true).await;
    assert_eq!((&report["uploads"], &report["removed"], &report["findings"]), (&json!(0), &json!(0), &json!([])));
    let time_of = |field: &str| {
        let text = report[field].as_str().expect("a time");
        OffsetDateTime::parse(text, &Rfc3339).expect("a time")
    };
    assert!(time_of("finished_at") >= time_of("started_at"), "{report}");
    registry.finish().await;
}

async fn every_metric_of_uploads_has_its_name(storage: Storage) {
    let registry = Registry::start_with(storage, |config| {
        let uploads = without_policies(config);
        (uploads.max_open_per_repository, uploads.idle_timeout) = (1, Duration::from_millis(1500));
    })
    .await;
    registry.push("repo1", &random(1000)).await;
    let location = registry.begin("repo1").await;
    registry.patch(&location, random(1000), None).await.expect(202).await;
    registry.post("/v2/repo1/blobs/uploads/", "").await.expect(429).await;
    registry.vanishes(&location).await;
    let page = registry.admin_get("/metrics").await.expect(200).await.text().await.expect("text");
    for sample in [
        "longshore_uploads_expired_total{policy=\"idle_timeout\"} 1",
        "longshore_uploads_refused_total{limit=\"max_open_per_repository\"} 1",
        "longshore_uploads_open 0",
        "longshore_uploads_writing 0",
        "longshore_uploads_passive 0",
        "longshore_uploads_kept 0",
        "longshore_uploads_kept_bytes 0",
        "longshore_upload_resumes_total 0",
        "longshore_upload_resumed_bytes_total 0",
        "longshore_upload_takeovers_total 0",
        "longshore_upload_passivations_total 0",
        "longshore_upload_revivals_total 0",
        "longshore_upload_commit_duration_seconds_count 1",
    ] {
        assert!(page.lines().any(|line| line == sample), "no {sample} in\n{page}");
    }
    for name in ["longshore_upload_checkpoint_duration_seconds", "longshore_upload_reaper_lag_seconds"] {
        let count = registry.metric(&format!("{name}_count")).await;
        assert!(count >= Some(1.0), "{name} {count:?} in\n{page}");
    }
    registry.finish().await;
}
