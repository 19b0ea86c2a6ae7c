//! What is said of the parsers here: see `src/fuzzing`.

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use actix_web::http::header::{
    HOST, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

pub(crate) use super::admin::fuzzing::{admin_body, admin_query};
use super::conditions::{entity_tag, is_not_modified, precondition, range_applies};
use super::content_range::ContentRange;
use super::forwarded::{client_address, origin};
use super::pagination::{next_link, page_request};
use super::query::Query;
use super::range::{Wanted, wanted};
use super::request_id::{REQUEST_ID, request_id};
use super::routes::Route;
use crate::oci::Digest;
use crate::registry::Precondition;

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// What a path names is named by its plain spelling too.
pub(crate) fn path(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(route) = Route::parse(text) else { return };
    assert!(!route.methods().is_empty());
    let plain = match &route {
        Route::Base => "/v2/".to_owned(),
        Route::Catalog => "/v2/_catalog".to_owned(),
        Route::Tags(name) => format!("/v2/{name}/tags/list"),
        Route::Referrers(name, Ok(digest)) => format!("/v2/{name}/referrers/{digest}"),
        Route::Manifest(name, Ok(reference)) => format!("/v2/{name}/manifests/{reference}"),
        Route::Blob(name, Ok(digest)) => format!("/v2/{name}/blobs/{digest}"),
        Route::Uploads(name) => format!("/v2/{name}/blobs/uploads/"),
        Route::Upload(name, Some(id)) => format!("/v2/{name}/blobs/uploads/{id}"),
        _ => return,
    };
    assert_eq!(Route::parse(&plain).ok(), Some(route), "{text:?}");
}

/// A query that is encoded again says the same, and so does the `Link` to the next page.
pub(crate) fn query(data: &[u8]) {
    let Some(query) = text(data).and_then(|text| Query::parse(text).ok()) else { return };
    let encoded: Vec<String> = query
        .pairs()
        .map(|(key, value)| {
            assert!(!key.contains(char::is_control) && !value.contains(char::is_control));
            format!("{}={}", utf8_percent_encode(key, NON_ALPHANUMERIC), utf8_percent_encode(value, NON_ALPHANUMERIC))
        })
        .collect();
    let again = Query::parse(&encoded.join("&")).expect("what was encoded is a query");
    assert!(again.pairs().eq(query.pairs()));

    let Ok(request) = page_request(&query) else { return };
    let last = request.last.as_deref().unwrap_or("library/app");
    let filter = query.get("artifactType").unwrap_or("a/b+json");
    let link = next_link("/v2/_catalog", &request, last, &[("artifactType", filter)]);
    let target = link.strip_prefix("</v2/_catalog?").and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
    let target = target.expect("the link has its form");
    assert!(target.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte)), "{link}");
    let next = Query::parse(target).expect("the link is a query");
    assert_eq!(next.get("artifactType"), Some(filter));
    let next = page_request(&next).expect("the link asks for a page");
    assert_eq!((next.limit, next.last.as_deref()), (request.limit, Some(last)));
}

/// A range has a byte at least and an end that is a number; its plain spelling says the same.
pub(crate) fn content_range(data: &[u8]) {
    let Some(range) = text(data).and_then(|text| ContentRange::parse(text).ok()) else { return };
    let last = range.start.checked_add(range.length).expect("its end is a number") - 1;
    assert!(range.length > 0);
    for plain in [format!("{}-{last}", range.start), format!("bytes {}-{last}/*", range.start)] {
        assert_eq!(ContentRange::parse(&plain), Ok(range), "{plain}");
    }
}

