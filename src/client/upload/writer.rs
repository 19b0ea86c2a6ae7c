//! A body that is written piece by piece while its request is under way.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::session::{Appended, UploadSession};
use crate::client::error::{ClientError, Failure, Subject};
use crate::client::exchange::Payload;
use crate::client::transport::ByteStream;
use crate::oci::Digest;
use crate::services::{RegistryError, UploadWriter};

/// Pieces between the writer and the connection: enough that neither waits for the other's every step.
const PIECES_UNDER_WAY: usize = 4;

/// The services' writer over HTTP: a PATCH whose body comes through a channel, or a PUT if it is the last body.
///
/// What HTTP cannot say:
/// - A body is broken off by closing its connection, of which the registry learns in its own time. [`UploadWriter::cut`]
///   of a body without a length ends it instead, so that what was sent is sure to be kept.
/// - A body that was begun as the last one is ended by [`UploadWriter::commit`] only.
pub(in crate::client) struct HttpUploadWriter {
    session: UploadSession,
    /// Where the body begins.
    start: u64,
    length: Option<u64>,
    /// Bytes that the registry holds already and that the body begins with: they are not sent.
    skipped: u64,
    /// Bytes that were taken, those not sent among them.
    taken: u64,
    /// What the body is committed as by its own request.
    digest: Option<Digest>,
    discard_on_cut: bool,
    request: Option<Sending>,
}

/// The request under way.
struct Sending {
    pieces: mpsc::Sender<Piece>,
    task: JoinHandle<Result<u64, ClientError>>,
    ended: Option<Result<u64, ClientError>>,
    /// What is said when the runtime ends before the request.
    stopped: ClientError,
}

enum Piece {
    Data(Bytes),
    /// Nothing more comes. A channel that closes without it is a body that was cut.
    End,
}

/// How a body is written.
pub(in crate::client) struct WriterOptions {
    pub(in crate::client) start: u64,
    pub(in crate::client) length: Option<u64>,
    pub(in crate::client) skipped: u64,
    /// With a `Content-Range`.
    pub(in crate::client) is_exact: bool,
    pub(in crate::client) digest: Option<Digest>,
    pub(in crate::client) discard_on_cut: bool,
}

impl HttpUploadWriter {
    /// Begins the request, in a task of its own, unless there is nothing to send.
    pub(in crate::client) fn begin(session: UploadSession, options: WriterOptions) -> Self {
        let WriterOptions { start, length, skipped, is_exact, digest, discard_on_cut } = options;
        let to_send = length.map(|length| length - skipped.min(length));
        let request = (to_send != Some(0)).then(|| {
            let (pieces, received) = mpsc::channel(PIECES_UNDER_WAY);
            let payload = Payload::Stream(Some((to_send, body_of(received))));
            let from = start + skipped;
            let exactly_at = (is_exact && to_send.is_some()).then_some(from);
            let stopped = wrong_end(&session, "the program stops");
            let (session, digest) = (session.clone(), digest.clone());
            let task = tokio::spawn(async move {
                let sent = match &digest {
                    Some(digest) => session.finish(digest, payload).await.map(|()| 0),
                    None => session.append(Appended { exactly_at, payload, length_bytes: to_send }, from).await,
                };
                if let Err(error) = &sent
                    && discard_on_cut
                {
                    discard(&session, error).await;
                }
                sent
            });
            Sending { pieces, task, ended: None, stopped }
        });
        HttpUploadWriter { session, start, length, skipped, taken: 0, digest, discard_on_cut, request }
    }

    /// The body has not the length that was said: what was sent is broken off.
    async fn wrong_length(&mut self) -> RegistryError {
        match self.break_off().await {
            Ok(offset) => RegistryError::SizeInvalid { offset },
            // That nothing is left of it is no news: what was wrong with the body is.
            Err(RegistryError::UploadUnknown) if self.discard_on_cut => RegistryError::SizeInvalid { offset: 0 },
            Err(error) => error,
        }
    }

    /// Gives how many bytes the upload holds after the body was broken off.
    async fn break_off(&mut self) -> Result<u64, RegistryError> {
        if let Some(Sending { pieces, mut task, ended, .. }) = self.request.take() {
            drop(pieces);
            if ended.is_none() {
                // How it ended is of no interest: the upload says what it has.
                let _ = (&mut task).await;
            }
        } else if self.discard_on_cut {
            let _ = self.session.cancel().await;
        }
        self.session.offset().await.map_err(|error| error.for_service(Subject::Upload))
    }

    /// Where the upload stands when all that was taken is there.
    fn end_offset(&self) -> u64 {
        self.start + self.taken.max(self.skipped)
    }

    /// Ends the body and gives what its answer says; `None` when nothing had to be sent.
    async fn end(&mut self) -> Option<Result<u64, ClientError>> {
        let mut request = self.request.take()?;
        // It may have ended before; then its answer says how.
        let _ = request.pieces.send(Piece::End).await;
        Some(request.outcome().await)
    }
}

