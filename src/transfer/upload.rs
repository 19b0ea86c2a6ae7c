//! A blob into a registry.

use std::ops::Range;

use super::context::Context;
use super::cutter::Cutter;
use super::ends::{RepositoryEnd, named, wrong_size};
use super::error::{Cause, End, TransferError};
use super::journal::{Claim, Journal};
use super::patience::Patience;
use super::progress::{BlobOutcome, Event};
use crate::hashing::RunningDigest;
use crate::oci::Descriptor;
use crate::services::{RegistryError, StartPoint, Upload, UploadWriter, WriteRequest};

/// How often an upload is begun anew that the registry has lost.
const MOST_LOSSES: u32 = 3;

pub(super) async fn upload(
    context: &Context,
    end: &RepositoryEnd,
    journal: Option<&Journal>,
    blob: &Descriptor,
) -> Result<BlobOutcome, TransferError> {
    if is_there(end, blob).await? {
        if let Some(mut claim) = claim(end, journal, blob).await {
            claim.forget().await;
        }
        return Ok(BlobOutcome::AlreadyThere);
    }
    if let Some(sibling) = context.sibling(end) {
        // A registry that does not mount is pushed to.
        if let Ok(Some(_)) = end.repository.blobs().mount(&blob.digest, Some(sibling.name())).await {
            return Ok(BlobOutcome::Mounted);
        }
    }
    let claim = claim(end, journal, blob).await;
    Push { context, end, blob, claim, sent_bytes: 0, verifier: None }.run().await
}

/// The journal's page for this blob, if there is a journal and nobody else has the page.
async fn claim(end: &RepositoryEnd, journal: Option<&Journal>, blob: &Descriptor) -> Option<Claim> {
    journal?.claim(&end.address, end.name(), blob).await
}

async fn is_there(end: &RepositoryEnd, blob: &Descriptor) -> Result<bool, TransferError> {
    match end.repository.blobs().stat(&blob.digest).await {
        Ok(_) => Ok(true),
        Err(RegistryError::BlobUnknown(_) | RegistryError::NameUnknown) => Ok(false),
        Err(error) => Err(End::Destination.failed(named(&blob.digest))(error)),
    }
}

struct Push<'a> {
    context: &'a Context,
    end: &'a RepositoryEnd,
    blob: &'a Descriptor,
    claim: Option<Claim>,
    sent_bytes: u64,
    /// The digest of what was sent, where all of it is known.
    verifier: Option<RunningDigest>,
}

/// An upload and what it holds.
struct Open {
    upload: Box<dyn Upload>,
    offset: u64,
}

