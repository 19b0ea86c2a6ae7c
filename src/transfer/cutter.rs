use bytes::Bytes;
use futures_util::StreamExt as _;

use super::ends::Pieces;
use super::error::Cause;

/// Cuts the pieces of a blob where a chunk ends.
pub(super) struct Cutter {
    pieces: Pieces,
    rest: Bytes,
}

impl Cutter {
    pub(super) fn new(pieces: Pieces) -> Self {
        Cutter { pieces, rest: Bytes::new() }
    }

    /// The next bytes, not more than `most` and at least one; `None` at the end. Dropped while it waits, it loses
    /// nothing.
    pub(super) async fn next(&mut self, most: u64) -> Result<Option<Bytes>, Cause> {
        while self.rest.is_empty() {
            match self.pieces.next().await {
                Some(piece) => self.rest = piece?,
                None => return Ok(None),
            }
        }
        let length = most.min(self.rest.len() as u64) as usize;
        Ok(Some(self.rest.split_to(length)))
    }
}
