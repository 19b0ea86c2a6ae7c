use std::fmt;
use std::sync::OnceLock;

use super::measure::Rates;
use super::{Lane, LaneKernel};

/// How far one step hashes each stream: after it others can join. Sixteen streams' steps take about half a millisecond
/// on a core that hashes 2 GB/s in lanes.
const STEP_BLOCKS: usize = (64 << 10) / 64;

/// Which kernel hashes how many streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanePlan {
    /// For many, and from how many on.
    wide: Option<(LaneKernel, usize)>,
    /// Whether two are interleaved where they are too few for the wide kernel.
    pairs: bool,
}

impl LanePlan {
    /// Every stream is hashed alone.
    pub const SINGLE: LanePlan = LanePlan { wide: None, pairs: false };

    /// The fastest for this processor: by its instructions, and by a measurement of a few milliseconds, taken once in
    /// each process.
    pub fn fastest() -> LanePlan {
        static FASTEST: OnceLock<LanePlan> = OnceLock::new();
        *FASTEST.get_or_init(|| LanePlan::by(Rates::measure()))
    }

    /// What the environment variable `LONGSHORE__HASHING__LANES` forces (by the names of `hashing.lanes`), if it is set;
    /// else the fastest. Configuration reads that variable, too; here it reaches pools that are started without any:
    /// those of tests and benchmarks.
    ///
    /// # Panics
    /// When it forces what this processor has not, or what there is not: a test that was to be forced and is not would
    /// show nothing.
    pub fn current() -> LanePlan {
        let Ok(name) = std::env::var("LONGSHORE__HASHING__LANES") else {
            return LanePlan::fastest();
        };
        let kernel = LaneKernel::ALL.into_iter().find(|kernel| kernel.as_str() == name);
        match (name.as_str(), kernel) {
            ("auto", _) => LanePlan::fastest(),
            ("single", _) => LanePlan::SINGLE,
            (_, Some(kernel)) => {
                LanePlan::forced(kernel).expect("the processor has what LONGSHORE__HASHING__LANES says")
            }
            _ => panic!("LONGSHORE__HASHING__LANES is none of auto, single, sha-ni, avx2, avx512"),
        }
    }

    /// One kernel whenever two streams or more wait, whether it gains or not. `None` where the processor lacks its
    /// instructions.
    pub fn forced(kernel: LaneKernel) -> Option<LanePlan> {
        let plan = match kernel {
            LaneKernel::ShaNi => LanePlan { wide: None, pairs: true },
            LaneKernel::Avx2 | LaneKernel::Avx512 => LanePlan { wide: Some((kernel, 2)), pairs: false },
        };
        kernel.is_supported().then_some(plan)
    }

    /// How many streams one thread hashes at once at most.
    pub fn lanes(&self) -> usize {
        match self.wide {
            Some((kernel, _)) => kernel.lanes(),
            None if self.pairs => LaneKernel::ShaNi.lanes(),
            None => 1,
        }
    }

    /// What runs for so many streams on one thread; `None`: each alone.
    pub fn kernel_for(&self, streams: usize) -> Option<LaneKernel> {
        match self.wide {
            Some((kernel, from)) if streams >= from => Some(kernel),
            _ => (self.pairs && streams >= 2).then_some(LaneKernel::ShaNi),
        }
    }

    /// On how many threads so many streams are hashed with the least work.
    pub(in crate::hashing) fn threads_for(&self, streams: usize) -> usize {
        self.kernel_for(streams).map_or(streams, |kernel| streams.div_ceil(kernel.lanes()))
    }

    pub(super) fn by(rates: Rates) -> LanePlan {
        let pairs = rates.of(LaneKernel::ShaNi) > rates.single * WORTH_IT;
        let narrow = if pairs { rates.of(LaneKernel::ShaNi) } else { rates.single };
        let wide = [LaneKernel::Avx2, LaneKernel::Avx512].map(|kernel| (rates.of(kernel), kernel));
        let (rate, kernel) = if wide[1].0 > wide[0].0 { wide[1] } else { wide[0] };
        // A lane that is not used costs as much as one that is.
        let from = (2..=kernel.lanes())
            .find(|streams| rate * *streams as f64 / kernel.lanes() as f64 > narrow * WORTH_IT)
            .map(|from| (kernel, from));
        LanePlan { wide: from, pairs }
    }

    /// Hashes some blocks of each of several lanes, which [`Lane::fits_kernels`] holds for. Those with nothing left are
    /// passed over.
    pub(in crate::hashing) fn step(&self, lanes: &mut [Lane]) {
        let mut waiting: Vec<(usize, &mut Lane)> = Vec::with_capacity(lanes.len());
        for lane in lanes {
            let blocks = lane.prepare();
            if blocks > 0 {
                waiting.push((blocks, lane));
            }
        }
        match self.kernel_for(waiting.len()) {
            Some(kernel) => waiting.chunks_mut(kernel.lanes()).for_each(|group| step_together(kernel, group)),
            None => waiting.iter_mut().for_each(|(blocks, lane)| step_alone(*blocks, lane)),
        }
    }
}

/// `16 by avx512 from 7 on, 2 by sha-ni`.
impl fmt::Display for LanePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = LaneKernel::ShaNi;
        match (self.wide, self.pairs) {
            (Some((kernel, from)), true) => {
                write!(f, "{} by {} from {from} on, ", kernel.lanes(), kernel.as_str())?;
                write!(f, "{} by {}", pairs.lanes(), pairs.as_str())
            }
            (Some((kernel, from)), false) => write!(f, "{} by {} from {from} on", kernel.lanes(), kernel.as_str()),
            (None, true) => write!(f, "{} by {}", pairs.lanes(), pairs.as_str()),
            (None, false) => f.write_str("single"),
        }
    }
}

/// A gain below this is none: it would be lost in handing over.
const WORTH_IT: f64 = 1.1;

fn step_together(kernel: LaneKernel, group: &mut [(usize, &mut Lane)]) {
    if let [(blocks, lane)] = group {
        return step_alone(*blocks, lane);
    }
    let count = group.iter().map(|(blocks, _)| *blocks).min().unwrap_or(0).min(STEP_BLOCKS);
    let mut words = [[0; 8]; LaneKernel::MOST_LANES];
    let mut runs: [&[[u8; 64]]; LaneKernel::MOST_LANES] = [&[]; LaneKernel::MOST_LANES];
    for ((_, lane), (words, run)) in group.iter().zip(words.iter_mut().zip(&mut runs)) {
        (*words, *run) = lane.run();
    }
    kernel.compress(&mut words[..group.len()], &runs[..group.len()], count);
    for ((_, lane), words) in group.iter_mut().zip(words) {
        lane.advance(words, count);
    }
}

fn step_alone(blocks: usize, lane: &mut Lane) {
    let count = blocks.min(STEP_BLOCKS);
    let (mut words, run) = lane.run();
    super::compress_alone(&mut words, &run[..count]);
    lane.advance(words, count);
}
