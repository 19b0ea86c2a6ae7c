//! Eight digests at once, one in each 32-bit lane of AVX2 registers.
//!
//! `unsafe` stands here because loads and stores of vectors take addresses, and because only a processor that has the
//! instructions may come here. On a server core without SHA instructions (Cascade Lake) eight lanes hash 0.8 GB/s and
//! more where one stream hashes 0.34. `benches/hashing.rs` measures it.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::constants::ROUND_CONSTANTS;
use super::transposed::in_lanes;

pub(super) const LANES: usize = 8;

/// Whether this processor has the instructions.
pub(super) fn is_supported() -> bool {
    is_x86_feature_detected!("avx2")
}

/// Compresses `count` blocks of each run into its words. With fewer runs than lanes the rest compute for nothing.
pub(super) fn compress(words: &mut [[u32; 8]], runs: &[&[[u8; 64]]], count: usize) {
    assert!(is_supported(), "the kernel is chosen only where the processor has it");
    in_lanes(words, runs, |lanes, blocks| {
        // SAFETY: the processor has the instructions, as was just seen.
        unsafe { compress_lanes(lanes, blocks, count) };
    });
}

/// Compresses `count` blocks of each lane. The words are transposed: the first index is the word, the second the lane.
#[target_feature(enable = "avx2")]
fn compress_lanes(words: &mut [[u32; LANES]; 8], blocks: &[&[[u8; 64]]; LANES], count: usize) {
    let mut state = words.map(|word| load_words(&word));
    for index in 0..count {
        let mut schedule = [_mm256_setzero_si256(); 16];
        let (first, second) = schedule.split_at_mut(8);
        for (lane, row) in blocks.iter().enumerate() {
            (first[lane], second[lane]) = load_block(&row[index]);
        }
        transpose(first);
        transpose(second);
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
        for base in (0..64).step_by(16) {
            for step in 0..16 {
                if base > 0 {
                    let fifteen = schedule[(step + 1) % 16];
                    let two = schedule[(step + 14) % 16];
                    let small0 = xor3(ror::<7, 25>(fifteen), ror::<18, 14>(fifteen), _mm256_srli_epi32::<3>(fifteen));
                    let small1 = xor3(ror::<17, 15>(two), ror::<19, 13>(two), _mm256_srli_epi32::<10>(two));
                    schedule[step] = _mm256_add_epi32(
                        _mm256_add_epi32(schedule[step], small0),
                        _mm256_add_epi32(schedule[(step + 9) % 16], small1),
                    );
                }
                let big1 = xor3(ror::<6, 26>(e), ror::<11, 21>(e), ror::<25, 7>(e));
                let choice = _mm256_xor_si256(g, _mm256_and_si256(e, _mm256_xor_si256(f, g)));
                let constant = _mm256_set1_epi32(ROUND_CONSTANTS[base + step].cast_signed());
                let first = _mm256_add_epi32(
                    _mm256_add_epi32(_mm256_add_epi32(h, constant), schedule[step]),
                    _mm256_add_epi32(big1, choice),
                );
                let big0 = xor3(ror::<2, 30>(a), ror::<13, 19>(a), ror::<22, 10>(a));
                let majority = _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b)));
                (h, g, f, e) = (g, f, e, _mm256_add_epi32(d, first));
                (d, c, b, a) = (c, b, a, _mm256_add_epi32(first, _mm256_add_epi32(big0, majority)));
            }
        }
        for (word, add) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *word = _mm256_add_epi32(*word, add);
        }
    }
    for (word, lanes) in words.iter_mut().zip(state) {
        store_words(word, lanes);
    }
}

#[target_feature(enable = "avx2")]
fn xor3(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_xor_si256(a, _mm256_xor_si256(b, c))
}

/// Rotates each word to the right; both shifts together make 32.
#[target_feature(enable = "avx2")]
fn ror<const RIGHT: i32, const LEFT: i32>(words: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_srli_epi32::<RIGHT>(words), _mm256_slli_epi32::<LEFT>(words))
}

/// The first and the second half of a block, the bytes of each word swapped.
#[target_feature(enable = "avx2")]
fn load_block(block: &[u8; 64]) -> (__m256i, __m256i) {
    let flip = _mm256_set_epi32(
        0x0c0d_0e0f,
        0x0809_0a0b,
        0x0405_0607,
        0x0001_0203,
        0x0c0d_0e0f,
        0x0809_0a0b,
        0x0405_0607,
        0x0001_0203,
    );
    let halves = block.as_ptr().cast::<__m256i>();
    // SAFETY: both read within the 64 bytes that are borrowed; the instruction asks for no alignment.
    let (first, second) = unsafe { (_mm256_loadu_si256(halves), _mm256_loadu_si256(halves.add(1))) };
    (_mm256_shuffle_epi8(first, flip), _mm256_shuffle_epi8(second, flip))
}

#[target_feature(enable = "avx2")]
fn load_words(words: &[u32; LANES]) -> __m256i {
    // SAFETY: reads the 32 bytes that are borrowed; the instruction asks for no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn store_words(words: &mut [u32; LANES], lanes: __m256i) {
    // SAFETY: writes the 32 bytes that are borrowed for it; the instruction asks for no alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), lanes) }
}

/// Row by lane becomes row by word, of eight rows of eight words.
#[target_feature(enable = "avx2")]
fn transpose(rows: &mut [__m256i]) {
    let mut quads = [_mm256_setzero_si256(); 8];
    for half in 0..2 {
        let [a, b, c, d] = [rows[4 * half], rows[4 * half + 1], rows[4 * half + 2], rows[4 * half + 3]];
        let (ab_low, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
        let (cd_low, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
        quads[4 * half] = _mm256_unpacklo_epi64(ab_low, cd_low);
        quads[4 * half + 1] = _mm256_unpackhi_epi64(ab_low, cd_low);
        quads[4 * half + 2] = _mm256_unpacklo_epi64(ab_high, cd_high);
        quads[4 * half + 3] = _mm256_unpackhi_epi64(ab_high, cd_high);
    }
    for word in 0..4 {
        rows[word] = _mm256_permute2x128_si256::<0x20>(quads[word], quads[4 + word]);
        rows[4 + word] = _mm256_permute2x128_si256::<0x31>(quads[word], quads[4 + word]);
    }
}
