//! Who may ask: known host names, the token, and no web page of another origin.
//!
//! A web page that an operator looks at can make its browser send requests to this address. It cannot send a JSON body
//! to another origin without being allowed to (we allow nobody), it cannot leave out its `Origin` when it posts, and when
//! it has its own name resolved to our address (DNS rebinding), that name stands in `Host`. So all three are looked at.

use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use sha2::{Digest as _, Sha256};

use crate::config::HttpConfig;
use crate::http::StartError;
use crate::http::error::ApiError;

/// A token that is longer is a wrong file.
const MAX_TOKEN_BYTES: usize = 4096;

pub(super) struct Gate {
    /// The hash of what must stand behind `Bearer`.
    token: Option<[u8; 32]>,
    /// Host names that are known beside addresses and `localhost`.
    names: Vec<String>,
}

impl Gate {
    pub(super) fn new(config: &HttpConfig) -> Result<Gate, StartError> {
        let token = config.admin_token_file.as_deref().map(read_token).transpose()?;
        Ok(Gate { token, names: config.admin_hosts.clone() })
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Hashes are compared, in a time that does not depend on where they differ.
    pub(super) fn check_token(&self, request: &HttpRequest) -> Result<(), ApiError> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or("");
        let (scheme, given) = header.split_once(' ').unwrap_or((header, ""));
        let given: [u8; 32] = Sha256::digest(given.trim()).into();
        let difference = token.iter().zip(&given).fold(0, |difference, (ours, theirs)| difference | (ours ^ theirs));
        match scheme.eq_ignore_ascii_case("bearer") && difference == 0 {
            true => Ok(()),
            false => Err(ApiError::unauthorized()),
        }
    }

    /// For every request to the API: it must be meant for us.
    pub(super) fn check_host(&self, request: &HttpRequest) -> Result<(), ApiError> {
        let host = the_only(request, &HOST).flatten().unwrap_or("");
        let target = request.uri().authority().map_or(host, |authority| authority.as_str());
        let is_known = |authority: &str| host_of(authority).is_some_and(|host| self.is_known(host));
        if is_known(host) && is_known(target) { Ok(()) } else { Err(ApiError::host_unknown()) }
    }

    /// For a request that changes something: no page of another origin has sent it.
    pub(super) fn check_change(&self, request: &HttpRequest) -> Result<(), ApiError> {
        let is_own = |origin: &str| {
            let Some((_, authority)) = origin.split_once("://") else {
                return false;
            };
            let host = the_only(request, &HOST).flatten().unwrap_or("");
            authority.eq_ignore_ascii_case(host) || host_of(authority).is_some_and(|name| self.is_configured(name))
        };
        match the_only(request, &ORIGIN) {
            Some(None) => {}
            Some(Some(origin)) if is_own(origin) => {}
            _ => return Err(ApiError::foreign_origin()),
        }
        let content_type = the_only(request, &CONTENT_TYPE).flatten().unwrap_or("");
        let essence = content_type.split(';').next().unwrap_or("").trim();
        if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(ApiError::not_json()) }
    }

    fn is_configured(&self, host: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    /// Who resolves a name to a false address does not get far with an address.
    fn is_known(&self, host: &str) -> bool {
        host.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost") || self.is_configured(host)
    }
}

/// A header's value, if there is one; `None` when there are several, or it is no text.
fn the_only<'r>(request: &'r HttpRequest, name: &HeaderName) -> Option<Option<&'r str>> {
    let mut values = request.headers().get_all(name);
    match (values.next(), values.next()) {
        (None, _) => Some(None),
        (Some(value), None) => value.to_str().ok().map(Some),
        (Some(_), Some(_)) => None,
    }
}

/// The host of `host`, `host:port`, `[address]` or `[address]:port`.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            (address, after)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port = port.is_empty() || port.strip_prefix(':')?.bytes().all(|byte| byte.is_ascii_digit());
    (is_port && !host.is_empty()).then_some(host)
}