/// A part lies in the content and is not empty; asked for plainly, it is the same.
///
/// The first eight bytes are the content's size.
pub(crate) fn range(data: &[u8]) {
    let Some((size, header)) = data.split_first_chunk() else { return };
    let size_bytes = u64::from_le_bytes(*size);
    let Some(header) = text(header) else { return };
    if let Wanted::Part(part) = wanted(Some(header), size_bytes) {
        assert!(part.start < part.end && part.end <= size_bytes, "{header:?} of {size_bytes}");
        let plain = format!("bytes={}-{}", part.start, part.end - 1);
        assert_eq!(wanted(Some(&plain), size_bytes), Wanted::Part(part), "{header:?} of {size_bytes}");
    }
}

/// Headers, a line each, whose first byte chooses the name.
fn headers(data: &[u8], names: &[HeaderName]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Some((choice, value)) = line.split_first()
            && let Ok(value) = HeaderValue::from_bytes(value)
        {
            headers.append(names[usize::from(*choice) % names.len()].clone(), value);
        }
    }
    headers
}

/// A stranger is not believed; the client is the peer or somebody who was named; an origin is a plain one.
pub(crate) fn forwarded(data: &[u8]) {
    let forwarded = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"].map(HeaderName::from_static);
    let names = [&forwarded[..], &[HOST, REQUEST_ID]].concat();
    let headers = headers(data, &names);
    let proxies = ["10.0.0.0/8".parse().expect("it is a network")];
    let (proxy, stranger) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([192, 0, 2, 1]));

    assert_eq!(client_address(Some(stranger), &headers, &proxies), Some(stranger));
    assert_eq!(client_address(None, &headers, &proxies), None);
    let client = client_address(Some(proxy), &headers, &proxies).expect("somebody is the client");
    let named = headers.get_all(&forwarded[0]).filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    let address_of = |hop: &str| {
        let with_port = hop.parse::<SocketAddr>().map(|with_port| with_port.ip());
        hop.parse::<IpAddr>().or(with_port).map(|address| address.to_canonical())
    };
    let is_named = named.filter_map(|hop| address_of(hop.trim()).ok()).any(|address| address == client);
    assert!(client == proxy || is_named, "{client}");

    let mut without = headers.clone();
    for name in &forwarded {
        without.remove(name);
    }
    let of = |peer, headers| origin(Some(peer), headers, None, false, &proxies);
    assert_eq!(of(stranger, &headers), of(stranger, &without));
    for origin in [of(stranger, &headers), of(proxy, &headers)].into_iter().flatten() {
        let host = origin.strip_prefix("http://").or(origin.strip_prefix("https://")).expect("it has a scheme");
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        assert!((1..=300).contains(&host.len()) && host.bytes().all(is_plain), "{origin}");
    }
    let id = request_id(&headers);
    assert!((1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'), "{id:?}");
}

/// A client that names the content has it; a condition of a push is never dropped.
pub(crate) fn conditions(data: &[u8]) {
    let digest: Digest = format!("sha256:{}", "6d".repeat(32)).parse().expect("it is a digest");
    let modified = Some(SystemTime::UNIX_EPOCH);
    let mut headers = headers(data, &[IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE]);
    is_not_modified(&headers, &digest, modified);
    assert!(range_applies(&headers, &digest, modified) || headers.contains_key(IF_RANGE));
    match precondition(&headers) {
        Ok(Precondition::None) => assert!(!headers.contains_key(IF_MATCH) && !headers.contains_key(IF_NONE_MATCH)),
        Ok(Precondition::PointsAt(digests)) => {
            let lines: Vec<&[u8]> = headers.get_all(IF_MATCH).map(HeaderValue::as_bytes).collect();
            let text = String::from_utf8_lossy(&lines.concat()).into_owned();
            assert!(digests.iter().all(|digest| text.contains(&entity_tag(digest))), "{text}");
        }
        Ok(Precondition::Exists | Precondition::IsNew) | Err(_) => {}
    }
    let tag = HeaderValue::from_str(&entity_tag(&digest)).expect("a digest is a header");
    headers.append(IF_NONE_MATCH, tag);
    assert!(is_not_modified(&headers, &digest, modified));
}
