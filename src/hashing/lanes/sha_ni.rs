//! Two digests at once with SHA instructions: one waits for its round while the other computes.
//!
//! `unsafe` stands here because loads and stores of vectors take addresses, and because only a processor that has the
//! instructions may come here. On Zen 5 two interleaved streams hash 2.3 to 3.0 GB/s where one hashes 1.8 to 2.05.
//! `benches/hashing.rs` measures it.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::constants::ROUND_CONSTANTS;

pub(super) const LANES: usize = 2;

/// Whether this processor has the instructions.
pub(super) fn is_supported() -> bool {
    is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3")
}

/// Compresses `count` blocks of each run into its words. With one run the other lane computes for nothing.
pub(super) fn compress(words: &mut [[u32; 8]], runs: &[&[[u8; 64]]], count: usize) {
    assert!(is_supported(), "the kernel is chosen only where the processor has it");
    assert_eq!(words.len(), runs.len(), "each run has its words");
    let mut lanes = [words[0]; LANES];
    let mut blocks = [runs[0]; LANES];
    lanes[..words.len()].copy_from_slice(words);
    blocks[..runs.len()].copy_from_slice(runs);
    // SAFETY: the processor has the instructions, as was just seen.
    unsafe { compress_lanes(&mut lanes, &blocks, count) };
    words.copy_from_slice(&lanes[..words.len()]);
}

/// Compresses `count` blocks of each lane.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn compress_lanes(words: &mut [[u32; 8]; LANES], blocks: &[&[[u8; 64]]; LANES], count: usize) {
    let flip = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let [(mut abef0, mut cdgh0), (mut abef1, mut cdgh1)] = [load_state(&words[0]), load_state(&words[1])];
    for (first, second) in blocks[0][..count].iter().zip(&blocks[1][..count]) {
        let (saved0, saved1) = ((abef0, cdgh0), (abef1, cdgh1));
        let mut schedule0 = load_block(first, flip);
        let mut schedule1 = load_block(second, flip);
        for group in 0..16 {
            let slot = group % 4;
            if group >= 4 {
                schedule0[slot] = next_words(&schedule0, slot);
                schedule1[slot] = next_words(&schedule1, slot);
            }
            let constants = load_constants(group);
            let added0 = _mm_add_epi32(schedule0[slot], constants);
            let added1 = _mm_add_epi32(schedule1[slot], constants);
            cdgh0 = _mm_sha256rnds2_epu32(cdgh0, abef0, added0);
            cdgh1 = _mm_sha256rnds2_epu32(cdgh1, abef1, added1);
            abef0 = _mm_sha256rnds2_epu32(abef0, cdgh0, _mm_shuffle_epi32::<0x0e>(added0));
            abef1 = _mm_sha256rnds2_epu32(abef1, cdgh1, _mm_shuffle_epi32::<0x0e>(added1));
        }
        (abef0, cdgh0) = (_mm_add_epi32(abef0, saved0.0), _mm_add_epi32(cdgh0, saved0.1));
        (abef1, cdgh1) = (_mm_add_epi32(abef1, saved1.0), _mm_add_epi32(cdgh1, saved1.1));
    }
    store_state(&mut words[0], abef0, cdgh0);
    store_state(&mut words[1], abef1, cdgh1);
}

/// Four further words of the schedule, in place of the oldest ones.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn next_words(schedule: &[__m128i; 4], slot: usize) -> __m128i {
    let [oldest, second, third, newest] =
        [schedule[slot], schedule[(slot + 1) % 4], schedule[(slot + 2) % 4], schedule[(slot + 3) % 4]];
    let begun = _mm_add_epi32(_mm_sha256msg1_epu32(oldest, second), _mm_alignr_epi8::<4>(newest, third));
    _mm_sha256msg2_epu32(begun, newest)
}

#[target_feature(enable = "sse2")]
fn load_constants(group: usize) -> __m128i {
    let [a, b, c, d] = [4 * group, 4 * group + 1, 4 * group + 2, 4 * group + 3];
    let constant = |index: usize| ROUND_CONSTANTS[index].cast_signed();
    _mm_set_epi32(constant(d), constant(c), constant(b), constant(a))
}

/// The order that the instructions want: words a b e f, and c d g h.
#[target_feature(enable = "sse2,ssse3,sse4.1")]
fn load_state(words: &[u32; 8]) -> (__m128i, __m128i) {
    let halves = words.as_ptr().cast::<__m128i>();
    // SAFETY: both read within the 32 bytes that are borrowed; the instruction asks for no alignment.
    let (dcba, hgfe) = unsafe { (_mm_loadu_si128(halves), _mm_loadu_si128(halves.add(1))) };
    let (cdab, efgh) = (_mm_shuffle_epi32::<0xb1>(dcba), _mm_shuffle_epi32::<0x1b>(hgfe));
    (_mm_alignr_epi8::<8>(cdab, efgh), _mm_blend_epi16::<0xf0>(efgh, cdab))
}

#[target_feature(enable = "sse2,ssse3,sse4.1")]
fn store_state(words: &mut [u32; 8], abef: __m128i, cdgh: __m128i) {
    let (feba, dchg) = (_mm_shuffle_epi32::<0x1b>(abef), _mm_shuffle_epi32::<0xb1>(cdgh));
    let (dcba, hgfe) = (_mm_blend_epi16::<0xf0>(feba, dchg), _mm_alignr_epi8::<8>(dchg, feba));
    let halves = words.as_mut_ptr().cast::<__m128i>();
    // SAFETY: both write within the 32 bytes that are borrowed for it; the instruction asks for no alignment.
    unsafe {
        _mm_storeu_si128(halves, dcba);
        _mm_storeu_si128(halves.add(1), hgfe);
    }
}

#[target_feature(enable = "sse2,ssse3")]
fn load_block(block: &[u8; 64], flip: __m128i) -> [__m128i; 4] {
    let quarters = block.as_ptr().cast::<__m128i>();
    // SAFETY: all read within the 64 bytes that are borrowed; the instruction asks for no alignment.
    let [a, b, c, d] = unsafe {
        [
            _mm_loadu_si128(quarters),
            _mm_loadu_si128(quarters.add(1)),
            _mm_loadu_si128(quarters.add(2)),
            _mm_loadu_si128(quarters.add(3)),
        ]
    };
    [_mm_shuffle_epi8(a, flip), _mm_shuffle_epi8(b, flip), _mm_shuffle_epi8(c, flip), _mm_shuffle_epi8(d, flip)]
}
