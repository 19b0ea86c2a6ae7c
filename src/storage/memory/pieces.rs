use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};

use crate::storage::ByteStream;

/// Pieces smaller than this are copied together: each would keep the whole buffer alive that it was cut from, which
/// no count of bytes sees.
const SMALL_PIECE_BYTES: usize = 16 * 1024;

/// The most that is copied into one piece, and the most that a stream yields at once.
const LARGEST_PIECE_BYTES: usize = 1024 * 1024;

/// What a piece costs beside its bytes: its place here and the head of its allocation.
const PIECE_OVERHEAD_BYTES: u64 = 64;

/// Bytes in order, kept as they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
struct Piece {
    /// The offset behind its last byte.
    end: u64,
    data: Bytes,
}

impl Pieces {
    pub(super) fn of(data: Bytes) -> Self {
        let mut pieces = Pieces::default();
        pieces.append(vec![data]);
        pieces
    }

    /// How many bytes there are.
    pub(super) fn size_bytes(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.end)
    }

    /// How much memory they take, about.
    pub(super) fn cost_bytes(&self) -> u64 {
        self.size_bytes() + self.pieces.len() as u64 * PIECE_OVERHEAD_BYTES
    }

    pub(super) fn append(&mut self, batch: Vec<Bytes>) {
        let mut small = BytesMut::new();
        for data in batch {
            if data.len() < SMALL_PIECE_BYTES && small.len() < LARGEST_PIECE_BYTES {
                small.extend_from_slice(&data);
                continue;
            }
            self.push(exact(&mut small));
            self.push(data);
        }
        self.push(exact(&mut small));
    }

    /// Appends what another holds, as it is.
    pub(super) fn extend(&mut self, other: Pieces) {
        for piece in other.pieces {
            self.push(piece.data);
        }
    }

    fn push(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.pieces.push(Piece { end: self.size_bytes() + data.len() as u64, data });
        }
    }

    /// Forgets everything from `size_bytes` on.
    pub(super) fn truncate(&mut self, size_bytes: u64) {
        self.pieces.truncate(self.index_of(size_bytes) + 1);
        let Some(last) = self.pieces.last_mut() else { return };
        let surplus = last.end.saturating_sub(size_bytes) as usize;
        last.data.truncate(last.data.len().saturating_sub(surplus));
        last.end = last.end.min(size_bytes);
        if last.data.is_empty() {
            self.pieces.pop();
        }
    }

    /// All of them in one.
    pub(super) fn to_bytes(&self) -> Bytes {
        if let [piece] = self.pieces.as_slice() {
            return piece.data.clone();
        }
        self.pieces
            .iter()
            .fold(BytesMut::new(), |mut whole, piece| {
                whole.extend_from_slice(&piece.data);
                whole
            })
            .freeze()
    }

    /// Streams `range`, which must lie within; the bytes are shared, not copied.
    pub(super) fn stream(self: Arc<Self>, range: Range<u64>) -> ByteStream {
        let next = move |(pieces, offset): (Arc<Pieces>, u64)| async move {
            let data = pieces.piece_at(offset..range.end)?;
            let after = offset + data.len() as u64;
            Some((Ok(data), (pieces, after)))
        };
        stream::unfold((self, range.start), next).boxed()
    }

    /// The first bytes of `range`, as many as lie together.
    fn piece_at(&self, range: Range<u64>) -> Option<Bytes> {
        if range.is_empty() {
            return None;
        }
        let piece = self.pieces.get(self.index_of(range.start))?;
        let start = (range.start + piece.data.len() as u64 - piece.end) as usize;
        let length = (range.end.min(piece.end) - range.start).min(LARGEST_PIECE_BYTES as u64) as usize;
        Some(piece.data.slice(start..start + length))
    }

    /// The piece that holds the byte at `offset`.
    fn index_of(&self, offset: u64) -> usize {
        self.pieces.partition_point(|piece| piece.end <= offset)
    }
}

/// What was gathered, in an allocation of its own size.
fn exact(gathered: &mut BytesMut) -> Bytes {
    let data = Bytes::copy_from_slice(gathered);
    gathered.clear();
    data
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    #[test]
    fn small_pieces_are_copied_together_and_large_ones_are_kept() {
        let large = Bytes::from(vec![7; SMALL_PIECE_BYTES]);
        let mut pieces = Pieces::default();
        pieces.append(vec![Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"c"), large.clone()]);
        assert_eq!(pieces.pieces.len(), 2);
        assert_eq!(pieces.pieces[0].data, "abc");
        assert_eq!(pieces.pieces[1].data.as_ptr(), large.as_ptr());
        assert_eq!(pieces.size_bytes(), 3 + large.len() as u64);
    }

    #[tokio::test]
    async fn any_cut_and_any_range_give_the_right_bytes() {
        let whole: Vec<u8> = (0..3 * SMALL_PIECE_BYTES + 10).map(|at| (at / 7) as u8).collect();
        let mut pieces = Pieces::default();
        for chunk in whole.chunks(SMALL_PIECE_BYTES) {
            pieces.append(vec![Bytes::copy_from_slice(chunk)]);
        }
        let edges = [0, 1, SMALL_PIECE_BYTES - 1, SMALL_PIECE_BYTES, SMALL_PIECE_BYTES + 1, whole.len()];
        for end in edges {
            let mut cut = pieces.clone();
            cut.truncate(end as u64);
            assert_eq!(cut.to_bytes(), &whole[..end]);
            for start in edges.into_iter().filter(|start| *start <= end) {
                let stream = Arc::new(pieces.clone()).stream(start as u64..end as u64);
                let read: Vec<Bytes> = stream.try_collect().await.unwrap();
                assert_eq!(read.concat(), &whole[start..end]);
            }
        }
    }
}
