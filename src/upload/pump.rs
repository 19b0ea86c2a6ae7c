//! Carries one body from a request to its upload: coalesces what comes from the socket into batches, keeps two of them
//! in flight, and hands over the end. It is a task of its own, so that a request that is dropped half-way still
//! delivers every byte that it had taken.

use std::collections::VecDeque;
use std::time::Duration;

use actix::Addr;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::UploadError;
use super::actor::UploadActor;
use super::ask::ask;
use super::messages::{End, EndOfBody, Piece, Reply};

/// One batch is written while the next one waits in the actor's mailbox; more would only hold memory.
const BATCHES_IN_FLIGHT: usize = 2;

/// How long bytes wait for more to come before they are handed over as they are. Far below any take-over time, so that
/// a slow client is never taken for a silent one.
const LINGER: Duration = Duration::from_millis(10);

pub(super) enum Command {
    Piece(Bytes),
    End { kind: EndKind, reply: Reply<u64> },
}

pub(super) enum EndKind {
    Cut,
    Finish,
    Commit(crate::oci::Digest),
}

pub(super) struct Pump {
    pub address: Addr<UploadActor>,
    pub epoch: u64,
    /// Where the next batch goes.
    pub offset: u64,
    pub commands: mpsc::Receiver<Command>,
    pub revoked: oneshot::Receiver<UploadError>,
    pub failure: watch::Sender<Option<UploadError>>,
    /// How many bytes make a batch.
    pub batch_bytes: usize,
}

type Answer = oneshot::Receiver<Result<(), UploadError>>;

#[derive(Default)]
struct Batch {
    pieces: Vec<Bytes>,
    len: usize,
    /// When it must go, full or not.
    due: Option<Instant>,
}

impl Pump {
    pub async fn run(mut self) {
        let mut in_flight: VecDeque<Answer> = VecDeque::with_capacity(BATCHES_IN_FLIGHT);
        let end = match self.carry(&mut in_flight).await {
            Ok(end) => end,
            Err(cause) => {
                let cause = self.first_cause(cause, in_flight).await;
                return self.fail(cause).await;
            }
        };
        let (kind, reply) = match end {
            Some((kind, reply)) => (kind, Some(reply)),
            None => (EndKind::Cut, None),
        };
        let answer = self.hand_over_end(kind, in_flight).await;
        if let Err(cause) = &answer {
            self.fail(cause.clone()).await;
        }
        if let Some(reply) = reply {
            // A request that has left needs no answer; what it asked for is done all the same.
            let _ = reply.send(answer);
        }
    }

    /// Moves pieces until the body ends; `None` when the request was dropped.
    async fn carry(&mut self, in_flight: &mut VecDeque<Answer>) -> Result<Option<(EndKind, Reply<u64>)>, UploadError> {
        let mut batch = Batch::default();
        let end = loop {
            let is_due = batch.due.is_some_and(|due| due <= Instant::now());
            if (is_due || batch.len >= self.batch_bytes) && in_flight.len() < BATCHES_IN_FLIGHT {
                self.send(&mut batch, in_flight).await?;
                continue;
            }
            let due = batch.due.filter(|_| in_flight.len() < BATCHES_IN_FLIGHT);
            tokio::select! {
                biased;
                cause = &mut self.revoked => return Err(cause.unwrap_or(UploadError::Died)),
                answer = first(in_flight), if !in_flight.is_empty() => {
                    in_flight.pop_front();
                    answer?;
                }
                command = self.commands.recv(), if batch.len < self.batch_bytes => match command {
                    Some(Command::Piece(piece)) => batch.push(piece),
                    Some(Command::End { kind, reply }) => break Some((kind, reply)),
                    None => break None,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        };
        if batch.len > 0 {
            self.send(&mut batch, in_flight).await?;
        }
        Ok(end)
    }

    async fn send(&mut self, batch: &mut Batch, in_flight: &mut VecDeque<Answer>) -> Result<(), UploadError> {
        let Batch { pieces, len, .. } = std::mem::take(batch);
        let (reply, answer) = oneshot::channel();
        let offset = self.offset;
        self.offset += len as u64;
        let piece = Piece { epoch: self.epoch, offset, pieces, reply };
        deliver(&self.address, piece).await?;
        in_flight.push_back(answer);
        Ok(())
    }

    async fn hand_over_end(&mut self, kind: EndKind, in_flight: VecDeque<Answer>) -> Result<u64, UploadError> {
        let end = self.offset;
        let kind = match kind {
            EndKind::Cut => End::Cut,
            EndKind::Finish => End::Finish { end },
            EndKind::Commit(digest) => End::Commit { end, digest },
        };
        let epoch = self.epoch;
        let answer = ask(&self.address, |reply| EndOfBody { epoch, kind, reply }).await;
        // The first cause says more than what followed from it.
        for answer in in_flight {
            answer.await.unwrap_or(Err(UploadError::Died))?;
        }
        answer
    }

    /// An actor that is gone says nothing any more; why it went, it has said before.
    async fn first_cause(&mut self, cause: UploadError, in_flight: VecDeque<Answer>) -> UploadError {
        if !matches!(cause, UploadError::Died) {
            return cause;
        }
        for answer in in_flight {
            if let Ok(Err(cause)) = answer.await {
                return cause;
            }
        }
        self.revoked.try_recv().unwrap_or(cause)
    }

    async fn fail(&mut self, cause: UploadError) {
        self.commands.close();
        let _ = self.failure.send(Some(cause));
        // Gives the right to write back where it is still held; otherwise this says nothing new.
        let _ = ask(&self.address, |reply| EndOfBody { epoch: self.epoch, kind: End::Cut, reply }).await;
    }
}

impl Batch {
    fn push(&mut self, piece: Bytes) {
        self.len += piece.len();
        self.pieces.push(piece);
        self.due.get_or_insert_with(|| Instant::now() + LINGER);
    }
}

async fn first(in_flight: &mut VecDeque<Answer>) -> Result<(), UploadError> {
    match in_flight.front_mut() {
        Some(answer) => answer.await.unwrap_or(Err(UploadError::Died)),
        None => std::future::pending().await,
    }
}

/// Puts a batch into the actor's mailbox. A message that was only being sent would be lost with this task, so it is
/// tried first whether there is room, and there is: an upload's mailbox is larger than what its writers have in flight.
async fn deliver(address: &Addr<UploadActor>, piece: Piece) -> Result<(), UploadError> {
    match address.try_send(piece) {
        Ok(()) => Ok(()),
        Err(actix::prelude::SendError::Full(piece)) => address.send(piece).await.map_err(|_| UploadError::Died),
        Err(actix::prelude::SendError::Closed(_)) => Err(UploadError::Died),
    }
}
