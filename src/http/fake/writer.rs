//! The writer of a body, which keeps what it is sent.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;

use super::FakeUpload;
use crate::oci::Digest;
use crate::registry::*;

/// How much is received in a turn.
const TURN_BYTES: usize = 10_000;

pub(super) struct FakeWriter {
    pub upload: FakeUpload,
    pub length: Option<u64>,
    pub received: u64,
    pub discard_on_cut: bool,
}

impl FakeWriter {
    fn check_length(&self) -> Result<u64, RegistryError> {
        let offset = self.upload.status_now()?.offset;
        match self.length {
            Some(length) if length != self.received => Err(RegistryError::SizeInvalid { offset }),
            _ => Ok(offset),
        }
    }
}

#[async_trait]
impl UploadWriter for FakeWriter {
    async fn send(&mut self, piece: Bytes) -> Result<(), RegistryError> {
        let registry = &self.upload.registry;
        let received = registry.0.received.fetch_add(piece.len() as u64, Ordering::SeqCst) + piece.len() as u64;
        self.received += piece.len() as u64;
        let mut state = registry.state();
        if let Some((limit, error)) = &state.fail_send_after
            && received > *limit
        {
            return Err(error());
        }
        let kept = state.uploads.get_mut(&self.upload.id).ok_or(RegistryError::Superseded)?;
        let is_placed = kept.len() % 4096 == piece.as_ptr().addr() % 4096;
        kept.extend_from_slice(&piece);
        state.placed += if is_placed { piece.len() as u64 } else { 0 };
        Ok(())
    }

    fn takes_turns(&self) -> bool {
        self.upload.registry.state().turns.is_some()
    }

    async fn turn(&mut self) -> Result<usize, RegistryError> {
        tokio::task::yield_now().await;
        if let Some(turns) = &mut self.upload.registry.state().turns {
            *turns += 1;
        }
        Ok(TURN_BYTES)
    }

    async fn lost(&mut self) -> RegistryError {
        self.upload.registry.0.takeover.notified().await;
        self.upload.registry.state().loss.as_ref().map_or(RegistryError::Superseded, |error| error())
    }

    async fn finish(self: Box<Self>) -> Result<u64, RegistryError> {
        self.check_length()
    }

    async fn cut(self: Box<Self>) -> Result<u64, RegistryError> {
        if self.discard_on_cut {
            self.upload.cancel().await?;
        }
        Ok(self.upload.status_now()?.offset)
    }

    async fn commit(self: Box<Self>, digest: &Digest) -> Result<u64, RegistryError> {
        self.check_length()?;
        self.upload.commit_now(digest).await
    }
}
