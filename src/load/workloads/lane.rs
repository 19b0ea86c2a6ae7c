use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::answers::{Answer, Head, Op, Refused};
use super::failure;
use super::history::History;
use super::uploads::OpenUploads;
use crate::client::transport::TransportError;
use crate::client::{ClientError, RawAnswer, RawCall, RepositoryClient};
use crate::load::measure::{Failure, Recorder, Timing};
use crate::load::report::{Finding, FindingKind};
use crate::load::wire::{Exchange, Watch};
use crate::oci::Digest;

/// The most that is read of an answer's body where nothing is wanted of it, so that its connection is free again.
const MAX_UNWANTED_BYTES: usize = 16 << 10;

/// Sends one request after the other for a task, and records each. A task that does several things at once has several.
pub(in crate::load) struct Lane {
    pub(super) recorder: Recorder,
    pub(super) uploads: Arc<OpenUploads>,
    pub(super) watch: Watch,
    pub(in crate::load) history: History,
    /// When the next request was due, where it does not count from its begin.
    due: Option<Instant>,
    /// Its requests are recorded.
    is_measured: bool,
}

/// Whether more of an answer's body is wanted.
enum Reading {
    GoesOn,
    IsEnough,
}

impl Lane {
    pub(super) fn new(recorder: Recorder, uploads: Arc<OpenUploads>, due: Option<Instant>) -> Self {
        Lane { recorder, uploads, watch: Watch::new(), history: History::new(), due, is_measured: true }
    }

    /// Another one for something else that is done at the same time, with a history of its own. Its first request counts
    /// from its begin.
    pub(super) fn fork(&self) -> Self {
        Lane::new(self.recorder.clone(), Arc::clone(&self.uploads), None)
    }

    /// One for what is done at the same time for the same blob or upload.
    pub(super) fn fork_together(&self) -> Self {
        Lane { history: self.history.clone(), ..self.fork() }
    }

    /// As [`Lane::fork`], but its first request was due when ours is.
    pub(super) fn fork_due(&mut self) -> Self {
        Lane { due: self.due.take(), ..self.fork() }
    }

    /// One whose requests are not recorded.
    pub(super) fn fork_unmeasured(&self) -> Self {
        Lane { is_measured: false, ..self.fork() }
    }

    /// One for requests that belong to no task, and are not recorded.
    pub(in crate::load) fn unmeasured(recorder: &Recorder) -> Self {
        Lane { is_measured: false, ..Lane::new(recorder.clone(), Arc::default(), None) }
    }

    /// Sends a request whose answer's body is not wanted.
    pub(super) async fn call(
        &mut self,
        op: Op,
        repository: &RepositoryClient,
        call: RawCall,
    ) -> Result<Answer, Refused> {
        self.call_of(op, repository, call, 0).await
    }

    /// The same for an upload that `acknowledged` so many bytes before.
    pub(super) async fn call_of(
        &mut self,
        op: Op,
        repository: &RepositoryClient,
        call: RawCall,
        acknowledged: u64,
    ) -> Result<Answer, Refused> {
        let mut read_bytes = 0;
        let read = |_: &Head, piece: &[u8]| {
            read_bytes += piece.len();
            match read_bytes < MAX_UNWANTED_BYTES {
                true => Ok(Reading::GoesOn),
                false => Ok(Reading::IsEnough),
            }
        };
        self.exchange(op, repository, call, acknowledged, read).await
    }

    /// Sends a request and gives each piece of its answer's body to `read`, which may refuse it.
    pub(super) async fn call_reading(
        &mut self,
        op: Op,
        repository: &RepositoryClient,
        call: RawCall,
        mut read: impl FnMut(&Head, &[u8]) -> Result<(), Failure>,
    ) -> Result<Answer, Refused> {
        self.exchange(op, repository, call, 0, |head, piece| read(head, piece).map(|()| Reading::GoesOn)).await
    }

