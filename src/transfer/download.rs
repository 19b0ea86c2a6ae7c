//! A blob into a layout.

use futures_util::StreamExt as _;

use super::context::Context;
use super::ends::named;
use super::error::{End, TransferError};
use super::patience::Patience;
use super::progress::{BlobOutcome, Event};
use crate::layout::{LayoutError, LayoutWriter, PartialBlob};
use crate::oci::Descriptor;

pub(super) async fn download(
    context: &Context,
    writer: &LayoutWriter,
    blob: &Descriptor,
) -> Result<BlobOutcome, TransferError> {
    let digest = &blob.digest;
    let found = writer.stat(digest).await.map_err(End::Destination.failed(named(digest)))?;
    // One of another length is none of ours, and is replaced.
    if found == Some(blob.size) {
        return Ok(BlobOutcome::AlreadyThere);
    }
    let mut sent_bytes = 0;
    loop {
        let begun = writer.begin(digest, blob.size).await;
        let mut partial = begun.map_err(End::Destination.failed(named(digest)))?;
        let resumed_from = partial.resumed_from();
        context.begun(blob, resumed_from);
        fill(context, blob, &mut partial, &mut sent_bytes).await?;
        match partial.finish().await {
            Ok(()) => return Ok(BlobOutcome::Copied { sent_bytes, resumed_from }),
            // What an earlier run left was not what it should be; it is gone now.
            Err(LayoutError::DigestMismatch { .. }) if resumed_from > 0 => {
                interrupted(context, blob, "what was there is not what it should be");
            }
            Err(LayoutError::DigestMismatch { expected, actual }) => {
                return Err(TransferError::DigestMismatch { expected, actual });
            }
            Err(error) => return Err(End::Destination.failed(named(digest))(error)),
        }
    }
}

/// Reads until all is there, going on where it broke off.
async fn fill(
    context: &Context,
    blob: &Descriptor,
    partial: &mut PartialBlob,
    sent_bytes: &mut u64,
) -> Result<(), TransferError> {
    let mut patience = Patience::default();
    while partial.offset() < blob.size {
        let Err(error) = fill_once(context, blob, partial, sent_bytes).await else { continue };
        let Some(delay) = patience.wait(&error, partial.offset()) else { return Err(error) };
        interrupted(context, blob, &error.to_string());
        tokio::time::sleep(delay).await;
    }
    Ok(())
}

async fn fill_once(
    context: &Context,
    blob: &Descriptor,
    partial: &mut PartialBlob,
    sent_bytes: &mut u64,
) -> Result<(), TransferError> {
    let mut pieces = context.source.open(blob, partial.offset()).await?;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(End::Source.failed(named(&blob.digest)))?;
        let length = piece.len() as u64;
        partial.write(piece).await.map_err(End::Destination.failed(named(&blob.digest)))?;
        *sent_bytes += length;
        context.advanced(&blob.digest, partial.offset());
    }
    match partial.offset() == blob.size {
        true => Ok(()),
        false => Err(super::ends::wrong_size(blob, partial.offset())),
    }
}

fn interrupted(context: &Context, blob: &Descriptor, cause: &str) {
    context.tell(Event::BlobInterrupted { digest: &blob.digest, cause });
}
