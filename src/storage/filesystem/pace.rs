//! Whether the disk takes writes as fast as they come.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What a disk takes at least each second to be called fast.
const LEAST_RATE: usize = 128 * 1024 * 1024;

/// How long a write may take, however short it is: one that has to go over a network takes about so long.
const LEAST_TIME: Duration = Duration::from_millis(1);

/// So many slow writes, one after the other, make a slow disk. A single one may have waited for a processor.
const SLOW_IN_A_ROW: usize = 8;

/// How long it is taken for slow then. Each try may hold up as many bodies as there are writes in a row.
const SLOW_FOR: Duration = Duration::from_secs(10);

/// The pace of a disk, by the writes that waited for it.
#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    slow_in_a_row: AtomicUsize,
    /// In milliseconds since `start`.
    slow_until: AtomicU64,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace { start: Instant::now(), slow_in_a_row: AtomicUsize::new(0), slow_until: AtomicU64::new(0) }
    }

    /// Whether nothing was slow lately.
    pub(super) fn is_fast(&self, now: Instant) -> bool {
        self.since_start(now) >= self.slow_until.load(Ordering::Relaxed)
    }

    /// Notes how long a write of so many bytes took, which was one of `at_once` on the way.
    pub(super) fn note(&self, bytes: usize, at_once: usize, took: Duration, now: Instant) {
        let expected = Duration::from_secs_f64(bytes as f64 / LEAST_RATE as f64).max(LEAST_TIME);
        if took <= expected.saturating_mul(u32::try_from(at_once).unwrap_or(u32::MAX)) {
            self.slow_in_a_row.store(0, Ordering::Relaxed);
            return;
        }
        if self.slow_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= SLOW_IN_A_ROW {
            self.slow_in_a_row.store(0, Ordering::Relaxed);
            let until = self.since_start(now + SLOW_FOR);
            self.slow_until.store(until, Ordering::Relaxed);
            log::debug!("the disk is slow: uploads are written to the page cache for a while");
        }
    }

    fn since_start(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn a_disk_is_slow_after_some_slow_writes_in_a_row_and_for_a_while() {
        let pace = Pace::new();
        let now = Instant::now();
        let (fast, slow) = (Duration::from_millis(7), Duration::from_millis(9));
        for took in [slow, fast].repeat(2 * SLOW_IN_A_ROW) {
            pace.note(MIB, 1, took, now);
            assert!(pace.is_fast(now), "a MiB may take 8 ms");
        }
        for _ in 0..SLOW_IN_A_ROW - 1 {
            pace.note(MIB, 1, slow, now);
        }
        assert!(pace.is_fast(now));
        pace.note(MIB, 1, slow, now);
        assert!(!pace.is_fast(now));
        assert!(!pace.is_fast(now + SLOW_FOR - Duration::from_millis(2)));
        assert!(pace.is_fast(now + SLOW_FOR + Duration::from_millis(2)), "it is tried again");
    }

    #[test]
    fn many_at_once_and_short_ones_may_take_longer() {
        let pace = Pace::new();
        let now = Instant::now();
        for _ in 0..2 * SLOW_IN_A_ROW {
            pace.note(MIB, 10, Duration::from_millis(79), now);
            pace.note(4096, 1, Duration::from_micros(900), now);
        }
        assert!(pace.is_fast(now));
        for _ in 0..SLOW_IN_A_ROW {
            pace.note(4096, 1, Duration::from_millis(2), now);
        }
        assert!(!pace.is_fast(now));
    }
}
