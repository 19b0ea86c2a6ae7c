use std::time::Duration;

use super::*;
use crate::client::testing::{Reply, ScriptedTransport, builder, client, fail, reply};
use crate::client::transport::TransportErrorKind;
use crate::client::{Credentials, RetryPolicy};
use crate::oci::ErrorCode;
use crate::services::PageRequest;

fn tags_of(client: &crate::client::Client) -> impl Future<Output = Result<(), ClientError>> {
    let repository = client.repository(&"a".parse().unwrap());
    async move { repository.tags(&PageRequest::default()).await.map(drop) }
}

#[tokio::test]
async fn what_fails_in_passing_is_tried_again() {
    let failures: [fn() -> Reply; 8] = [
        || fail(TransportErrorKind::Connect),
        || fail(TransportErrorKind::Reset),
        || fail(TransportErrorKind::Timeout),
        || reply(408),
        || reply(429),
        || reply(500),
        || reply(503),
        || reply(200).body("{").broken(),
    ];
    for failure in failures {
        let transport = ScriptedTransport::replies([failure(), failure(), reply(200).body("{}")]);
        let (builder, pace) = builder("registry.example", &transport);
        tags_of(&builder.build().unwrap()).await.unwrap();
        assert_eq!(pace.take_sleeps(), [250, 500].map(Duration::from_millis));
    }
}

#[tokio::test]
async fn what_fails_for_good_is_not() {
    let failures: [fn() -> Reply; 6] = [
        || fail(TransportErrorKind::Protocol),
        || reply(400),
        || reply(403),
        || reply(404),
        || reply(501),
        || reply(507),
    ];
    for failure in failures {
        let transport = ScriptedTransport::replies([failure()]);
        tags_of(&client(&transport)).await.unwrap_err();
    }
}

