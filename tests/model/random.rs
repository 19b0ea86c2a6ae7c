//! The one source of chance of a run: splitmix64, so that a seed says everything.

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True so many times of a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

fn mixed(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// So many bytes of a layer, from an offset on. Two layers differ nearly everywhere, and one never repeats itself, so
/// that bytes in a wrong place or of another writer show.
pub fn layer(layer: u64, offset: u64, len: usize) -> Vec<u8> {
    let byte = |at: u64| (mixed(mixed(layer) ^ (at / 8)) >> (at % 8 * 8)) as u8;
    (offset..offset + len as u64).map(byte).collect()
}
