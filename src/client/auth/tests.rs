use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::client::testing::{Reply, ScriptedTransport, Seen, TestPace, builder, reply};
use crate::client::{Client, RetryPolicy};
use crate::services::PageRequest;

const CHALLENGE: &str = r#"Bearer realm="https://auth.example/token",service="the registry""#;

fn me() -> Credentials {
    Credentials::Basic { username: "me".into(), password: "p".into() }
}

fn client(transport: &Arc<ScriptedTransport>, credentials: Credentials) -> (Client, Arc<TestPace>) {
    let (builder, pace) = builder("registry.example", transport);
    (builder.credentials(credentials).build().unwrap(), pace)
}

fn is_token_request(seen: &Seen) -> bool {
    seen.url.starts_with("https://auth.example/")
}

/// A registry that wants a token, and a service that numbers those that it gives.
fn token_registry(accepts: impl Fn(&str) -> bool + Send + 'static) -> Arc<ScriptedTransport> {
    let given = AtomicU32::new(0);
    ScriptedTransport::answering(move |seen| {
        if is_token_request(seen) {
            let number = given.fetch_add(1, Ordering::SeqCst) + 1;
            return reply(200).body(format!(r#"{{"token":"t{number}","expires_in":300}}"#));
        }
        match seen.header("authorization") {
            Some(token) if accepts(token) => reply(200).body(r#"{"tags":[]}"#),
            _ => reply(401).header("www-authenticate", CHALLENGE),
        }
    })
}

async fn list(client: &Client, name: &str) -> Result<(), ClientError> {
    client.repository(&name.parse().unwrap()).tags(&PageRequest::default()).await.map(drop)
}

fn token_requests(transport: &ScriptedTransport) -> Vec<Seen> {
    transport.seen().into_iter().filter(is_token_request).collect()
}

#[tokio::test]
async fn nothing_is_said_before_it_is_asked_for_and_then_always() {
    let transport = ScriptedTransport::answering(|seen| match seen.header("authorization") {
        Some("Basic bWU6cA==") => reply(200),
        _ => reply(401).header("www-authenticate", "Basic realm=\"x\""),
    });
    let (client, _) = client(&transport, me());
    client.ping().await.unwrap();
    client.ping().await.unwrap();
    let said: Vec<bool> = transport.seen().iter().map(|seen| seen.header("authorization").is_some()).collect();
    assert_eq!(said, [false, true, true]);
}

#[tokio::test]
async fn wrong_credentials_are_told_and_not_tried_again() {
    let transport = ScriptedTransport::answering(|_| {
        reply(401).header("www-authenticate", "Basic realm=\"x\"").body(r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#)
    });
    let (client, pace) = client(&transport, me());
    let error = client.ping().await.unwrap_err();
    assert_eq!(error.code(), Some(crate::oci::ErrorCode::Unauthorized));
    assert_eq!((transport.seen().len(), pace.take_sleeps().len()), (2, 0));
}

#[tokio::test]
async fn a_token_is_asked_for_once_for_each_set_of_scopes() {
    let transport = token_registry(|token| token.starts_with("Bearer t"));
    let (client, _) = client(&transport, me());
    for name in ["a", "a", "b/c", "a", "b/c"] {
        list(&client, name).await.unwrap();
    }
    let asked = token_requests(&transport);
    let urls: Vec<&str> = asked.iter().map(|seen| seen.url.as_str()).collect();
    assert_eq!(
        urls,
        [
            "https://auth.example/token?service=the+registry&scope=repository%3Aa%3Apull",
            "https://auth.example/token?service=the+registry&scope=repository%3Ab%2Fc%3Apull",
        ]
    );
    assert!(asked.iter().all(|seen| seen.header("authorization") == Some("Basic bWU6cA==")));
    // One was refused to find out how, none later.
    assert_eq!(transport.seen().len(), 1 + 5 + 2);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let transport = token_registry(|token| token.starts_with("Bearer t"));
    let (client, pace) = client(&transport, Credentials::Anonymous);
    list(&client, "a").await.unwrap();
    pace.clock.advance(Duration::from_secs(269));
    list(&client, "a").await.unwrap();
    assert_eq!(token_requests(&transport).len(), 1);
    pace.clock.advance(Duration::from_secs(1));
    list(&client, "a").await.unwrap();
    assert_eq!(token_requests(&transport).len(), 2);
    assert!(token_requests(&transport).iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let transport = token_registry(|token| token != "Bearer t1");
    let (client, _) = client(&transport, Credentials::Anonymous);
    // The first request finds out, and its token is refused: that is not tried for ever.
    assert_eq!(list(&client, "a").await.unwrap_err().status(), Some(StatusCode::UNAUTHORIZED));
    list(&client, "a").await.unwrap();
    assert_eq!(token_requests(&transport).len(), 2);
}

#[tokio::test]
async fn an_old_token_that_is_refused_does_not_fail_the_request() {
    let accepted = Arc::new(StdMutex::new("Bearer t1"));
    let now_accepted = accepted.clone();
    let transport = token_registry(move |token| token == *now_accepted.lock().unwrap());
    let (client, _) = client(&transport, Credentials::Anonymous);
    list(&client, "a").await.unwrap();
    *accepted.lock().unwrap() = "Bearer t2";
    list(&client, "a").await.unwrap();
    assert_eq!(token_requests(&transport).len(), 2);
}

#[tokio::test]
async fn scopes_that_the_registry_names_are_asked_for_too() {
    let transport = ScriptedTransport::answering(|seen| match seen.header("authorization") {
        _ if is_token_request(seen) => reply(200).body(r#"{"access_token":"t"}"#),
        Some(_) => reply(202),
        None => reply(401).header("www-authenticate", &format!("{CHALLENGE},scope=\"repository:a:pull,delete\"")),
    });
    let (client, _) = client(&transport, Credentials::Anonymous);
    let reference = "v1".parse().unwrap();
    client.repository(&"a".parse().unwrap()).delete_manifest(&reference).await.unwrap();
    assert!(token_requests(&transport)[0].url.ends_with("scope=repository%3Aa%3Adelete%2Cpull"));
}

#[tokio::test]
async fn many_at_once_share_one_token() {
    let transport = token_registry(|token| token.starts_with("Bearer t"));
    let (client, _) = client(&transport, Credentials::Anonymous);
    let listed = join_all((0..20).map(|_| list(&client, "a"))).await;
    assert!(listed.iter().all(Result::is_ok));
    assert_eq!(token_requests(&transport).len(), 1);
}

#[tokio::test]
async fn many_at_once_share_one_failure() {
    let transport = ScriptedTransport::answering(|seen| match is_token_request(seen) {
        true => reply(503),
        false => reply(401).header("www-authenticate", CHALLENGE),
    });
    let (builder, _) = builder("registry.example", &transport);
    let client = builder.retries(RetryPolicy::none()).build().unwrap();
    let listed = join_all((0..20).map(|_| list(&client, "a"))).await;
    assert!(listed.iter().all(|listed| listed.as_ref().unwrap_err().operation() == "get token"));
    assert_eq!(token_requests(&transport).len(), 1);
    // Whoever comes later asks anew.
    list(&client, "a").await.unwrap_err();
    assert_eq!(token_requests(&transport).len(), 2);
}

#[tokio::test]
async fn an_identity_token_is_shown_by_a_form_and_may_be_replaced() {
    let transport = ScriptedTransport::answering(|seen| match seen.header("authorization") {
        _ if is_token_request(seen) => {
            reply(200).body(r#"{"access_token":"t","expires_in":60,"refresh_token":"second secret"}"#)
        }
        Some("Bearer t") => reply(200).body("{}"),
        _ => reply(401).header("www-authenticate", CHALLENGE),
    });
    let (client, pace) = client(&transport, Credentials::IdentityToken("first&secret".into()));
    list(&client, "a").await.unwrap();
    pace.clock.advance(Duration::from_secs(60));
    list(&client, "a").await.unwrap();
    let asked = token_requests(&transport);
    let form = |token: &str| {
        format!(
            "grant_type=refresh_token&service=the+registry&client_id=longshore&scope=repository%3Aa%3Apull&refresh_token={token}"
        )
    };
    for (seen, token) in asked.iter().zip(["first%26secret", "second+secret"]) {
        assert_eq!(seen.line(), "POST https://auth.example/token");
        assert_eq!(seen.body, form(token));
    }
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn a_registry_token_is_sent_as_it_is() {
    let transport = token_registry(|token| token == "Bearer given");
    let (client, _) = client(&transport, Credentials::RegistryToken("given".into()));
    list(&client, "a").await.unwrap();
    assert_eq!(token_requests(&transport).len(), 0);
}

#[tokio::test]
async fn credentials_do_not_go_by_plain_http_to_other_machines() {
    let wants_basic = |seen: &Seen| match seen.header("authorization") {
        Some(_) => reply(200),
        None => reply(401).header("www-authenticate", "Basic realm=\"x\""),
    };
    let plain = "http://registry.example";
    for (address, is_allowed, expected) in [
        (plain, false, false),
        (plain, true, true),
        ("http://127.0.0.1:1", false, true),
        ("registry.example", false, true),
    ] {
        let transport = ScriptedTransport::answering(wants_basic);
        let (mut builder, _) = builder(address, &transport);
        if is_allowed {
            builder = builder.allow_plain_credentials();
        }
        let pinged = builder.credentials(me()).build().unwrap().ping().await;
        assert_eq!(pinged.is_ok(), expected, "{address}");
        if let Err(error) = pinged {
            assert!(matches!(error.failure(), Failure::Credentials(_)), "{error}");
            assert!(transport.seen().iter().all(|seen| seen.header("authorization").is_none()));
        }
    }
}

#[tokio::test]
async fn credentials_do_not_go_by_plain_http_to_a_token_service() {
    let transport = ScriptedTransport::answering(|_| {
        reply(401).header("www-authenticate", r#"Bearer realm="http://auth.example/token""#)
    });
    for credentials in [me(), Credentials::IdentityToken("t".into())] {
        let (client, _) = client(&transport, credentials);
        assert!(matches!(client.ping().await.unwrap_err().failure(), Failure::Credentials(_)));
    }
    assert!(transport.lines().iter().all(|line| line == "GET https://registry.example/v2/"));
}

#[tokio::test]
async fn what_is_no_token_is_told_without_it() {
    let answers: [fn() -> Reply; 4] = [
        || reply(200).body("secret"),
        || reply(200).body("{}"),
        || reply(200).body("{\"token\":\"sec\\nret\"}"),
        || reply(200).body(vec![b' '; 100_000]).endless(),
    ];
    for answer in answers {
        let transport = ScriptedTransport::answering(move |seen| match is_token_request(seen) {
            true => answer(),
            false => reply(401).header("www-authenticate", CHALLENGE),
        });
        let (client, _) = client(&transport, Credentials::Anonymous);
        let told = client.ping().await.unwrap_err().to_string();
        assert!(told.starts_with("get token https://auth.example/token: ") && !told.contains("sec"), "{told}");
    }
}

#[tokio::test]
async fn a_source_that_fails_is_told() {
    struct Failing;

    #[async_trait::async_trait]
    impl CredentialSource for Failing {
        async fn credentials(&self, authority: &str) -> Result<Credentials, String> {
            Err(format!("nothing for {authority}"))
        }
    }

    let transport = ScriptedTransport::answering(|_| reply(401).header("www-authenticate", "Basic realm=\"x\""));
    let client = builder("registry.example:5000", &transport).0.credentials(Failing).build().unwrap();
    let told = client.ping().await.unwrap_err().to_string();
    assert!(told.contains("nothing for registry.example:5000"), "{told}");
}

#[tokio::test]
async fn an_identity_token_is_not_sent_on_to_another_origin() {
    let lost = Arc::new(StdMutex::new(Vec::new()));
    let taken = lost.clone();
    let transport = ScriptedTransport::answering(move |seen| {
        if seen.url.starts_with("https://elsewhere.example/") {
            taken.lock().unwrap().push(seen.body.clone());
            return reply(200).body(r#"{"token":"t"}"#);
        }
        match is_token_request(seen) {
            true => reply(307).header("location", "https://elsewhere.example/token"),
            false => reply(401).header("www-authenticate", CHALLENGE),
        }
    });
    let (client, _) = client(&transport, Credentials::IdentityToken("secret".into()));
    let error = list(&client, "a").await.unwrap_err();
    assert!(matches!(error.failure(), Failure::Credentials(_)), "{error}");
    assert_eq!(*lost.lock().unwrap(), Vec::<bytes::Bytes>::new());
}

#[tokio::test]
async fn an_identity_token_follows_within_its_origin() {
    let transport = ScriptedTransport::answering(|seen| match (seen.url.as_str(), seen.header("authorization")) {
        ("https://auth.example/token", _) => reply(308).header("location", "/moved"),
        ("https://auth.example/moved", _) => reply(200).body(r#"{"token":"t"}"#),
        (_, Some("Bearer t")) => reply(200).body(r#"{"tags":[]}"#),
        _ => reply(401).header("www-authenticate", CHALLENGE),
    });
    let (client, _) = client(&transport, Credentials::IdentityToken("secret".into()));
    list(&client, "a").await.unwrap();
}
