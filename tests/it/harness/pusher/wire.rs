//! Requests as they go out, and answers as they come.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::StreamExt as _;
use reqwest::Method;
use tokio::time::{Duration, Instant};

use super::{Place, Pusher};
use crate::harness::{OCI_IMAGE, code_of};

/// How a streamed body is cut into pieces.
const PIECE_BYTES: usize = 16 * 1024;

/// An answer that came whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub location: Option<String>,
    pub digest: Option<String>,
    pub body: Bytes,
}

/// What to send.
pub(super) enum Body {
    Whole(Bytes),
    /// In pieces, with a pause in the middle.
    Streamed(Bytes, Duration),
}

impl Reply {
    /// The offset that its `Location` is for.
    pub(super) fn offset(&self) -> u64 {
        let location = self.location.as_deref().expect("a location");
        let offset = location.split(['?', '&']).find_map(|part| part.strip_prefix("offset="));
        offset.and_then(|offset| offset.parse().ok()).unwrap_or_else(|| panic!("{location} tells no offset"))
    }

    /// By which policy an upload has expired, if it says so.
    pub(super) fn policy(&self) -> Option<String> {
        let document: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(document.pointer("/errors/0/detail/policy")?.as_str()?.to_owned())
    }

    /// Whether it says to try again.
    pub(super) fn is_for_now(&self) -> bool {
        matches!(self.status, 408 | 409 | 429 | 500..)
    }
}

impl Pusher {
    /// Asks for something until there is an answer that is not for now only.
    pub async fn until_answered(&self, method: Method, path: &str) -> Reply {
        self.until_answered_counting(method, path).await.1
    }

    /// The same, and how often there was none.
    pub async fn until_answered_counting(&self, method: Method, path: &str) -> (u64, Reply) {
        let mut failed = 0;
        loop {
            match self.ask(&self.place, method.clone(), path, None, Body::Whole(Bytes::new())).await {
                Some(reply) if !reply.is_for_now() => return (failed, reply),
                _ => self.pause().await,
            }
            failed += 1;
        }
    }

    /// `None`: no answer came, or not all of it.
    pub(super) async fn ask(
        &self,
        place: &Place,
        method: Method,
        path: &str,
        range: Option<String>,
        body: Body,
    ) -> Option<Reply> {
        let is_manifest = path.contains("/manifests/") && method == Method::PUT;
        let address = place.get();
        let mut request = self.http.request(method, format!("http://{address}{path}"));
        if is_manifest {
            request = request.header("content-type", OCI_IMAGE);
        }
        if let Some(range) = range {
            request = request.header("content-range", range);
        }
        request = match body {
            Body::Whole(body) if body.len() <= PIECE_BYTES || self.piece_takes.is_zero() => request.body(body),
            Body::Whole(body) => {
                request.header("content-length", body.len()).body(self.in_pieces(&body, Duration::ZERO))
            }
            Body::Streamed(body, stall) => request.body(self.in_pieces(&body, stall)),
        };
        let answer = async {
            let response = request.send().await.ok()?;
            let header = |name| response.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
            let (status, location) = (response.status().as_u16(), header("location"));
            let digest = header("docker-content-digest");
            Some(Reply { status, location, digest, body: response.bytes().await.ok()? })
        };
        let answer = answer.await.filter(|_| !(self.ignores)(address));
        let count = if answer.is_some() { &self.counts.answers } else { &self.counts.unanswered };
        count.fetch_add(1, Ordering::Relaxed);
        answer
    }

    fn in_pieces(&self, body: &Bytes, stall: Duration) -> reqwest::Body {
        let pieces: Vec<Bytes> = body.chunks(PIECE_BYTES).map(|piece| body.slice_ref(piece)).collect();
        let (piece_takes, middle) = (self.piece_takes, pieces.len() / 2);
        let pieces =
            futures_util::stream::iter(pieces.into_iter().enumerate()).then(move |(index, piece)| async move {
                let takes = if index == middle { piece_takes + stall } else { piece_takes };
                if !takes.is_zero() {
                    tokio::time::sleep(takes).await;
                }
                Ok::<Bytes, std::io::Error>(piece)
            });
        reqwest::Body::wrap_stream(pieces)
    }

    /// An answer that means to try again; anything else is a defect.
    pub(super) async fn again_after(&self, what: &str, path: &str, reply: &Reply) {
        // A body that a proxy cut behind its first bytes is told to be short, when the answer still comes through.
        let is_cut = reply.status == 400 && code_of(&reply.body) == "SIZE_INVALID";
        let body = String::from_utf8_lossy(&reply.body);
        assert!(reply.is_for_now() || is_cut, "{what} {path}: {} {body}", reply.status);
        self.pause().await;
    }

    /// As clients do before they try again.
    pub(super) async fn pause(&self) {
        assert!(Instant::now() < self.ends_at, "not done in time; {:?}", self.counts);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
