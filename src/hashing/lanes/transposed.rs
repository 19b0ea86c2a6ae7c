//! Digests' words as kernels of vectors take them: word by lane in place of lane by word.

/// Has `compress` work on the words of each lane and its blocks. With fewer runs than lanes the first run stands in for
/// the rest, and what comes of them is dropped.
pub(super) fn in_lanes<const LANES: usize>(
    words: &mut [[u32; 8]],
    runs: &[&[[u8; 64]]],
    compress: impl FnOnce(&mut [[u32; LANES]; 8], &[&[[u8; 64]]; LANES]),
) {
    assert_eq!(words.len(), runs.len(), "each run has its words");
    let mut lanes = [[0; LANES]; 8];
    let mut blocks = [runs[0]; LANES];
    blocks[..runs.len()].copy_from_slice(runs);
    for (lane, words) in words.iter().enumerate() {
        for (word, row) in words.iter().zip(&mut lanes) {
            row[lane] = *word;
        }
    }
    compress(&mut lanes, &blocks);
    for (lane, words) in words.iter_mut().enumerate() {
        for (word, row) in words.iter_mut().zip(&lanes) {
            *word = row[lane];
        }
    }
}
