//! Memory that bodies are received into, used again: fresh memory has to be got from the kernel page by page, which costs
//! as much as receiving does.

use std::cell::RefCell;

use bytes::BytesMut;

/// How large a block is. Reads of a fast body fill a good part of it at once.
pub(super) const BLOCK_BYTES: usize = 256 * 1024;

/// How many blocks that were given back a thread keeps, of which pieces may still be under way.
const MOST_KEPT: usize = 32;

thread_local! {
    static KEPT: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty block: one whose pieces are all gone, or a new one.
pub(super) fn take() -> BytesMut {
    KEPT.with_borrow_mut(|kept| {
        // The last one that came back is most likely in the processor's cache.
        let free = kept.iter_mut().rposition(|block| block.try_reclaim(BLOCK_BYTES));
        free.map(|at| kept.swap_remove(at))
    })
    .unwrap_or_else(|| BytesMut::with_capacity(BLOCK_BYTES))
}

/// Gives a block back of which everything was split off.
pub(super) fn give_back(mut block: BytesMut) {
    block.clear();
    KEPT.with_borrow_mut(|kept| {
        if kept.len() == MOST_KEPT {
            kept.remove(0);
        }
        kept.push(block);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_again_when_its_pieces_are_gone() {
        let mut block = take();
        block.extend_from_slice(b"piece");
        let place = block.as_ptr();
        let piece = block.split().freeze();
        give_back(block);
        let other = take();
        assert_ne!(other.as_ptr(), place);
        assert_eq!(piece, "piece");
        drop(piece);
        let again = take();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        assert!(again.capacity() >= BLOCK_BYTES);
    }

    #[test]
    fn only_some_are_kept() {
        for _ in 0..2 * MOST_KEPT {
            give_back(BytesMut::with_capacity(10));
        }
        KEPT.with_borrow(|kept| assert_eq!(kept.len(), MOST_KEPT));
        assert!(take().capacity() >= BLOCK_BYTES, "too small a block does not come again");
    }
}
