use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method};
use hyper::body::Incoming;
use reqwest::Url;

use super::answer::Answer;
use super::body::Outgoing;
use super::cut::CutKind;
use super::dial::Origin;
use super::failure;
use super::live::{Live, Patience};
use super::marks::BodyState;
use super::options::WireOptions;
use super::shared::Shared;
use super::watch::{Record, Watch};
use crate::client::transport::{Request, Response, Transport, TransportError, TransportErrorKind};
use crate::load::measure::Recorder;

/// HTTP/1.1 to one target, over as many connections as there are requests at once. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Wire(Arc<Shared>);

/// How waiting for an answer's head ended.
enum Head {
    Came(hyper::Result<http::Response<Incoming>>),
    CutOff(CutKind),
    BodyFailed(String),
    Silent,
}

impl Wire {
    /// Without a connection yet; those that come are counted by `recorder`.
    pub fn new(options: WireOptions, recorder: Recorder) -> Self {
        Wire(Arc::new(Shared::new(options, Some(recorder))))
    }

    /// The same, with connections that nobody counts.
    pub fn uncounted(options: WireOptions) -> Self {
        Wire(Arc::new(Shared::new(options, None)))
    }

    /// Closes the connections that no request is under way on.
    pub fn close_free(&self) {
        self.0.close_free();
    }

    async fn exchange(&self, request: Request, record: &Record) -> Result<Response, TransportError> {
        let Request { method, url, headers, body } = request;
        let origin = Origin::of(&url)?;
        let mut live = self.0.connection(&origin, record).await?;
        live.marks.begin();
        let outgoing = Outgoing::new(body, live.marks.clone());
        let head = head_of(&method, &url, headers, &outgoing)?;
        let answer = live.sender.send_request(head.map(|()| outgoing));
        let waited = self.wait(&mut live, answer).await;
        record.end(&live.marks);
        let response = match waited {
            Head::Came(Ok(response)) => response,
            Head::Came(Err(error)) => return Err(self.failed(live, &error)),
            Head::CutOff(CutKind::Silence) => {
                // What goes on with the upload must get a connection, however few there may be.
                live.permit = None;
                Watch::keep_silent(live);
                return Err(failure::cut(CutKind::Silence));
            }
            Head::CutOff(kind) => {
                live.reset();
                return Err(failure::cut(kind));
            }
            Head::BodyFailed(cause) => {
                live.reset();
                return Err(failure::body(&cause));
            }
            Head::Silent => return Err(failure::silent(self.0.options.silence_timeout)),
        };
        let (parts, incoming) = response.into_parts();
        record.answered(parts.status);
        let mut answer = Answer::new(live, incoming, record.clone(), Arc::clone(&self.0));
        poll_fn(|cx| {
            answer.finish_if_whole(cx);
            Poll::Ready(())
        })
        .await;
        Ok(Response { status: parts.status, headers: parts.headers, body: answer.boxed(), url })
    }

    /// Moves bytes until there is an answer, or a reason to wait no longer.
    async fn wait(
        &self,
        live: &mut Live,
        answer: impl Future<Output = hyper::Result<http::Response<Incoming>>>,
    ) -> Head {
        let mut answer = pin!(answer);
        let mut patience = Patience::new(self.0.options.silence_timeout);
        poll_fn(|cx| {
            // The connection first: the answer comes out of it. Its end is told to the answer, too.
            let _ = live.drive(cx);
            if let Poll::Ready(came) = answer.as_mut().poll(cx) {
                return Poll::Ready(Head::Came(came));
            }
            let body = live.marks.lock().body.clone();
            match body {
                BodyState::Failed(cause) => Poll::Ready(Head::BodyFailed(cause)),
                // What the server says to half a body is of interest.
                BodyState::Cut(kind) if kind != CutKind::HalfClose => Poll::Ready(Head::CutOff(kind)),
                _ => patience.poll(&live.marks, cx).map(|()| Head::Silent),
            }
        })
        .await
    }

    /// No answer came. One who was told that no more comes may hang up: then it was the cut.
    fn failed(&self, live: Live, error: &hyper::Error) -> TransportError {
        if let BodyState::Cut(kind) = live.marks.lock().body {
            return failure::cut(kind);
        }
        let failure = failure::of(error, &live.marks);
        live.broke();
        failure
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let record = Watch::begin();
        let sent = self.exchange(request, &record).await;
        if sent.is_err() {
            record.end_without_answer();
        }
        sent
    }
}

/// A request's head as it goes over the wire.
fn head_of(
    method: &Method,
    url: &Url,
    mut headers: HeaderMap,
    body: &Outgoing,
) -> Result<http::Request<()>, TransportError> {
    let unusable = |cause: String| TransportError::new(TransportErrorKind::Body, cause).never_sent();
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let authority = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let host = HeaderValue::from_str(&authority).map_err(|_| unusable(format!("{authority:?} is no host")))?;
    headers.insert(HOST, host);
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    let tells_length = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    match hyper::body::Body::size_hint(body).exact() {
        Some(0) if !tells_length => {}
        Some(length) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        None => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
    let uri: http::Uri = target.parse().map_err(|error| unusable(format!("{target:?} is no target: {error}")))?;
    let mut head = http::Request::new(());
    *head.method_mut() = method.clone();
    *head.uri_mut() = uri;
    *head.headers_mut() = headers;
    Ok(head)
}