#[tokio::test]
async fn tries_end_with_the_last_failure() {
    let transport = ScriptedTransport::answering(|_| {
        reply(429).header("retry-after", "7").body(r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slower"}]}"#)
    });
    let (builder, pace) = builder("registry.example", &transport);
    let policy = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
    let error = tags_of(&builder.retries(policy).build().unwrap()).await.unwrap_err();
    assert_eq!(transport.seen().len(), 3);
    assert_eq!(pace.take_sleeps(), [7250, 7500].map(Duration::from_millis));
    assert_eq!((error.code(), error.retry_after()), (Some(ErrorCode::TooManyRequests), Some(Duration::from_secs(7))));
    let told = "list tags https://registry.example/v2/a/tags/list: registry answered 429, TOOMANYREQUESTS: slower";
    assert_eq!(error.to_string(), told);
}

#[tokio::test]
async fn a_delete_whose_answer_was_lost_is_done() {
    let name = "a".parse().unwrap();
    let digest = crate::client::testing::digest_of(b"x");
    let transport = ScriptedTransport::replies([fail(TransportErrorKind::Reset), reply(404)]);
    client(&transport).repository(&name).delete_blob(&digest).await.unwrap();
    // One that never got there was not the one.
    let transport = ScriptedTransport::replies([fail(TransportErrorKind::Connect), reply(404)]);
    assert!(client(&transport).repository(&name).delete_blob(&digest).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn redirects_lead_to_the_end_without_the_credentials() {
    let transport = ScriptedTransport::answering(|seen| match seen.url.as_str() {
        "https://registry.example/v2/" if seen.header("authorization").is_none() => {
            reply(401).header("www-authenticate", "Basic realm=\"x\"")
        }
        "https://registry.example/v2/" => reply(307).header("location", "/elsewhere"),
        "https://registry.example/elsewhere" => reply(302).header("location", "https://store.example/x?sig=secret"),
        "https://store.example/x?sig=secret" => reply(301).header("location", "https://registry.example:444/y"),
        _ => reply(200),
    });
    let (builder, _) = builder("registry.example", &transport);
    let credentials = Credentials::Basic { username: "me".into(), password: "p".into() };
    builder.credentials(credentials).build().unwrap().ping().await.unwrap();
    let told: Vec<(String, bool)> =
        transport.seen().iter().map(|seen| (seen.url.clone(), seen.header("authorization").is_some())).collect();
    let expected = [
        ("https://registry.example/v2/", false),
        ("https://registry.example/v2/", true),
        ("https://registry.example/elsewhere", true),
        ("https://store.example/x?sig=secret", false),
        ("https://registry.example:444/y", false),
    ];
    assert_eq!(told, expected.map(|(url, is_told)| (url.to_owned(), is_told)));
}

#[tokio::test]
async fn a_401_of_another_host_gets_no_credentials() {
    let transport = ScriptedTransport::answering(|seen| match seen.url.starts_with("https://registry.example/") {
        true => reply(307).header("location", "https://evil.example/"),
        false => reply(401).header("www-authenticate", r#"Bearer realm="https://evil.example/token""#),
    });
    let (builder, _) = builder("registry.example", &transport);
    let client =
        builder.credentials(Credentials::Basic { username: "me".into(), password: "p".into() }).build().unwrap();
    assert_eq!(client.ping().await.unwrap_err().status(), Some(StatusCode::UNAUTHORIZED));
    client.ping().await.unwrap_err();
    assert!(transport.seen().iter().all(|seen| seen.header("authorization").is_none()));
    assert!(!transport.lines().iter().any(|line| line.contains("token")));
}

#[tokio::test]
async fn redirects_that_lead_astray_are_told() {
    let targets: [fn() -> Reply; 4] = [
        || reply(302),
        || reply(302).header("location", "http://store.example/"),
        || reply(302).header("location", "gopher://store.example/"),
        || reply(302).header("location", "/v2/"),
    ];
    for target in targets {
        let transport = ScriptedTransport::answering(move |_| target());
        let error = client(&transport).ping().await.unwrap_err();
        assert!(matches!(error.failure(), Failure::Answer(_)), "{error}");
        assert!(transport.seen().len() <= 11);
    }
}

#[tokio::test]
async fn what_changes_something_follows_only_what_says_so() {
    let name = "a".parse().unwrap();
    let put = || crate::services::PutManifest {
        reference: "v1".parse().unwrap(),
        tags: Vec::new(),
        media_type: None,
        data: Bytes::from_static(b"{}"),
        precondition: crate::services::Precondition::None,
    };
    let transport =
        ScriptedTransport::replies([reply(308).header("location", "https://other.example/put"), reply(201)]);
    client(&transport).repository(&name).put_manifest(&put()).await.unwrap();
    assert_eq!(transport.lines()[1], "PUT https://other.example/put");
    assert_eq!(transport.seen()[1].body, "{}");
    for status in [301, 302, 303] {
        let transport = ScriptedTransport::replies([reply(status).header("location", "/x")]);
        client(&transport).repository(&name).put_manifest(&put()).await.unwrap_err();
    }
}

#[tokio::test]
async fn errors_hold_no_secrets_of_the_address() {
    let transport = ScriptedTransport::answering(|seen| match seen.url.contains("sig") {
        false => reply(302).header("location", "https://store.example/x?sig=secret"),
        true => fail(TransportErrorKind::Protocol),
    });
    let error = client(&transport).ping().await.unwrap_err();
    assert!(
        error.url().starts_with("https://store.example/x") && !format!("{error:?}").contains("secret"),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_endless_answer_that_says_no_says_no() {
    let transport = ScriptedTransport::answering(|_| reply(403).body(vec![b'x'; 1000]).endless());
    assert_eq!(client(&transport).ping().await.unwrap_err().status(), Some(StatusCode::FORBIDDEN));
    let transport = ScriptedTransport::answering(|_| reply(200).body(vec![b'x'; 1000]).endless());
    client(&transport).ping().await.unwrap();
}
