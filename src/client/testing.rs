//! What this module's tests share: a clock that only sleeps turn, and a transport that answers by a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::retry::Pace;
use super::transport::{Body, ByteStream, Request, Response, Transport, TransportError, TransportErrorKind};
use super::{Client, ClientBuilder, Credentials};
use crate::clock::{Clock, ManualClock};
use crate::oci::{Algorithm, Digest};

/// Sleeping takes no time but moves the clock.
pub(super) struct TestPace {
    pub(super) clock: ManualClock,
    chance: f64,
    sleeps: Mutex<Vec<Duration>>,
}

impl TestPace {
    pub(super) fn with_chance(chance: f64) -> Self {
        let clock = ManualClock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
        TestPace { clock, chance, sleeps: Mutex::default() }
    }

    pub(super) fn take_sleeps(&self) -> Vec<Duration> {
        std::mem::take(&mut self.sleeps.lock().unwrap())
    }
}

#[async_trait]
impl Pace for TestPace {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn now_utc(&self) -> SystemTime {
        self.clock.now_utc()
    }

    async fn sleep(&self, duration: Duration) {
        self.sleeps.lock().unwrap().push(duration);
        self.clock.advance(duration);
        tokio::task::yield_now().await;
    }

    fn chance(&self) -> f64 {
        self.chance
    }
}

/// A request as the server got it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether the body came to its end.
    pub(super) is_whole: bool,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// `GET https://registry.example/v2/`.
    pub(super) fn line(&self) -> String {
        format!("{} {}", self.method, self.url)
    }
}

/// What a scripted server does with a request.
pub(super) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    pieces: Vec<Result<Bytes, ()>>,
    is_endless: bool,
    fails: Option<TransportErrorKind>,
}

pub(super) fn reply(status: u16) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        pieces: Vec::new(),
        is_endless: false,
        fails: None,
    }
}

pub(super) fn fail(kind: TransportErrorKind) -> Reply {
    Reply { fails: Some(kind), ..reply(500) }
}

impl Reply {
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        self
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        if !self.headers.contains_key("content-length") {
            self = self.header("content-length", &body.len().to_string());
        }
        self.pieces.push(Ok(body));
        self
    }

    /// The body breaks here.
    pub(super) fn broken(mut self) -> Self {
        self.pieces.push(Err(()));
        self
    }

    /// The last piece of the body comes again and again.
    pub(super) fn endless(mut self) -> Self {
        self.is_endless = true;
        self
    }
}

type Answering = Box<dyn FnMut(&Seen) -> Reply + Send>;

/// Answers by a script; keeps what it was asked.
pub(super) struct ScriptedTransport {
    script: Mutex<Answering>,
    seen: Mutex<Vec<Seen>>,
    /// How much of a body is read before the script is asked, where that is not all.
    cuts: Mutex<VecDeque<Option<usize>>>,
}

impl ScriptedTransport {
    /// Each request gets what `script` gives for it.
    pub(super) fn answering(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Arc<Self> {
        Arc::new(ScriptedTransport {
            script: Mutex::new(Box::new(script)),
            seen: Mutex::default(),
            cuts: Mutex::default(),
        })
    }

    /// The replies in their order; a request after the last one panics.
    pub(super) fn replies(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        let mut replies: VecDeque<Reply> = replies.into_iter().collect();
        ScriptedTransport::answering(move |seen| {
            replies.pop_front().unwrap_or_else(|| panic!("nothing is scripted for {}", seen.line()))
        })
    }

    /// The next body that is not empty is read only so far; with `None` it is read whole.
    pub(super) fn cut_body_after(&self, bytes: Option<usize>) {
        self.cuts.lock().unwrap().push_back(bytes);
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }
}

#[async_trait]
impl Transport for ScriptedTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        // Others get their turn, as they do while a real request is under way.
        tokio::task::yield_now().await;
        let Request { method, url, headers, body } = request;
        let is_long = body.length().is_none_or(|length| length > 0);
        let cut = if is_long { self.cuts.lock().unwrap().pop_front().flatten() } else { None };
        let (body, end) = read(body, cut).await;
        let is_whole = end.is_ok() && cut.is_none();
        let seen = Seen { method, url: url.to_string(), headers, body, is_whole };
        self.seen.lock().unwrap().push(seen.clone());
        let reply = (self.script.lock().unwrap())(&seen);
        end?;
        if let Some(kind) = reply.fails {
            return Err(TransportError::new(kind, "scripted"));
        }
        let broken = || TransportError::new(TransportErrorKind::Reset, "scripted").into_io();
        let last = reply.pieces.last().cloned();
        let pieces = stream::iter(reply.pieces).map(move |piece| piece.map_err(|()| broken()));
        let body: ByteStream = match (reply.is_endless, last) {
            (true, Some(Ok(piece))) => pieces.chain(stream::repeat_with(move || Ok(piece.clone()))).boxed(),
            _ => pieces.boxed(),
        };
        Ok(Response { status: reply.status, headers: reply.headers, body, url })
    }
}

async fn read(body: Body, limit: Option<usize>) -> (Bytes, Result<(), TransportError>) {
    let mut stream = match body {
        Body::Empty => return (Bytes::new(), Ok(())),
        Body::Bytes(bytes) => stream::iter([Ok(bytes)]).boxed(),
        Body::Stream { stream, .. } => stream,
    };
    let mut read = BytesMut::new();
    while limit.is_none_or(|limit| read.len() < limit) {
        match stream.next().await {
            Some(Ok(piece)) => read.extend_from_slice(&piece),
            Some(Err(error)) => {
                return (read.freeze(), Err(TransportError::new(TransportErrorKind::Body, error.to_string())));
            }
            None => return (read.freeze(), Ok(())),
        }
    }
    read.truncate(limit.unwrap_or(usize::MAX));
    (read.freeze(), Ok(()))
}

pub(super) fn builder(address: &str, transport: &Arc<ScriptedTransport>) -> (ClientBuilder, Arc<TestPace>) {
    let pace = Arc::new(TestPace::with_chance(1.0));
    let builder = Client::builder(address).transport(transport.clone()).credentials(Credentials::Anonymous);
    (builder.pace(pace.clone()), pace)
}

/// Of `registry.example`.
pub(super) fn client(transport: &Arc<ScriptedTransport>) -> Client {
    builder("registry.example", transport).0.build().unwrap()
}

pub(super) fn digest_of(data: &[u8]) -> Digest {
    let mut running = crate::hashing::RunningDigest::new(Algorithm::Sha256);
    running.update(data);
    running.finish()
}