fn read_token(path: &Path) -> Result<[u8; 32], StartError> {
    let unusable =
        |cause: &dyn std::fmt::Display| StartError::new(format!("http.admin_token_file {}: {cause}", path.display()));
    let mut text = String::new();
    let opened = std::fs::File::open(path);
    let read = opened.and_then(|file| file.take(MAX_TOKEN_BYTES as u64 + 1).read_to_string(&mut text));
    read.map_err(|error| unusable(&error))?;
    let token = text.trim();
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
        return Err(unusable(&"it does not hold a token"));
    }
    Ok(Sha256::digest(token).into())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn gate() -> Gate {
        Gate { token: None, names: vec!["Admin.example.org".into()] }
    }

    fn host_is_known(host: &str) -> bool {
        gate().check_host(&TestRequest::get().insert_header((HOST, host)).to_http_request()).is_ok()
    }

    #[test]
    fn addresses_localhost_and_configured_names_are_known() {
        for host in [
            "127.0.0.1:5001",
            "127.0.0.1",
            "[::1]:5001",
            "[::1]",
            "10.0.0.7:80",
            "localhost",
            "LOCALHOST:1",
            "localhost:",
        ] {
            assert!(host_is_known(host), "{host}");
        }
        assert!(host_is_known("admin.example.org:5001") && host_is_known("ADMIN.EXAMPLE.ORG"));
    }

    #[test]
    fn other_hosts_and_what_is_none_are_not_known() {
        for host in [
            "",
            "evil.example",
            "evil.example:5001",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost:80@evil.example",
            "evil@localhost",
            "[::1",
            "[::1]x",
            "::1",
            "localhost:x",
            ":5001",
        ] {
            assert!(!host_is_known(host), "{host}");
        }
        let two = TestRequest::get().append_header((HOST, "localhost")).append_header((HOST, "127.0.0.1"));
        assert!(gate().check_host(&two.to_http_request()).is_err());
        assert!(gate().check_host(&TestRequest::get().to_http_request()).is_err());
        let absolute = TestRequest::get().uri("http://evil.example/admin/v1/scan").insert_header((HOST, "localhost"));
        assert!(gate().check_host(&absolute.to_http_request()).is_err());
    }

    fn change(headers: &[(HeaderName, &str)]) -> Result<(), u16> {
        let mut request = TestRequest::post().insert_header((HOST, "127.0.0.1:5001"));
        for (name, value) in headers {
            request = request.append_header((name.clone(), *value));
        }
        gate().check_change(&request.to_http_request()).map_err(|error| error.status().as_u16())
    }

    #[test]
    fn a_change_is_json_of_no_other_origin() {
        let json = (CONTENT_TYPE, "application/json");
        assert_eq!(change(std::slice::from_ref(&json)), Ok(()));
        assert_eq!(change(&[(CONTENT_TYPE, "Application/JSON ; charset=utf-8")]), Ok(()));
        for origin in ["http://127.0.0.1:5001", "https://admin.example.org", "https://admin.example.org:8443"] {
            assert_eq!(change(&[json.clone(), (ORIGIN, origin)]), Ok(()), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://127.0.0.1:3000",
            "http://localhost:5001",
            "http://10.0.0.7",
            "127.0.0.1:5001",
        ] {
            assert_eq!(change(&[json.clone(), (ORIGIN, origin)]), Err(403), "{origin}");
        }
        let own = (ORIGIN, "http://127.0.0.1:5001");
        assert_eq!(change(&[json.clone(), own.clone(), own]), Err(403));
        for content_type in ["", "text/plain", "application/json, text/plain", "application/x-www-form-urlencoded"] {
            assert_eq!(change(&[(CONTENT_TYPE, content_type)]), Err(415), "{content_type}");
        }
        assert_eq!(change(&[]), Err(415));
    }
}
