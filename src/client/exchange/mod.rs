//! A call to the registry: who says it, where redirects lead, what is tried again, what the answer says.

mod wire;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::Url;

pub(super) use self::wire::{Outgoing, Payload, Wire, resolve};
use super::address::{RegistryAddress, is_same_origin};
use super::auth::{Authenticator, Scopes};
use super::error::{ClientError, Failure, is_passing_status, read_refusal};
use super::retry::Backoff;
use super::transport::{ByteStream, Response, TransportError, TransportErrorKind};

/// The most of an answer's body that is read where nothing is wanted of it, so that its connection can be used again.
const MAX_UNWANTED_BYTES: u64 = 16 << 10;

/// What the parts of one client share.
pub(super) struct Exchange {
    pub(super) address: RegistryAddress,
    pub(super) wire: Wire,
    pub(super) auth: Authenticator,
    pub(super) chunk_bytes: u64,
}

/// Something to ask of the registry.
pub(super) struct Call {
    operation: &'static str,
    method: Method,
    url: Url,
    headers: HeaderMap,
    payload: Payload,
    scopes: Scopes,
    again: Again,
    reading: Reading,
}

/// When a call may be made again. What cannot be sent again never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Whatever became of it: twice is as good as once.
    Always,
    /// When nothing can have come of it: it was never sent, or refused before anything was done (429).
    IfNothingWasDone,
}

/// What is made of an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Dropped,
    Whole { limit_bytes: u64 },
    Streamed,
}

/// An answer that says yes.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Where it came from.
    pub(super) url: Url,
    /// What [`Call::read`] asked for.
    pub(super) bytes: Bytes,
    /// What [`Call::stream`] asked for.
    pub(super) stream: Option<ByteStream>,
}

