use std::hint::black_box;
use std::time::Instant;

use super::{LaneKernel, compress_alone};

/// How much of each stream one round hashes. Long enough for a clock of microseconds, short enough for a start.
const ROUND_BLOCKS: usize = (32 << 10) / 64;

/// The best of so many counts: what else runs on the machine only ever adds time.
const ROUNDS: usize = 5;

/// How fast one core hashes, in bytes a second, all lanes of a kernel together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    /// One stream alone.
    pub(super) single: f64,
    /// Two interleaved.
    pub(super) sha_ni: f64,
    /// Eight lanes.
    pub(super) avx2: f64,
    /// Sixteen lanes.
    pub(super) avx512: f64,
}

impl Rates {
    /// Measures each; 0 where the processor has not got the instructions.
    pub(super) fn measure() -> Rates {
        let blocks = vec![[0x5a; 64]; ROUND_BLOCKS];
        Rates {
            single: rate(1, || {
                let mut words = [0; 8];
                compress_alone(&mut words, black_box(&blocks));
                black_box(words);
            }),
            sha_ni: Rates::measure_kernel(LaneKernel::ShaNi, &blocks),
            avx2: Rates::measure_kernel(LaneKernel::Avx2, &blocks),
            avx512: Rates::measure_kernel(LaneKernel::Avx512, &blocks),
        }
    }

    pub(super) fn of(&self, kernel: LaneKernel) -> f64 {
        match kernel {
            LaneKernel::ShaNi => self.sha_ni,
            LaneKernel::Avx2 => self.avx2,
            LaneKernel::Avx512 => self.avx512,
        }
    }

    fn measure_kernel(kernel: LaneKernel, blocks: &[[u8; 64]]) -> f64 {
        if !kernel.is_supported() {
            return 0.0;
        }
        let lanes = kernel.lanes();
        rate(lanes, || {
            let mut words = [[0; 8]; LaneKernel::MOST_LANES];
            let runs = [black_box(blocks); LaneKernel::MOST_LANES];
            kernel.compress(&mut words[..lanes], &runs[..lanes], ROUND_BLOCKS);
            black_box(words);
        })
    }
}

fn rate(streams: usize, mut round: impl FnMut()) -> f64 {
    let shortest = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        round();
        start.elapsed().as_secs_f64()
    });
    let round_bytes = (streams * ROUND_BLOCKS * 64) as f64;
    round_bytes / shortest.fold(f64::INFINITY, f64::min).max(f64::EPSILON)
}