impl Push<'_> {
    async fn run(mut self) -> Result<BlobOutcome, TransferError> {
        let mut losses = 0;
        loop {
            let open = match self.reopen().await? {
                Some(open) => open,
                None => self.start().await?,
            };
            let resumed_from = open.offset;
            self.context.begun(self.blob, resumed_from);
            match self.send_all(open).await {
                Ok(()) => {
                    self.forget().await;
                    return Ok(BlobOutcome::Copied { sent_bytes: self.sent_bytes, resumed_from });
                }
                Err(error) => {
                    let was_lost = is_lost(&error);
                    // What an earlier run had sent may have been something else.
                    let was_wrong = is_mismatch(&error) && resumed_from > 0;
                    if was_lost {
                        self.forget().await;
                    }
                    losses += 1;
                    if !(was_lost || was_wrong) || losses > MOST_LOSSES {
                        return Err(error);
                    }
                    self.interrupted(&error);
                }
            }
        }
    }

    /// The upload of an earlier run, if the registry still has it. What the journal says is a hint, no more.
    async fn reopen(&mut self) -> Result<Option<Open>, TransferError> {
        let Some(ticket) = self.claim.as_ref().and_then(Claim::ticket) else { return Ok(None) };
        let mut patience = Patience::default();
        loop {
            let opened = async {
                let upload = self.end.repository.uploads().reopen(&ticket).await?;
                let offset = upload.status().await?.offset;
                Ok(Open { upload, offset })
            };
            let error = match opened.await {
                Ok(open) if open.offset <= self.blob.size => return Ok(Some(open)),
                Ok(open) => {
                    self.abandon(&*open.upload).await;
                    return Ok(None);
                }
                Err(error) => self.failed(error),
            };
            let Some(delay) = patience.wait(&error, 0) else {
                // Whatever it is, it must not keep the push from being made anew.
                self.forget().await;
                return Ok(None);
            };
            tokio::time::sleep(delay).await;
        }
    }

    async fn start(&mut self) -> Result<Open, TransferError> {
        let mut patience = Patience::default();
        loop {
            let error = match self.end.repository.uploads().start(self.blob.digest.algorithm()).await {
                Ok(upload) => {
                    self.record(&*upload).await;
                    return Ok(Open { upload, offset: 0 });
                }
                Err(error) => self.failed(error),
            };
            let Some(delay) = patience.wait(&error, 0) else { return Err(error) };
            self.interrupted(&error);
            tokio::time::sleep(delay).await;
        }
    }

    /// Sends what is missing and commits, going on where it broke off.
    async fn send_all(&mut self, mut open: Open) -> Result<(), TransferError> {
        let mut patience = Patience::default();
        loop {
            let Err(error) = self.send_and_commit(&mut open).await else { return Ok(()) };
            // It may have been committed although the answer did not come.
            if is_lost(&error) && is_there(self.end, self.blob).await? {
                return Ok(());
            }
            let Some(delay) = patience.wait(&error, open.offset) else { return Err(error) };
            self.interrupted(&error);
            tokio::time::sleep(delay).await;
            match open.upload.status().await {
                Ok(status) => open.offset = status.offset,
                Err(error @ RegistryError::UploadUnknown) => return self.unless_there(error).await,
                // The next attempt tells whether it is back.
                Err(_) => {}
            }
            if open.offset > self.blob.size {
                self.abandon(&*open.upload).await;
                return Err(self.failed(RegistryError::UploadUnknown));
            }
            self.context.advanced(&self.blob.digest, open.offset);
        }
    }

    async fn unless_there(&self, error: RegistryError) -> Result<(), TransferError> {
        match is_there(self.end, self.blob).await? {
            true => Ok(()),
            false => Err(self.failed(error)),
        }
    }

    async fn send_and_commit(&mut self, open: &mut Open) -> Result<(), TransferError> {
        if open.offset < self.blob.size {
            self.verifier = self.verified_to(open.offset).await?;
            let pieces = self.context.source.open(self.blob, open.offset).await?;
            self.send(open, &mut Cutter::new(pieces)).await?;
        }
        self.commit(open).await
    }

    /// In one body, or in chunks of the wanted length.
    async fn send(&mut self, open: &mut Open, pieces: &mut Cutter) -> Result<(), TransferError> {
        let size = self.blob.size;
        while open.offset < size {
            let chunk = self.context.options.chunk_size_bytes;
            let end = chunk.map_or(size, |chunk| size.min(open.offset.saturating_add(chunk.max(1))));
            // The whole of a blob needs no range, which some registries do not take.
            let is_whole = open.offset == 0 && end == size;
            let start = if is_whole { StartPoint::Current } else { StartPoint::Exactly(open.offset) };
            let length = Some(end - open.offset);
            let request = WriteRequest { start, length, digest: None, discard_on_cut: false };
            let writer = open.upload.write(request).await.map_err(|error| self.failed(error))?;
            open.offset = self.send_body(writer, pieces, open.offset..end).await?;
            self.record(&*open.upload).await;
            if open.offset != end {
                return Err(self.failed(RegistryError::SizeInvalid { offset: open.offset }));
            }
        }
        Ok(())
    }

    /// Gives how much the upload holds then.
    async fn send_body(
        &mut self,
        mut writer: Box<dyn UploadWriter>,
        pieces: &mut Cutter,
        range: Range<u64>,
    ) -> Result<u64, TransferError> {
        let digest = &self.blob.digest;
        let mut offset = range.start;
        while offset < range.end {
            let piece = tokio::select! {
                piece = pieces.next(range.end - offset) => piece,
                error = writer.lost() => return Err(self.failed(error)),
            };
            let piece = match piece {
                Ok(Some(piece)) => piece,
                // What was sent is kept, to go on from there.
                Ok(None) => return cut(writer, wrong_size(self.blob, offset)).await,
                Err(cause) => return cut(writer, End::Source.failed(named(digest))(cause)).await,
            };
            let length = piece.len() as u64;
            if let Some(verifier) = &mut self.verifier {
                verifier.update(&piece);
            }
            writer.send(piece).await.map_err(|error| self.failed(error))?;
            offset += length;
            self.sent_bytes += length;
            self.context.advanced(digest, offset);
        }
        writer.finish().await.map_err(|error| self.failed(error))
    }

    async fn commit(&mut self, open: &Open) -> Result<(), TransferError> {
        let expected = &self.blob.digest;
        if let Some(verifier) = self.verifier.as_ref().filter(|verifier| verifier.offset() == self.blob.size) {
            let actual = verifier.finish();
            if actual != *expected {
                self.abandon(&*open.upload).await;
                return Err(TransferError::DigestMismatch { expected: expected.clone(), actual });
            }
        }
        match open.upload.commit(expected).await {
            Ok(_) => Ok(()),
            Err(error) => {
                if matches!(error, RegistryError::DigestMismatch { .. }) {
                    self.abandon(&*open.upload).await;
                }
                Err(self.failed(error))
            }
        }
    }

    /// The digest of what lies before `offset`: as it was sent, or read again where that is cheap. Elsewhere only the
    /// registry sees all of it.
    async fn verified_to(&mut self, offset: u64) -> Result<Option<RunningDigest>, TransferError> {
        if let Some(known) = self.verifier.take().filter(|known| known.offset() == offset) {
            return Ok(Some(known));
        }
        let mut running = RunningDigest::new(self.blob.digest.algorithm());
        if offset == 0 {
            return Ok(Some(running));
        }
        if !self.context.source.is_near() {
            return Ok(None);
        }
        let mut pieces = Cutter::new(self.context.source.open(self.blob, 0).await?);
        while running.offset() < offset {
            let piece = pieces.next(offset - running.offset()).await;
            let piece = piece.map_err(End::Source.failed(named(&self.blob.digest)))?;
            running.update(&piece.ok_or_else(|| wrong_size(self.blob, running.offset()))?);
        }
        Ok(Some(running))
    }

    /// Ends an upload that nothing will come of. If that fails, the registry will see to it.
    async fn abandon(&mut self, upload: &dyn Upload) {
        let _ = upload.cancel().await;
        self.forget().await;
    }

    async fn record(&mut self, upload: &dyn Upload) {
        if let Some(claim) = &mut self.claim {
            claim.record(upload.ticket()).await;
        }
    }

    async fn forget(&mut self) {
        if let Some(claim) = &mut self.claim {
            claim.forget().await;
        }
    }

    fn failed(&self, error: RegistryError) -> TransferError {
        End::Destination.failed(named(&self.blob.digest))(error)
    }

    fn interrupted(&self, error: &TransferError) {
        let cause = error.to_string();
        self.context.tell(Event::BlobInterrupted { digest: &self.blob.digest, cause: &cause });
    }
}

/// Lets the registry keep what it has, and says why it gets no more.
async fn cut(writer: Box<dyn UploadWriter>, error: TransferError) -> Result<u64, TransferError> {
    // When this fails too, the next look at the upload tells how much there is.
    let _ = writer.cut().await;
    Err(error)
}

fn is_lost(error: &TransferError) -> bool {
    let cause = registry_error(error);
    matches!(cause, Some(RegistryError::UploadUnknown | RegistryError::UploadExpired { .. }))
}

/// Whether the registry says so. What the verifier says is certain.
fn is_mismatch(error: &TransferError) -> bool {
    matches!(registry_error(error), Some(RegistryError::DigestMismatch { .. }))
}

fn registry_error(error: &TransferError) -> Option<&RegistryError> {
    match error {
        TransferError::Failed { end: End::Destination, cause: Cause::Registry(error), .. } => Some(error),
        _ => None,
    }
}
