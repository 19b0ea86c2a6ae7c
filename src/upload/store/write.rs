//! Taking a batch of a body in.

use bytes::Bytes;
use futures_util::StreamExt;

use super::whole::is_untouched;
use super::*;
use crate::storage::ByteStream;
use crate::telemetry::DirectionLabels;

impl UploadStore {
    /// Compares the first `overlap` bytes of a batch that starts at `offset` with what is kept there and appends the
    /// rest; gives how many bytes are kept then.
    ///
    /// Hashing runs behind: when this returns, all but the batch itself has been hashed.
    ///
    /// # Errors
    /// [`UploadError::RangeMismatch`] when the overlap differs; nothing is changed then.
    pub async fn write(
        &self,
        parts: &mut Parts,
        offset: u64,
        overlap: u64,
        mut pieces: Vec<Bytes>,
    ) -> Result<u64, UploadError> {
        let kept = self.ensure_open(parts).await?;
        let (Some(writer), Some(hasher)) = (parts.writer.as_mut(), parts.hasher.as_mut()) else {
            return self.compare_with_published(parts, offset, overlap, kept, pieces).await;
        };
        if overlap > 0 {
            let overlapping = split_front(&mut pieces, overlap);
            let stream = writer.read(offset..offset + overlap).await?;
            if !equals(stream, &overlapping).await? {
                return Err(UploadError::RangeMismatch { offset: kept });
            }
        }
        let len: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        if len == 0 {
            return Ok(kept);
        }
        if offset + overlap != kept {
            return Err(UploadError::Gap);
        }
        hasher.feed(kept, pieces.clone())?;
        writer.append(pieces).await?;
        hasher.wait_until(kept).await?;
        parts.progress_at = self.clock.now_utc();
        self.metrics.blob_bytes.get_or_create(&DirectionLabels { direction: "in" }).inc_by(len);
        Ok(writer.offset())
    }

    /// Waits until what was written before `kept` is hashed, so that nothing of it is in memory any more.
    pub async fn wait_until_hashed(&self, parts: &Parts, kept: u64) -> Result<(), UploadError> {
        match &parts.hasher {
            Some(hasher) if parts.writer.is_some() => Ok(hasher.wait_until(kept).await.map(drop)?),
            _ => Ok(()),
        }
    }

    /// Takes a batch that an interrupted commit has published already: the same PUT is sent again, body and all. No
    /// byte can be added.
    async fn compare_with_published(
        &self,
        parts: &Parts,
        offset: u64,
        overlap: u64,
        kept: u64,
        mut pieces: Vec<Bytes>,
    ) -> Result<u64, UploadError> {
        let overlapping = split_front(&mut pieces, overlap);
        let differs = UploadError::RangeMismatch { offset: kept };
        let (Some((digest, _)), true) = (&parts.record.commit, pieces.is_empty()) else { return Err(differs) };
        let published = self.driver.read(&keys::blob_data(digest), Some(offset..offset + overlap)).await?;
        if !equals(published.stream, &overlapping).await? {
            return Err(differs);
        }
        Ok(kept)
    }

    /// Opens the partial if it is not; makes it when there is none yet.
    pub(super) async fn ensure_open(&self, parts: &mut Parts) -> Result<u64, UploadError> {
        if let Some(writer) = &parts.writer {
            return Ok(writer.offset());
        }
        if !is_untouched(parts) {
            let offset = self.reopen(parts).await?;
            if parts.writer.is_some() || parts.record.commit.is_some() {
                return Ok(offset);
            }
        }
        if parts.file.is_none() {
            parts.file = self.files.take().await;
        }
        if parts.record.checkpoint.boot != *self.boot {
            self.note_boot(parts).await?;
        }
        let key = keys::upload_data(&parts.record.repository, parts.record.id);
        parts.writer = Some(self.driver.create_partial(&key).await?);
        Ok(0)
    }
}

/// Takes the first `len` bytes off the pieces.
fn split_front(pieces: &mut Vec<Bytes>, len: u64) -> Vec<Bytes> {
    let mut front = Vec::new();
    let mut missing = len;
    while missing > 0 && !pieces.is_empty() {
        let take = missing.min(pieces[0].len() as u64);
        // `take` is at most the length of a piece that is in memory.
        front.push(pieces[0].split_to(take as usize));
        if pieces[0].is_empty() {
            pieces.remove(0);
        }
        missing -= take;
    }
    front
}

async fn equals(mut stream: ByteStream, pieces: &[Bytes]) -> Result<bool, UploadError> {
    let len: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
    let mut expected = pieces.iter().flat_map(|piece| piece.iter());
    let mut compared = 0;
    while let Some(kept) = stream.next().await {
        let kept = kept?;
        compared += kept.len() as u64;
        if !kept.iter().all(|byte| expected.next() == Some(byte)) {
            return Ok(false);
        }
    }
    Ok(compared == len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_split_across_pieces() {
        let mut pieces = vec![Bytes::from_static(b"ab"), Bytes::from_static(b"cdef"), Bytes::from_static(b"g")];
        let front = split_front(&mut pieces, 3);
        assert_eq!(front.concat(), b"abc");
        assert_eq!(pieces.concat(), b"defg");
    }
}
