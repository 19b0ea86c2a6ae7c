//! Which bytes of a batch a disk can take from where they lie in memory, and which have to be copied for it.

use std::io::IoSlice;

/// What offsets, lengths and addresses are multiples of. Disks ask for 512 or 4096.
pub(super) const ALIGNMENT: usize = 4096;

/// With less than this together, a copy costs less than another part of the write does.
const LEAST_BYTES: usize = 4 * ALIGNMENT;

/// How many parts a write has at most; the kernel takes 1024.
const MOST_PARTS: usize = 256;

/// A write past the page cache that begins at a multiple of [`ALIGNMENT`] of its file: each part begins at such a multiple
/// in memory, too, and is a multiple of it long.
#[derive(Default)]
pub(super) struct Layout<'a> {
    parts: Vec<Part<'a>>,
    /// Of all parts.
    len: usize,
    /// Of those that are copied.
    copied: usize,
}

enum Part<'a> {
    InPlace(&'a [u8]),
    /// The next bytes of the buffer.
    Copied(usize),
}

impl<'a> Layout<'a> {
    /// Of as much of the front of `pieces` as can be: what is to be copied must fit into `buffer`, and is copied.
    pub(super) fn of(pieces: &[&'a [u8]], buffer: &mut [u8]) -> Layout<'a> {
        let mut layout = Layout::default();
        for piece in pieces {
            let mut piece = *piece;
            if let Some(middle) = layout.middle_in_place(piece) {
                let (head, rest) = piece.split_at(middle.start);
                if !layout.copy(head, buffer) || layout.parts.len() >= MOST_PARTS {
                    break;
                }
                let (in_place, tail) = rest.split_at(middle.len());
                layout.len += in_place.len();
                layout.parts.push(Part::InPlace(in_place));
                piece = tail;
            }
            if !layout.copy(piece, buffer) {
                break;
            }
        }
        layout.end_at_multiple();
        layout
    }

    /// How long it is.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The parts in order; `buffer` is the one they were copied to.
    pub(super) fn slices<'b>(&self, buffer: &'b [u8]) -> Vec<IoSlice<'b>>
    where
        'a: 'b,
    {
        let mut copied = buffer;
        let slice_of = |part: &Part<'a>| match part {
            Part::InPlace(bytes) => IoSlice::new(bytes),
            Part::Copied(len) => {
                let (bytes, rest) = copied.split_at(*len);
                copied = rest;
                IoSlice::new(bytes)
            }
        };
        self.parts.iter().map(slice_of).collect()
    }

    /// What of the next piece can stay where it is.
    fn middle_in_place(&self, piece: &[u8]) -> Option<std::ops::Range<usize>> {
        let in_file = self.len % ALIGNMENT;
        if piece.as_ptr().addr() % ALIGNMENT != in_file {
            return None;
        }
        let start = (ALIGNMENT - in_file) % ALIGNMENT;
        let len = piece.len().saturating_sub(start) / ALIGNMENT * ALIGNMENT;
        (len >= LEAST_BYTES).then_some(start..start + len)
    }

    /// Copies bytes, as many as there is room for. Whether that was all.
    fn copy(&mut self, bytes: &[u8], buffer: &mut [u8]) -> bool {
        let room = &mut buffer[self.copied..];
        let len = bytes.len().min(room.len());
        if len > 0 {
            room[..len].copy_from_slice(&bytes[..len]);
            self.copied += len;
            self.len += len;
            match self.parts.last_mut() {
                Some(Part::Copied(before)) => *before += len,
                _ => self.parts.push(Part::Copied(len)),
            }
        }
        len == bytes.len()
    }

    /// Leaves off what is past the last multiple. What is in place ends at one.
    fn end_at_multiple(&mut self) {
        let past = self.len % ALIGNMENT;
        if let Some(Part::Copied(len)) = self.parts.last_mut() {
            *len -= past;
            self.len -= past;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Memory that begins at a multiple of [`ALIGNMENT`], from `skipped` on.
    struct Memory(Vec<u8>, usize);

    impl Memory {
        fn new(len: usize, seed: usize) -> Memory {
            let bytes: Vec<u8> = (0..len + 2 * ALIGNMENT).map(|at| ((at * 31 + seed) >> 3) as u8).collect();
            let skipped = bytes.as_ptr().align_offset(ALIGNMENT);
            Memory(bytes, skipped)
        }

        /// The bytes from `at` of it on.
        fn piece(&self, at: usize, len: usize) -> &[u8] {
            &self.0[self.1 + at..][..len]
        }
    }

    fn in_place(layout: &Layout<'_>) -> usize {
        layout.len()
            - layout.parts.iter().map(|part| if let Part::Copied(len) = part { *len } else { 0 }).sum::<usize>()
    }

    #[test]
    fn what_lies_as_in_its_file_stays() {
        let (head, block) = (Memory::new(5000, 1), Memory::new(100_000, 2));
        let mut buffer = Memory::new(100_000, 0);
        let buffer = &mut buffer.0;
        // As a body comes: some bytes behind the head, then a block that is filled by several reads.
        let pieces = [head.piece(77, 5000), block.piece(904, 40_000), block.piece(40_904, 50_000)];
        let layout = Layout::of(&pieces, buffer);
        assert_eq!(layout.len(), 95_000 / ALIGNMENT * ALIGNMENT);
        // The pages with a seam in them are copied, and what is behind the last whole page waits.
        assert_eq!(in_place(&layout), layout.len() - 2 * ALIGNMENT - ALIGNMENT);
    }

    #[test]
    fn what_lies_otherwise_is_copied_as_far_as_there_is_room() {
        let memory = Memory::new(100_000, 3);
        let mut buffer = vec![0; 50_000];
        let pieces = [memory.piece(1, 60_000)];
        let layout = Layout::of(&pieces, &mut buffer);
        assert_eq!((layout.len(), in_place(&layout)), (50_000 / ALIGNMENT * ALIGNMENT, 0));
        assert_eq!(Layout::of(&[memory.piece(0, ALIGNMENT - 1)], &mut buffer).len(), 0);
    }

    proptest! {
        #[test]
        fn the_parts_are_the_front_of_the_batch(
            lens in proptest::collection::vec((0_usize..3, 0_usize..40_000, any::<bool>()), 0..8),
            room in 0_usize..60_000,
        ) {
            let memories: Vec<Memory> = (0..3).map(|seed| Memory::new(500_000, seed)).collect();
            let mut at_in_memory = [0_usize; 3];
            let (mut pieces, mut at) = (Vec::new(), 0);
            for (memory, len, fits) in lens {
                let place = &mut at_in_memory[memory];
                if fits {
                    *place += (ALIGNMENT + at % ALIGNMENT - *place % ALIGNMENT) % ALIGNMENT;
                }
                pieces.push(memories[memory].piece(*place, len));
                *place += len;
                at += len;
            }
            let buffer = Memory::new(room, 9);
            let mut copied = buffer.0;
            let copied = &mut copied[buffer.1..][..room];
            let layout = Layout::of(&pieces, copied);
            let slices = layout.slices(copied);
            for slice in &slices {
                prop_assert_eq!((slice.as_ptr().addr() % ALIGNMENT, slice.len() % ALIGNMENT), (0, 0));
            }
            let written: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let expected: Vec<u8> = pieces.concat();
            prop_assert_eq!(written.len(), layout.len());
            prop_assert!(expected.starts_with(&written));
            prop_assert!(room < at || expected.len() - written.len() < ALIGNMENT);
        }
    }
}
