//! Who the client is, and under which address it sees this registry, behind a proxy.
//!
//! `X-Forwarded-*` is believed only when the peer is a configured proxy.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HOST, HeaderMap};

use crate::config::IpNetwork;

/// The longest host with a port that is looked at.
const MAX_HOST_BYTES: usize = 300;

fn is_trusted(peer: Option<IpAddr>, proxies: &[IpNetwork]) -> bool {
    peer.is_some_and(|peer| proxies.iter().any(|network| network.contains(peer)))
}

/// The client's address: the peer's, or the last forwarded one that is not itself a trusted proxy. An IPv4 address is one
/// in whatever form it came: a listener on `[::]` sees it mapped, and limits count each client once.
pub(super) fn client_address(peer: Option<IpAddr>, headers: &HeaderMap, proxies: &[IpNetwork]) -> Option<IpAddr> {
    let peer = peer.map(|peer| peer.to_canonical());
    if !is_trusted(peer, proxies) {
        return peer;
    }
    let forwarded: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .collect();
    let mut client = peer;
    for hop in forwarded.into_iter().rev() {
        let Some(address) = forwarded_address(hop.trim()) else {
            break;
        };
        client = Some(address);
        if !is_trusted(client, proxies) {
            break;
        }
    }
    client
}

/// Some proxies tell the client's port, too.
fn forwarded_address(text: &str) -> Option<IpAddr> {
    let address = text.parse().or_else(|_| text.parse().map(|with_port: SocketAddr| with_port.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// `scheme://host` as the client sees it; `None` when nothing usable was sent.
pub(super) fn origin(
    peer: Option<IpAddr>,
    headers: &HeaderMap,
    uri_host: Option<&str>,
    is_tls: bool,
    proxies: &[IpNetwork],
) -> Option<String> {
    let mut scheme = if is_tls { "https" } else { "http" };
    let mut host = header(headers, HOST.as_str()).or(uri_host);
    if is_trusted(peer, proxies) {
        match first(headers, "x-forwarded-proto") {
            Some(forwarded) if forwarded.eq_ignore_ascii_case("https") => scheme = "https",
            Some(forwarded) if forwarded.eq_ignore_ascii_case("http") => scheme = "http",
            _ => {}
        }
        host = first(headers, "x-forwarded-host").or(host);
    }
    host.filter(|host| is_host(host)).map(|host| format!("{scheme}://{host}"))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The first of a list: what the client itself said to the first proxy.
fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    header(headers, name)?.split(',').next().map(str::trim)
}

fn is_host(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !text.is_empty() && text.len() <= MAX_HOST_BYTES && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn proxies() -> Vec<IpNetwork> {
        vec!["10.0.0.0/8".parse().unwrap()]
    }

    const PROXY: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));
    const STRANGER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let headers = headers(&[
            ("host", "registry.internal:5000"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "registry.example.org, proxy"),
        ]);
        let of = |peer| origin(peer, &headers, None, false, &proxies());
        assert_eq!(of(PROXY).as_deref(), Some("https://registry.example.org"));
        assert_eq!(of(STRANGER).as_deref(), Some("http://registry.internal:5000"));
        assert_eq!(of(None).as_deref(), Some("http://registry.internal:5000"));
    }

    #[test]
    fn a_host_that_is_none_is_not_echoed() {
        for host in ["a/b", "a b", "a\"b", "<x>", "", "user@a"] {
            assert_eq!(origin(None, &headers(&[("host", host)]), None, false, &[]), None, "{host:?}");
        }
        assert_eq!(origin(None, &HeaderMap::new(), Some("a:1"), true, &[]).as_deref(), Some("https://a:1"));
    }

    #[test]
    fn the_client_is_the_last_address_that_is_no_proxy() {
        let of = |peer, forwarded: &str| client_address(peer, &headers(&[("x-forwarded-for", forwarded)]), &proxies());
        let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        assert_eq!(of(PROXY, "1.2.3.4, 192.0.2.7, 10.9.9.9"), address("192.0.2.7"));
        assert_eq!(of(PROXY, "garbage"), PROXY);
        assert_eq!(of(STRANGER, "1.2.3.4"), STRANGER);
        assert_eq!(client_address(PROXY, &HeaderMap::new(), &proxies()), PROXY);
    }

    #[test]
    fn an_ipv4_address_is_one_client_in_each_of_its_forms() {
        let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let of = |peer, forwarded: &str| client_address(peer, &headers(&[("x-forwarded-for", forwarded)]), &proxies());
        assert_eq!(of(address("::ffff:192.0.2.1"), "1.2.3.4"), STRANGER);
        let mapped_proxy = address("::ffff:10.0.0.1");
        assert_eq!(of(mapped_proxy, "garbage"), PROXY);
        for forwarded in ["192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7:443", "[::ffff:192.0.2.7]:443, ::ffff:10.1.1.1"] {
            assert_eq!(of(mapped_proxy, forwarded), address("192.0.2.7"), "{forwarded}");
        }
        assert_eq!(of(PROXY, "[2001:db8::1]:443"), address("2001:db8::1"));
    }
}
