use std::collections::HashSet;

use sha2::Digest as _;

use super::tape::Tape;
use super::{Blob, Source};
use crate::load::plan::{ContentPlan, Uniqueness};

/// Small, so that tests see many laps, and no multiple of anything.
const LAP_BYTES: usize = 100_003;

fn source(uniqueness: Uniqueness, seed: u64) -> Source {
    let plan = ContentPlan { uniqueness, piece_size: 10_000, ..ContentPlan::default() };
    Source::of_tape(Tape::with_lap(seed, LAP_BYTES), &plan, seed)
}

fn bytes_of(blob: &Blob) -> Vec<u8> {
    blob.chunks(0).flatten().collect()
}

fn hex(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn digests_are_those_of_the_bytes() {
    for uniqueness in [Uniqueness::Tail, Uniqueness::Whole] {
        let source = source(uniqueness, 1);
        // Around nothing, the tail, a lap, and the places where digest states are kept; small again behind large.
        for size in
            [0, 1, 7, 63, 64, 65, 1000, 100_002, 100_003, 100_067, 1 << 20, (1 << 20) + 64, 2_500_001, 3 << 20, 5]
        {
            let blob = source.blob(size).await;
            let bytes = bytes_of(&blob);
            assert_eq!((bytes.len() as u64, blob.size()), (size, size));
            assert_eq!(blob.digest().hex(), hex(&bytes), "{size} bytes, {uniqueness:?}");
        }
    }
}

#[tokio::test]
async fn any_range_is_a_part_of_the_whole() {
    for uniqueness in [Uniqueness::Tail, Uniqueness::Whole] {
        let blob = source(uniqueness, 2).blob(250_000).await;
        let whole = bytes_of(&blob);
        for (start, end) in [(0, 1), (3, 20_000), (99_999, 200_010), (249_900, 250_000), (249_990, 300_000), (9, 9)] {
            let range: Vec<u8> = blob.range(start..end).flatten().collect();
            let expected = &whole[start as usize..end.min(250_000) as usize];
            assert_eq!(range, expected, "{start}..{end} {uniqueness:?}");
            assert!(blob.is_equal_at(start, expected));
        }
        let mut remaining = blob.chunks(100_000);
        assert_eq!(remaining.remaining(), 150_000);
        let piece = remaining.next().unwrap();
        assert_eq!(remaining.remaining(), 150_000 - piece.len() as u64);
        assert!(piece.len() <= 10_000);
        assert_eq!(blob.range(300_000..400_000).count(), 0);
    }
}

#[tokio::test]
async fn other_bytes_are_told_from_a_blobs_own() {
    let blob = source(Uniqueness::Tail, 3).blob(150_000).await;
    let mut bytes = bytes_of(&blob);
    assert!(blob.is_equal_at(0, &bytes));
    assert!(!blob.is_equal_at(1, &bytes), "longer than what is left");
    assert!(!blob.is_equal_at(u64::MAX, &bytes));
    bytes[149_999] ^= 1;
    assert!(!blob.is_equal_at(0, &bytes));
}

#[tokio::test]
async fn each_blob_is_another_one_and_each_run_the_same() {
    let (first, again) = (source(Uniqueness::Tail, 4), source(Uniqueness::Tail, 4));
    let mut seen = HashSet::new();
    for size in [8, 8, 8, 64, 64, 1000, 1000, 200_000, 200_000] {
        let blob = first.blob(size).await;
        assert_eq!(again.blob(size).await.digest(), blob.digest());
        assert!(seen.insert(blob.digest().clone()), "a second blob of {size} bytes is the first one");
    }
    let other = source(Uniqueness::Tail, 5).blob(1000).await;
    assert!(!seen.contains(other.digest()));
}

#[tokio::test]
async fn with_a_shared_tape_only_the_tail_differs() {
    let source = source(Uniqueness::Tail, 6);
    let (one, other) = (bytes_of(&source.blob(1000).await), bytes_of(&source.blob(1000).await));
    assert_eq!(one[..936], other[..936]);
    let differing = one[936..].iter().zip(&other[936..]).filter(|(one, other)| one != other).count();
    assert!(differing > 50, "{differing} bytes of the tail differ");
}

#[tokio::test]
async fn with_whole_uniqueness_no_block_is_met_twice() {
    let source = source(Uniqueness::Whole, 7);
    let mut seen = HashSet::new();
    for _ in 0..2 {
        let bytes = bytes_of(&source.blob(350_000).await);
        // Laps too: the same place of each lap is another block.
        for start in (0..349_900).step_by(LAP_BYTES) {
            for block in bytes[start..bytes.len().min(start + LAP_BYTES)].chunks_exact(512) {
                assert!(seen.insert(block.to_vec()), "a block is there twice");
            }
        }
    }
    assert!(seen.len() > 1300);
}

#[tokio::test]
async fn bytes_are_not_compressible() {
    use std::io::Write;
    for uniqueness in [Uniqueness::Tail, Uniqueness::Whole] {
        let bytes = bytes_of(&source(uniqueness, 8).blob(60_000).await);
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&bytes).unwrap();
        let compressed = encoder.finish().unwrap().len();
        assert!(compressed >= bytes.len(), "{compressed} of {} bytes, {uniqueness:?}", bytes.len());
    }
}

#[tokio::test]
async fn bytes_of_the_tape_are_not_copied() {
    let source = source(Uniqueness::Tail, 9);
    let (one, other) = (source.blob(50_000).await, source.blob(60_000).await);
    let places = |blob: &Blob| -> Vec<*const u8> { blob.chunks(0).take(4).map(|piece| piece.as_ptr()).collect() };
    assert_eq!(places(&one), places(&other));
}
