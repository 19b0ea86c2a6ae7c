//! The writer of one body, as a request holds it.

use std::time::Duration;

use actix::Addr;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::actor::UploadActor;
use super::memory::Memory;
use super::pump::{Command, EndKind, PAGE_BYTES};
use super::turns::{Received, TURN_BYTES, Turn};
use super::{UploadError, UploadHandle};
use crate::oci::Digest;

/// Who brings less than this in a turn sends slowly, and gathers some more before the next one.
const SLOW_BYTES: usize = 32 * 1024;

/// How long it gathers for each body that there is: those that are slow make ten thousand batches a second at most.
const GATHERED_FOR_EACH: Duration = Duration::from_micros(100);

/// The right to write one body. Dropping it is a cut; what it has taken is kept all the same.
pub struct Writer {
    pub(super) kind: WriterKind,
    /// How many bytes the body says it has.
    pub(super) length: Option<u64>,
    pub(super) received: u64,
}

pub(super) enum WriterKind {
    Pumped(Pumped),
    /// The same digest is being committed already: the body is thrown away.
    Following {
        upload: UploadHandle,
        address: Addr<UploadActor>,
    },
}

/// The way to the pump.
pub(super) struct Pumped {
    pub commands: mpsc::Sender<Command>,
    pub failure: watch::Receiver<Option<UploadError>>,
    /// What all bodies together may have waiting, and how much of it a batch is.
    /// Where the body begins.
    pub start: u64,
    pub memory: Memory,
    pub batch_bytes: usize,
    /// The turn that it is, if it is.
    pub turn: Option<Turn>,
    /// When the next turn is wanted.
    pub not_before: Option<Instant>,
    pub longest_interval: Duration,
}

impl Writer {
    /// Whether there are so many bodies that each is to wait for its turn before it receives.
    pub fn takes_turns(&self) -> bool {
        matches!(&self.kind, WriterKind::Pumped(pumped) if pumped.memory.is_crowded())
    }

    /// Waits for the turn to receive, where bodies take turns; gives how many bytes it is for. It is to be waited for when
    /// there is something to receive, and ended then.
    ///
    /// # Errors
    /// What ended the right to write.
    pub async fn turn(&mut self) -> Result<usize, UploadError> {
        let WriterKind::Pumped(pumped) = &mut self.kind else { return Ok(TURN_BYTES) };
        pumped.wait_for_turn().await?;
        // What ends with a page is written as it is.
        Ok(TURN_BYTES - ((pumped.start + self.received) % PAGE_BYTES as u64) as usize)
    }

    /// Ends the turn with the pieces that were received in it, if any; as [`Writer::send`] of each.
    ///
    /// # Errors
    /// As [`Writer::send`].
    pub async fn end_turn(&mut self, mut pieces: Vec<Bytes>) -> Result<(), UploadError> {
        let mut is_too_long = false;
        for piece in &mut pieces {
            is_too_long |= self.count(piece);
        }
        if let WriterKind::Pumped(pumped) = &mut self.kind {
            pumped.end_turn(pieces).await?;
        }
        self.refuse_long_body(is_too_long).await
    }

    /// Takes the next piece of the body; waits when the engine cannot keep up.
    ///
    /// # Errors
    /// What ended the right to write. [`UploadError::SizeMismatch`] when the body is longer than it said; what
    /// it said it has is kept.
    pub async fn send(&mut self, mut piece: Bytes) -> Result<(), UploadError> {
        let is_too_long = self.count(&mut piece);
        if let WriterKind::Pumped(pumped) = &mut self.kind
            && !piece.is_empty()
        {
            pumped.send(piece).await?;
        }
        self.refuse_long_body(is_too_long).await
    }

    /// Counts a piece, and cuts off what is past the length that the body said. Whether there was such.
    fn count(&mut self, piece: &mut Bytes) -> bool {
        let room = self.length.map_or(u64::MAX, |length| length - self.received);
        let is_too_long = piece.len() as u64 > room;
        if is_too_long {
            // `room` is less than the length of a piece that is in memory.
            piece.truncate(room as usize);
        }
        self.received += piece.len() as u64;
        is_too_long
    }

    async fn refuse_long_body(&mut self, is_too_long: bool) -> Result<(), UploadError> {
        if is_too_long { Err(self.wrong_size().await) } else { Ok(()) }
    }

    /// Resolves when the right to write ends before its time (taken over, cancelled, a fault), with the cause.
    pub async fn lost(&mut self) -> UploadError {
        match &mut self.kind {
            WriterKind::Pumped(pumped) => cause_of(&mut pumped.failure).await,
            WriterKind::Following { .. } => std::future::pending().await,
        }
    }

