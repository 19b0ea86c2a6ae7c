//! What answers are checked for.

use bytes::Bytes;
use reqwest::Response;
use serde_json::Value;

/// Checks on an answer; each panics with the answer's body.
pub trait ReplyExt: Sized {
    /// It has this status.
    async fn expect(self, status: u16) -> Self;
    /// It has this status, and a body in the specification's form with this code.
    async fn expect_error(self, status: u16, code: &str);
    /// The value of a header that must be there.
    fn value(&self, name: &str) -> String;
    /// A header's value, if it is there.
    fn maybe(&self, name: &str) -> Option<String>;
    /// The body as JSON.
    async fn document(self) -> Value;
    /// The body.
    async fn data(self) -> Bytes;
}

impl ReplyExt for Response {
    async fn expect(self, status: u16) -> Self {
        if self.status() != status {
            let (url, found, headers) = (self.url().clone(), self.status(), self.headers().clone());
            let body = self.text().await.unwrap_or_default();
            panic!("{url}: status {found}, not {status}\n{headers:?}\n{body}");
        }
        self
    }

    async fn expect_error(self, status: u16, code: &str) {
        let url = self.url().clone();
        let reply = self.expect(status).await;
        assert!(reply.maybe("x-request-id").is_some(), "{url}: no request id");
        assert_eq!(reply.value("content-type"), "application/json", "{url}");
        let body = reply.data().await;
        assert_eq!(code_of(&body), code, "{url}");
    }

    fn value(&self, name: &str) -> String {
        self.maybe(name).unwrap_or_else(|| panic!("{}: no {name} in {:?}", self.url(), self.headers()))
    }

    fn maybe(&self, name: &str) -> Option<String> {
        self.headers().get(name).map(|value| value.to_str().expect("a header is text").to_string())
    }

    async fn document(self) -> Value {
        serde_json::from_slice(&self.data().await).expect("a body is JSON")
    }

    async fn data(self) -> Bytes {
        self.bytes().await.expect("a body comes whole")
    }
}

/// The code of an error's body, which must have the specification's form.
pub fn code_of(body: &[u8]) -> String {
    let document: Value =
        serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(body)));
    let errors = document["errors"].as_array().expect("a list of errors");
    assert!(!errors.is_empty());
    for entry in errors {
        assert!(entry["code"].is_string() && entry["message"].is_string() && entry.get("detail").is_some(), "{entry}");
    }
    errors[0]["code"].as_str().expect("a code").to_string()
}
