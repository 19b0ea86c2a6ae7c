use std::io;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;

use super::FakeRegistry;
use crate::registry::{BlobSender, RegistryError, SharedSocket};

/// Sends what it has; that it is less than its length is an error.
pub(super) struct FakeSender {
    pub registry: FakeRegistry,
    pub rest: Bytes,
    pub length: u64,
}

#[async_trait]
impl BlobSender for FakeSender {
    async fn send(&mut self, socket: SharedSocket, limit_bytes: u64) -> Result<io::Result<u64>, RegistryError> {
        if self.rest.is_empty() && self.length > 0 {
            return Err(RegistryError::Internal("the blob is too short".into()));
        }
        let piece = &self.rest[..self.rest.len().min(limit_bytes as usize)];
        let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
        let sent = match rustix::net::send(&*socket, piece, flags) {
            Ok(sent) => sent,
            Err(rustix::io::Errno::AGAIN) => 0,
            Err(error) => return Ok(Err(error.into())),
        };
        let _ = self.rest.split_to(sent);
        self.length -= sent as u64;
        self.registry.0.sent_directly.fetch_add(sent as u64, Ordering::SeqCst);
        Ok(Ok(sent as u64))
    }
}