impl Call {
    pub(super) fn new(operation: &'static str, method: Method, url: Url, scopes: Scopes) -> Self {
        Call {
            operation,
            method,
            url,
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            scopes,
            again: Again::Always,
            reading: Reading::Dropped,
        }
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    pub(super) fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    pub(super) fn again(mut self, again: Again) -> Self {
        self.again = again;
        self
    }

    /// The answer's body is wanted.
    pub(super) fn read(mut self, limit_bytes: u64) -> Self {
        self.reading = Reading::Whole { limit_bytes };
        self
    }

    /// The answer's body is wanted piece by piece.
    pub(super) fn stream(mut self) -> Self {
        self.reading = Reading::Streamed;
        self
    }
}

impl Answer {
    fn nothing(url: Url) -> Self {
        let (status, headers) = (StatusCode::ACCEPTED, HeaderMap::new());
        Answer { status, headers, url, bytes: Bytes::new(), stream: None }
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Exchange {
    /// Makes a call, again where that may help, and gives the answer that says yes.
    ///
    /// # Errors
    /// [`Failure::Refused`] for each status from 400 on.
    pub(super) async fn send(&self, mut call: Call) -> Result<Answer, ClientError> {
        let pace = &*self.wire.pace;
        let mut backoff = Backoff::start(&self.wire.retries, pace);
        let mut may_be_second = false;
        loop {
            let error = match self.try_once(&mut call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if may_be_second && call.method == Method::DELETE && error.is_not_found() {
                // The try before it took it away, and its answer was lost.
                return Ok(Answer::nothing(call.url));
            }
            if !call.payload.is_there() || !may_be_made_again(call.again, &error) {
                return Err(error);
            }
            may_be_second |= may_have_been_done(&error);
            if !backoff.wait(error.retry_after(), pace).await {
                return Err(error);
            }
            log::debug!(operation = call.operation, url = error.url(); "a call to a registry is made again");
        }
    }

    async fn try_once(&self, call: &mut Call) -> Result<Answer, ClientError> {
        if matches!(call.payload, Payload::Stream(Some(_))) && self.auth.is_unknown() {
            self.find_out(call.operation).await?;
        }
        let mut was_refused = false;
        loop {
            let is_own = is_same_origin(&call.url, self.address.url());
            let authorization = match is_own {
                true => self.auth.authorization(&self.wire, call.operation, &call.scopes).await?,
                false => None,
            };
            let outgoing = Outgoing {
                operation: call.operation,
                method: &call.method,
                url: &call.url,
                headers: &call.headers,
                payload: &mut call.payload,
                authorization: authorization.clone().map(|value| (value, self.address.url())),
            };
            let (response, url) = self.wire.send(outgoing).await?;
            if is_same_origin(&url, self.address.url()) {
                let status = response.status;
                let may_go_on = self.auth.note(&response, authorization.as_ref(), &call.scopes);
                if status == StatusCode::UNAUTHORIZED && may_go_on && !was_refused && call.payload.is_there() {
                    was_refused = true;
                    let _ = read_start(response.body, MAX_UNWANTED_BYTES).await;
                    continue;
                }
            }
            let (operation, asked, reading) = (call.operation, &call.url, call.reading);
            let answered = self.answer(reading, response, url).await;
            return answered.map_err(|failure| ClientError::new(operation, asked, failure));
        }
    }

    /// A body that can be sent once is not sent to find out how to say who one is.
    async fn find_out(&self, operation: &'static str) -> Result<(), ClientError> {
        let (headers, url) = (HeaderMap::new(), self.address.endpoint([""]));
        let outgoing = Outgoing {
            operation,
            method: &Method::GET,
            url: &url,
            headers: &headers,
            payload: &mut Payload::Empty,
            authorization: None,
        };
        let (response, url) = self.wire.send(outgoing).await?;
        if is_same_origin(&url, self.address.url()) {
            self.auth.note(&response, None, &Scopes::none());
        }
        let _ = read_start(response.body, MAX_UNWANTED_BYTES).await;
        Ok(())
    }

    async fn answer(&self, reading: Reading, response: Response, url: Url) -> Result<Answer, Failure> {
        let status = response.status;
        if status.is_client_error() || status.is_server_error() {
            let refusal = read_refusal(response, self.wire.pace.now_utc()).await;
            return Err(Failure::Refused(refusal));
        }
        if !status.is_success() {
            return Err(Failure::Answer(format!("status {}", status.as_u16())));
        }
        let Response { headers, body, .. } = response;
        let mut answer = Answer { status, headers, url, bytes: Bytes::new(), stream: None };
        match reading {
            Reading::Streamed => answer.stream = Some(body),
            Reading::Whole { limit_bytes } => {
                answer.bytes = read_whole(body, limit_bytes).await?;
            }
            // Nothing that is wanted depends on how it ends.
            Reading::Dropped => drop(read_start(body, MAX_UNWANTED_BYTES).await),
        }
        Ok(answer)
    }
}

fn may_be_made_again(again: Again, error: &ClientError) -> bool {
    error.is_passing() && (again == Again::Always || !may_have_been_done(error))
}

/// Whether the registry may have acted on the call that failed so.
pub(super) fn may_have_been_done(error: &ClientError) -> bool {
    match error.failure() {
        // A body that failed on this side never came to its end there.
        Failure::Transport(error) => error.may_have_reached() && error.kind() != TransportErrorKind::Body,
        Failure::Refused(refusal) => {
            is_passing_status(refusal.status) && refusal.status != StatusCode::TOO_MANY_REQUESTS
        }
        _ => false,
    }
}

/// A body up to a bound.
async fn read_whole(body: ByteStream, limit_bytes: u64) -> Result<Bytes, Failure> {
    let read = read_start(body, limit_bytes.saturating_add(1)).await.map_err(Failure::Transport)?;
    match read.len() as u64 > limit_bytes {
        true => Err(Failure::TooLarge { limit_bytes }),
        false => Ok(read),
    }
}

async fn read_start(mut body: ByteStream, limit_bytes: u64) -> Result<Bytes, TransportError> {
    let limit = usize::try_from(limit_bytes).unwrap_or(usize::MAX);
    let mut read = BytesMut::new();
    while read.len() < limit {
        let Some(piece) = body.next().await else { break };
        let piece = piece.map_err(TransportError::of_io)?;
        read.extend_from_slice(&piece[..piece.len().min(limit - read.len())]);
    }
    Ok(read.freeze())
}

#[cfg(test)]
mod tests;