    async fn exchange(
        &mut self,
        op: Op,
        repository: &RepositoryClient,
        call: RawCall,
        acknowledged: u64,
        mut read: impl FnMut(&Head, &[u8]) -> Result<Reading, Failure>,
    ) -> Result<Answer, Refused> {
        let due = self.due.take();
        let watch = self.watch.clone();
        // What a call that was dropped left.
        watch.take();
        let began = Instant::now();
        let is_read = call.method == http::Method::GET;
        let described = describe(op, &call);
        let outcome = watch.over(async {
            let answer = repository.send(call).await.map_err(|error| (failure::of(&error), Some(error)))?;
            take(answer, acknowledged, &mut read).await.map_err(|failure| (failure, None))
        });
        let outcome = outcome.await;
        // Finding out how to say who one is may have taken requests before it.
        let exchange = watch.take().pop();
        let ended = Instant::now();
        let accepted = match &outcome {
            Ok(_) => true,
            Err((failure, _)) => op.accepts.contains(&failure.status),
        };
        self.note(&described, exchange.as_ref(), &outcome);
        if op.is_measured && self.is_measured {
            let timing = Timing {
                should_start: due.or(exchange.as_ref().map(|exchange| exchange.began)).unwrap_or(began),
                first_byte: exchange.as_ref().and_then(|exchange| exchange.first_byte),
                end: ended,
            };
            let bytes = exchange.as_ref().map_or(0, |exchange| match is_read {
                true => exchange.received_bytes,
                false => exchange.sent_bytes,
            });
            let result = match &outcome {
                Err((failure, _)) if !accepted => Err(failure),
                _ => Ok(()),
            };
            self.recorder.operation(op.name, timing, bytes, result);
        }
        let sent_bytes = exchange.map_or(0, |exchange| exchange.sent_bytes);
        outcome.map_err(|(failure, error)| Refused { failure, error, sent_bytes, ended, is_finding: false })
    }

    /// The registry acknowledged something that it does not hold to.
    pub(super) fn finding(
        &self,
        kind: FindingKind,
        repository: &RepositoryClient,
        digest: &Digest,
        detail: impl fmt::Display,
    ) {
        self.recorder.finding(Finding {
            kind,
            repository: repository.name().to_string(),
            digest: digest.to_string(),
            detail: detail.to_string(),
            history: self.history.lines(),
        });
    }

    fn note(
        &mut self,
        described: &str,
        exchange: Option<&Exchange>,
        outcome: &Result<Answer, (Failure, Option<ClientError>)>,
    ) {
        let sent = exchange.map_or(0, |exchange| exchange.sent_bytes);
        let line = match outcome {
            Ok(answer) => {
                let held = answer.held_bytes.map_or(String::new(), |held| format!(", holds {held}"));
                format!("{described}, {sent} bytes -> {}{held}", answer.status.as_u16())
            }
            Err((failure, error)) => {
                let offset = error.as_ref().and_then(|error| error.refusal()).and_then(|refusal| refusal.offset);
                let held = offset.map_or(String::new(), |held| format!(", holds {held}"));
                format!("{described}, {sent} bytes -> {failure}{held}")
            }
        };
        self.history.note(line);
    }
}

/// The method, where to and with which range.
fn describe(op: Op, call: &RawCall) -> String {
    let range = call.headers.get(http::header::CONTENT_RANGE).or(call.headers.get(http::header::RANGE));
    match range.and_then(|range| range.to_str().ok()) {
        Some(range) => format!("{} {} ({}, range {range})", call.method, call.url.path(), op.name),
        None => format!("{} {} ({})", call.method, call.url.path(), op.name),
    }
}

async fn take(
    answer: RawAnswer,
    acknowledged: u64,
    read: &mut impl FnMut(&Head, &[u8]) -> Result<Reading, Failure>,
) -> Result<Answer, Failure> {
    let (location, held_bytes) = (answer.location(), answer.held_bytes(acknowledged));
    let RawAnswer { status, headers, mut body, .. } = answer;
    let head = Head { status, headers };
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| {
            let error = TransportError::of_io(error);
            Failure::without_answer(error.kind().as_str(), &error)
        })?;
        if let Reading::IsEnough = read(&head, &piece)? {
            break;
        }
    }
    Ok(Answer { status, headers: head.headers, location, held_bytes })
}
