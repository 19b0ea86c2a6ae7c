//! Memory that bodies are received into, used again: fresh memory has to be got from the kernel page by page, which costs
//! as much as receiving does.
//!
//! What is received lies in a page of memory as it will lie in a page of its file, so that a disk can take it from there.

use std::cell::RefCell;

use bytes::{Buf as _, BytesMut};

/// How large a block is. Reads of a fast body fill a good part of it at once.
pub(super) const BLOCK_BYTES: usize = 256 * 1024;

/// Of memory, and of files.
const PAGE_BYTES: usize = 4096;

/// With less room than this a block is full: many small reads would cost more than the memory does.
const LEAST_ROOM: usize = 16 * 1024;

/// Room for a page's part before the first byte, and for one behind the last.
const BLOCK_CAPACITY: usize = BLOCK_BYTES + 2 * PAGE_BYTES;

/// How many blocks that were given back a thread keeps, of which pieces may still be under way.
const MOST_KEPT: usize = 32;

thread_local! {
    static KEPT: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty block, one whose pieces are all gone or a new one, for bytes from `offset` of a file on.
pub(super) fn take(offset: u64) -> BytesMut {
    let mut block = KEPT
        .with_borrow_mut(|kept| {
            // The last one that came back is most likely in the processor's cache.
            let free = kept.iter_mut().rposition(|block| block.try_reclaim(BLOCK_CAPACITY));
            free.map(|at| kept.swap_remove(at))
        })
        .unwrap_or_else(|| BytesMut::with_capacity(BLOCK_CAPACITY));
    make_fit(&mut block, offset);
    block
}

/// Makes the room of an empty block begin where bytes from `offset` of a file on can lie. Whether it is room enough.
pub(super) fn make_fit(block: &mut BytesMut, offset: u64) -> bool {
    let in_page = (offset % PAGE_BYTES as u64) as usize;
    let skipped = (PAGE_BYTES + in_page - block.as_ptr().addr() % PAGE_BYTES) % PAGE_BYTES;
    if block.capacity() < skipped + PAGE_BYTES {
        return false;
    }
    block.resize(skipped, 0);
    block.advance(skipped);
    room(block) >= LEAST_ROOM
}

/// How much can be received into a block of which everything received before was split off. It ends with a page.
pub(super) fn room(block: &BytesMut) -> usize {
    let end = block.as_ptr().addr() + block.capacity();
    block.capacity().saturating_sub(end % PAGE_BYTES)
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
        let mut block = take(0);
        block.extend_from_slice(b"piece");
        let place = block.as_ptr();
        let piece = block.split().freeze();
        give_back(block);
        let other = take(0);
        assert_ne!(other.as_ptr(), place);
        assert_eq!(piece, "piece");
        drop(piece);
        let again = take(0);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        assert!(room(&again) >= BLOCK_BYTES);
    }

    #[test]
    fn bytes_lie_in_memory_as_in_their_file() {
        for offset in [0, 1, 511, 4095, 4096, 10_000, u64::MAX] {
            let mut block = take(offset);
            let first_room = room(&block);
            assert!((BLOCK_BYTES..=BLOCK_CAPACITY).contains(&first_room), "{first_room} for {offset}");
            assert_eq!(block.as_ptr().addr() as u64 % 4096, offset % 4096);
            assert_eq!((block.as_ptr().addr() + first_room) % 4096, 0);
            block.extend_from_slice(&[1; 1000]);
            drop(block.split());
            assert_eq!(room(&block), first_room - 1000);
            let next = offset.wrapping_add(1000);
            assert!(make_fit(&mut block, next));
            assert_eq!(room(&block), first_room - 1000, "what follows on it follows in memory");
            assert!(make_fit(&mut block, next.wrapping_add(7)));
            assert_eq!(block.as_ptr().addr() as u64 % 4096, next.wrapping_add(7) % 4096);
            let left = room(&block) - LEAST_ROOM;
            block.extend_from_slice(&vec![1; left + 1]);
            drop(block.split());
            assert!(!make_fit(&mut block, next.wrapping_add(8 + left as u64)), "little room is none");
            give_back(block);
        }
    }

    #[test]
    fn only_some_are_kept() {
        for _ in 0..2 * MOST_KEPT {
            give_back(BytesMut::with_capacity(10));
        }
        KEPT.with_borrow(|kept| assert_eq!(kept.len(), MOST_KEPT));
        assert!(take(0).capacity() >= BLOCK_BYTES, "too small a block does not come again");
    }
}
