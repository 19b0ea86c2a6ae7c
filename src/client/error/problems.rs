//! Reads the body of an answer that says no.

use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::{Problem, Refusal};
use crate::client::ranges;
use crate::client::transport::{ByteStream, Response};

/// The most that is read of such a body; what is longer is no answer of a registry.
const MAX_BODY_BYTES: usize = 64 << 10;
/// The most entries that are kept.
const MAX_PROBLEMS: usize = 100;
/// The most that is kept of a code or a message.
const MAX_TEXT_CHARS: usize = 1000;
/// Whoever is asked to wait for longer is not asked to wait.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What an answer says; a body that breaks off, or is not in the registry's form, says nothing.
pub(in crate::client) async fn read_refusal(response: Response, now: SystemTime) -> Refusal {
    let Response { status, headers, body, .. } = response;
    let problems = problems_of(&read_start(body).await);
    refusal(status, &headers, problems, now)
}

fn refusal(status: StatusCode, headers: &HeaderMap, problems: Vec<Problem>, now: SystemTime) -> Refusal {
    let told_offset = problems.iter().find_map(|problem| problem.detail.get("offset")?.as_u64());
    let offset = told_offset.or_else(|| ranges::held_bytes(headers).and_then(ranges::Held::exact));
    let size_bytes = ranges::unsatisfied_size(headers);
    Refusal { status, problems, retry_after: retry_after(headers, now), offset, size_bytes }
}

/// `Retry-After`, in seconds or as a date.
///
/// Source: RFC 9110, section 10.2.3.
pub(in crate::client) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

async fn read_start(mut body: ByteStream) -> Vec<u8> {
    let mut read = Vec::new();
    while let Some(Ok(piece)) = body.next().await {
        let room = MAX_BODY_BYTES - read.len();
        read.extend_from_slice(&piece[..piece.len().min(room)]);
        if read.len() == MAX_BODY_BYTES {
            break;
        }
    }
    read
}

fn problems_of(body: &[u8]) -> Vec<Problem> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(default)]
        errors: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        code: serde_json::Value,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        detail: serde_json::Value,
    }
    let Ok(document) = serde_json::from_slice::<Document>(body) else {
        return Vec::new();
    };
    let entries = document.errors.into_iter().take(MAX_PROBLEMS);
    let problem_of = |entry: Entry| {
        let raw_code = entry.code.as_str().map_or_else(|| entry.code.to_string(), str::to_owned);
        Problem {
            code: raw_code.parse().ok(),
            raw_code: cut(raw_code),
            message: cut(entry.message.unwrap_or_default()),
            detail: entry.detail,
        }
    };
    entries.map(problem_of).collect()
}

fn cut(text: String) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((at, _)) => text[..at].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use bytes::Bytes;
    use futures_util::stream;
    use http::HeaderValue;

    use super::*;
    use crate::oci::ErrorCode;

    #[test]
    fn codes_of_others_are_kept_as_they_came() {
        let body = br#"{"errors":[{"code":"QUOTA","message":"no more","detail":{"a":1}},
            {"code":"DENIED"},{"code":7,"message":null}]}"#;
        let problems = problems_of(body);
        assert_eq!(problems[0].raw_code, "QUOTA");
        assert_eq!(problems[0].code, None);
        assert_eq!(problems[0].detail["a"], 1);
        assert_eq!(problems[1].code, Some(ErrorCode::Denied));
        assert_eq!(problems[2].raw_code, "7");
        assert_eq!(
            refusal(StatusCode::FORBIDDEN, &HeaderMap::new(), problems, UNIX_EPOCH).code(),
            Some(ErrorCode::Denied)
        );
        assert_eq!(problems_of(b"<html>"), []);
        assert_eq!(problems_of(b"{}"), []);
    }

    #[test]
    fn what_is_said_is_bounded() {
        let entry = format!(r#"{{"code":"{0}","message":"{0}"}}"#, "ü".repeat(5000));
        let body = format!(r#"{{"errors":[{}]}}"#, vec![entry; 101].join(","));
        let problems = problems_of(body.as_bytes());
        assert_eq!(problems.len(), MAX_PROBLEMS);
        assert_eq!(problems[0].message.chars().count(), MAX_TEXT_CHARS);
    }

    #[tokio::test]
    async fn an_endless_body_is_read_to_a_bound() {
        let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 1000]))).boxed();
        assert_eq!(read_start(endless).await.len(), MAX_BODY_BYTES);
    }

    #[test]
    fn waiting_times_are_seconds_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, seconds) in [
            ("7", Some(7)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("99999999999", Some(86_400)),
            ("-1", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
