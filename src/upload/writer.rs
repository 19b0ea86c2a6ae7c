//! The writer of one body, as a request holds it.

use actix::Addr;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::actor::UploadActor;
use super::memory::Memory;
use super::pump::{Command, EndKind};
use super::{UploadError, UploadHandle};
use crate::oci::Digest;

/// The right to write one body. Dropping it is a cut; what it has taken is kept all the same.
pub struct Writer {
    pub(super) kind: WriterKind,
    /// How many bytes the body says it has.
    pub(super) length: Option<u64>,
    pub(super) received: u64,
}

pub(super) enum WriterKind {
    Pumped {
        commands: mpsc::Sender<Command>,
        failure: watch::Receiver<Option<UploadError>>,
        /// What all bodies together may have waiting, and how much of it a batch is.
        memory: Memory,
        batch_bytes: usize,
    },
    /// The same digest is being committed already: the body is thrown away.
    Following { upload: UploadHandle, address: Addr<UploadActor> },
}

impl Writer {
    /// Takes the next piece of the body; waits when the engine cannot keep up.
    ///
    /// # Errors
    /// What ended the right to write. [`UploadError::SizeMismatch`] when the body is longer than it said; what
    /// it said it has is kept.
    pub async fn send(&mut self, mut piece: Bytes) -> Result<(), UploadError> {
        let room = self.length.map_or(u64::MAX, |length| length - self.received);
        let is_too_long = piece.len() as u64 > room;
        if is_too_long {
            // `room` is less than the length of a piece that is in memory.
            piece.truncate(room as usize);
        }
        self.received += piece.len() as u64;
        if let WriterKind::Pumped { commands, failure, memory, batch_bytes } = &mut self.kind
            && !piece.is_empty()
        {
            if commands.send(Command::Piece(piece)).await.is_err() {
                return Err(cause_of(failure).await);
            }
            if memory.is_short(*batch_bytes) {
                // The next piece is not to be read before there is room for it. If there never will be, the next call says why.
                let _ = commands.reserve().await;
            }
        }
        if is_too_long {
            return Err(self.wrong_size().await);
        }
        Ok(())
    }

    /// Resolves when the right to write ends before its time (taken over, cancelled, a fault), with the cause.
    pub async fn lost(&mut self) -> UploadError {
        match &mut self.kind {
            WriterKind::Pumped { failure, .. } => cause_of(failure).await,
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
            WriterKind::Pumped { commands, failure, .. } => {
                let (reply, answer) = oneshot::channel();
                if commands.send(Command::End { kind, reply }).await.is_err() {
                    return Err(cause_of(failure).await);
                }
                match answer.await {
                    Ok(answer) => answer,
                    Err(_) => Err(cause_of(failure).await),
                }
            }
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
