#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512, sha_ni};

/// Code that compresses blocks of several SHA-256 digests at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LaneKernel {
    /// Two, interleaved, with SHA instructions.
    ShaNi,
    /// Eight, in AVX2 registers.
    Avx2,
    /// Sixteen, in AVX-512 registers.
    Avx512,
}

impl LaneKernel {
    /// Every one there is, the widest last.
    pub const ALL: [LaneKernel; 3] = [LaneKernel::ShaNi, LaneKernel::Avx2, LaneKernel::Avx512];

    /// How many digests it computes at once.
    pub const fn lanes(self) -> usize {
        match self {
            LaneKernel::ShaNi => 2,
            LaneKernel::Avx2 => 8,
            LaneKernel::Avx512 => LaneKernel::MOST_LANES,
        }
    }

    /// How many the widest one computes at once.
    pub(super) const MOST_LANES: usize = 16;

    /// Its name in configuration and log.
    pub fn as_str(self) -> &'static str {
        match self {
            LaneKernel::ShaNi => "sha-ni",
            LaneKernel::Avx2 => "avx2",
            LaneKernel::Avx512 => "avx512",
        }
    }

    /// Whether this processor has its instructions.
    #[cfg(target_arch = "x86_64")]
    pub fn is_supported(self) -> bool {
        match self {
            LaneKernel::ShaNi => sha_ni::is_supported(),
            LaneKernel::Avx2 => avx2::is_supported(),
            LaneKernel::Avx512 => avx512::is_supported(),
        }
    }

    /// Whether this processor has its instructions.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_supported(self) -> bool {
        false
    }

    /// Compresses the first `count` blocks of each run into the words beside it: at least one run, and at most
    /// [`LaneKernel::lanes`].
    ///
    /// # Panics
    /// Where it is not supported, and when a run is shorter.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn compress(self, words: &mut [[u32; 8]], runs: &[&[[u8; 64]]], count: usize) {
        match self {
            LaneKernel::ShaNi => sha_ni::compress(words, runs, count),
            LaneKernel::Avx2 => avx2::compress(words, runs, count),
            LaneKernel::Avx512 => avx512::compress(words, runs, count),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn compress(self, _words: &mut [[u32; 8]], _runs: &[&[[u8; 64]]], _count: usize) {
        unreachable!("it is supported nowhere else");
    }
}
