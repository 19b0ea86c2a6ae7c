//! What a pump gathers of its body, before it hands it over.

use bytes::Bytes;
use tokio::time::Instant;

use super::memory::Share;
use super::turns::{Received, Turn};

/// What came of a body and is not handed over yet.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) pieces: Vec<Bytes>,
    /// For what is in it, and for some that may come.
    pub(super) share: Share,
    pub(super) len: usize,
    /// When it must go, full or not.
    pub(super) due: Option<Instant>,
    /// The turn in which it was received.
    pub(super) turn: Option<Turn>,
}

impl Batch {
    /// How much of the memory a piece needs beyond what the batch has.
    pub(super) fn missing_for(&self, piece: &Bytes) -> usize {
        (self.len + piece.len()).saturating_sub(self.share.bytes())
    }

    pub(super) fn push(&mut self, piece: Bytes, share: Share, due: Instant) {
        self.len += piece.len();
        self.pieces.push(piece);
        self.share.add(share);
        self.due.get_or_insert(due);
    }

    /// What was received in a turn needs no memory beside it, and gathered before: so it goes at once.
    pub(super) fn push_turn(&mut self, received: Received) {
        self.len += received.pieces.iter().map(Bytes::len).sum::<usize>();
        self.pieces.extend(received.pieces);
        self.due = Some(Instant::now());
        self.turn = received.turn;
    }

    /// Takes off what is behind the first `len` bytes, with its part of the memory.
    pub(super) fn split_off(&mut self, len: usize, due: Instant) -> Batch {
        let mut rest = Batch::default();
        while self.len > len
            && let Some(mut piece) = self.pieces.pop()
        {
            self.len -= piece.len();
            let mut behind = piece.split_off(len.saturating_sub(self.len));
            if self.turn.is_some() {
                // Part of a page, for which no whole block is to be held past the turn.
                behind = Bytes::copy_from_slice(&behind);
            }
            if !piece.is_empty() {
                self.len += piece.len();
                self.pieces.push(piece);
            }
            let share = self.share.split_off(behind.len());
            rest.push(behind, share, due);
        }
        rest.pieces.reverse();
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;

    #[tokio::test]
    async fn what_is_split_off_a_batch_comes_later_and_keeps_its_part_of_the_memory() {
        let memory = Memory::new(1 << 20).body();
        let due = Instant::now();
        for len in 0..=12_300 {
            let mut batch = Batch::default();
            for piece in [Bytes::from(vec![1; 4000]), Bytes::from(vec![2; 300]), Bytes::from(vec![3; 8000])] {
                let share = memory.try_take(piece.len(), 1).expect("there is memory");
                batch.push(piece, share, due);
            }
            let all = batch.pieces.concat();
            let rest = batch.split_off(len, due);
            assert_eq!((batch.len, rest.len), (len, all.len() - len));
            assert_eq!((batch.pieces.concat(), rest.pieces.concat()), (all[..len].to_vec(), all[len..].to_vec()));
            assert!(rest.pieces.is_empty() || rest.due.is_some());
            assert!(memory.try_take((1 << 20) - 4 * 4096 + 1, 1).is_none(), "some was given back while it is in use");
            drop((batch, rest));
            assert!(memory.try_take(1 << 20, 1).is_some(), "some was not given back");
        }
    }
}