impl Sending {
    async fn outcome(&mut self) -> Result<u64, ClientError> {
        if let Some(ended) = &self.ended {
            return ended.clone();
        }
        let ended = (&mut self.task).await.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(self.stopped.clone()),
        });
        self.ended = Some(ended.clone());
        ended
    }
}

#[async_trait]
impl UploadWriter for HttpUploadWriter {
    async fn send(&mut self, mut piece: Bytes) -> Result<(), RegistryError> {
        let taken = self.taken + piece.len() as u64;
        if self.length.is_some_and(|length| taken > length) {
            return Err(self.wrong_length().await);
        }
        let held = self.skipped.saturating_sub(self.taken).min(piece.len() as u64);
        self.taken = taken;
        let _ = piece.split_to(held as usize);
        if piece.is_empty() {
            return Ok(());
        }
        let Some(request) = &mut self.request else {
            return Err(RegistryError::Superseded);
        };
        if request.ended.is_none() && request.pieces.send(Piece::Data(piece)).await.is_ok() {
            return Ok(());
        }
        Err(early_end(&self.session, request.outcome().await))
    }

    async fn lost(&mut self) -> RegistryError {
        match &mut self.request {
            Some(request) => {
                let ended = request.outcome().await;
                early_end(&self.session, ended)
            }
            // Nothing is under way that could be lost.
            None => std::future::pending().await,
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, RegistryError> {
        if self.digest.is_some() {
            self.break_off().await?;
            return Err(RegistryError::Unsupported("to end the last body of an upload without its commit".to_owned()));
        }
        if self.length.is_some_and(|length| self.taken != length) {
            return Err(self.wrong_length().await);
        }
        match self.end().await {
            None => Ok(self.end_offset()),
            Some(ended) => {
                let held = ended.map_err(|error| error.for_service(Subject::Upload))?;
                match held == self.end_offset() {
                    true => Ok(held),
                    false => Err(RegistryError::SizeInvalid { offset: held }),
                }
            }
        }
    }

    async fn cut(mut self: Box<Self>) -> Result<u64, RegistryError> {
        let can_be_ended = self.length.is_none() && self.digest.is_none() && !self.discard_on_cut;
        match can_be_ended {
            true => match self.end().await {
                Some(ended) => ended.map_err(|error| error.for_service(Subject::Upload)),
                None => self.break_off().await,
            },
            false => self.break_off().await,
        }
    }

    async fn commit(mut self: Box<Self>, digest: &Digest) -> Result<u64, RegistryError> {
        if self.length.is_some_and(|length| self.taken != length) {
            return Err(self.wrong_length().await);
        }
        let size_bytes = self.end_offset();
        let for_service = |error: ClientError| error.for_service(Subject::Commit(digest));
        if self.digest.as_ref().is_some_and(|begun| begun != digest) {
            self.break_off().await?;
            return Err(RegistryError::Unsupported(
                "to commit a body as another digest than it was begun as".to_owned(),
            ));
        }
        let is_last = self.digest.is_some();
        if let Some(ended) = self.end().await {
            ended.map_err(for_service)?;
            if is_last {
                return Ok(size_bytes);
            }
        }
        if let Err(error) = self.session.commit(digest).await {
            if self.discard_on_cut {
                discard(&self.session, &error).await;
            }
            return Err(for_service(error));
        }
        Ok(size_bytes)
    }
}

/// Ends the upload of a body that failed, unless it was refused because of somebody else who goes on with the upload.
async fn discard(session: &UploadSession, cause: &ClientError) {
    let is_of_others = matches!(cause.status().map(|status| status.as_u16()), Some(404 | 409 | 416 | 429));
    if !is_of_others {
        // If this fails, too, the upload expires.
        let _ = session.cancel().await;
    }
}

/// A request that ended before its body did.
fn early_end(session: &UploadSession, ended: Result<u64, ClientError>) -> RegistryError {
    let error = ended.err().unwrap_or_else(|| wrong_end(session, "it came before the end of the body"));
    error.for_service(Subject::Upload)
}

fn wrong_end(session: &UploadSession, cause: &str) -> ClientError {
    let root = session.repository().exchange.address.url();
    ClientError::new("append to upload", root, Failure::Answer(cause.to_owned()))
}

fn body_of(received: mpsc::Receiver<Piece>) -> ByteStream {
    stream::unfold(Some(received), |received| async move {
        let mut received = received?;
        match received.recv().await {
            Some(Piece::Data(data)) => Some((Ok(data), Some(received))),
            Some(Piece::End) => None,
            None => {
                // A connection sends what it was given when a body lets it wait, and forgets it at an error.
                tokio::task::yield_now().await;
                Some((Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it was cut")), None))
            }
        }
    })
    .boxed()
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