    /// The body is there whole: makes it last; gives how many bytes the upload holds.
    ///
    /// # Errors
    /// [`UploadError::SizeMismatch`] when the body was shorter than it said; what came is kept.
    pub async fn finish(mut self) -> Result<u64, UploadError> {
        self.refuse_short_body().await?;
        self.end(EndKind::Finish).await
    }

    /// The body broke off: makes what came last; gives how many bytes the upload holds.
    ///
    /// # Errors
    /// As the engine's; [`UploadError::Unknown`] when the upload was to be discarded, and is.
    pub async fn cut(mut self) -> Result<u64, UploadError> {
        self.end(EndKind::Cut).await
    }

    /// The body is there whole and was the last one: verifies and publishes the upload as `digest`; gives its size. It
    /// goes on to its end when the caller leaves.
    ///
    /// # Errors
    /// [`UploadError::DigestMismatch`]: the upload stays.
    pub async fn commit(mut self, digest: &Digest) -> Result<u64, UploadError> {
        self.refuse_short_body().await?;
        self.end(EndKind::Commit(digest.clone())).await
    }

    async fn refuse_short_body(&mut self) -> Result<(), UploadError> {
        if self.length.is_some_and(|length| length != self.received) {
            return Err(self.wrong_size().await);
        }
        Ok(())
    }

    /// Ends a body that is not as long as it said. That nothing is left of an upload that was to be discarded is no news to
    /// its client: what was wrong with the body is.
    async fn wrong_size(&mut self) -> UploadError {
        match self.end(EndKind::Cut).await {
            Ok(offset) => UploadError::SizeMismatch { offset },
            Err(UploadError::Unknown) => UploadError::SizeMismatch { offset: 0 },
            Err(cause) => cause,
        }
    }

    async fn end(&mut self, kind: EndKind) -> Result<u64, UploadError> {
        match &mut self.kind {
            WriterKind::Following { upload, address } => match kind {
                EndKind::Commit(digest) => upload.join(address, digest).await,
                EndKind::Cut | EndKind::Finish => Err(UploadError::Superseded),
            },
            WriterKind::Pumped(pumped) => pumped.end(kind).await,
        }
    }
}

impl Pumped {
    async fn send(&mut self, piece: Bytes) -> Result<(), UploadError> {
        self.say(Command::Piece(piece)).await?;
        if self.memory.is_short(self.batch_bytes) {
            // The next piece is not to be read before there is room for it. If there never will be, the next call says why.
            let _ = self.commands.reserve().await;
        }
        Ok(())
    }

    async fn end_turn(&mut self, pieces: Vec<Bytes>) -> Result<(), UploadError> {
        let turn = self.turn.take();
        let len: usize = pieces.iter().map(Bytes::len).sum();
        self.not_before = (len < SLOW_BYTES).then(|| Instant::now() + self.interval());
        let received = Received { pieces, turn };
        self.say(if len > 0 { Command::Turn(received) } else { Command::HeldUp(false) }).await
    }

    async fn wait_for_turn(&mut self) -> Result<(), UploadError> {
        if let Some(not_before) = self.not_before.take() {
            tokio::select! {
                biased;
                cause = cause_of(&mut self.failure) => return Err(cause),
                () = sleep_until(not_before) => {}
            }
        }
        self.turn = self.memory.try_turn();
        if self.turn.is_some() {
            return Ok(());
        }
        // The upload must not take it for silence of the client that it is not its turn.
        self.say(Command::HeldUp(true)).await?;
        tokio::select! {
            biased;
            cause = cause_of(&mut self.failure) => Err(cause),
            turn = self.memory.turn() => {
                self.turn = turn;
                Ok(())
            }
        }
    }

    fn interval(&self) -> Duration {
        let bodies = u32::try_from(self.memory.bodies()).unwrap_or(u32::MAX);
        GATHERED_FOR_EACH.saturating_mul(bodies).min(self.longest_interval)
    }

    async fn end(&mut self, kind: EndKind) -> Result<u64, UploadError> {
        // What follows may take long, and receives nothing.
        self.turn = None;
        let (reply, answer) = oneshot::channel();
        self.say(Command::End { kind, reply }).await?;
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(cause_of(&mut self.failure).await),
        }
    }

    async fn say(&mut self, command: Command) -> Result<(), UploadError> {
        match self.commands.send(command).await {
            Ok(()) => Ok(()),
            Err(_) => Err(cause_of(&mut self.failure).await),
        }
    }
}

/// Waits for the pump to say why it ended.
async fn cause_of(failure: &mut watch::Receiver<Option<UploadError>>) -> UploadError {
    match failure.wait_for(Option::is_some).await {
        Ok(cause) => cause.clone().unwrap_or(UploadError::Died),
        Err(_) => UploadError::Died,
    }
}
