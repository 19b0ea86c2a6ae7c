use std::fmt;
use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram as Hdr;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// The longest time that is told apart from longer ones, in microseconds: a day.
const LONGEST_MICROSECONDS: u64 = 24 * 3600 * 1_000_000;

/// A cookie and a length stand before the compressed bytes.
const COMPRESSED_HEAD_BYTES: usize = 8;

/// All counters of a histogram as wide as ours, at nine bytes each, are a tenth of this.
const LONGEST_PLAIN_BYTES: u64 = 4 << 20;

/// How many decimal digits of a time are kept.
const DIGITS: u8 = 3;

/// Times of one kind, counted in an HDR histogram of microseconds.
#[derive(Clone, Debug)]
pub struct Histogram(Hdr<u64>);

impl Histogram {
    /// Without any time.
    pub fn new() -> Self {
        let histogram = Hdr::new_with_bounds(1, LONGEST_MICROSECONDS, DIGITS);
        Histogram(histogram.expect("bounds and digits are constants within what is allowed"))
    }

    /// Adds one; longer ones than a day count as a day.
    pub fn record(&mut self, time: Duration) {
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(microseconds.max(1));
    }

    /// Adds all of another.
    pub fn add(&mut self, other: &Histogram) {
        // Fails only when the bounds differ, and ours are all the same.
        let _ = self.0.add(&other.0);
    }

    /// How many times were recorded.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time below which the share `quantile` (0 to 1) of all lies, in microseconds; 0 where there is none.
    pub fn quantile_us(&self, quantile: f64) -> u64 {
        match self.0.is_empty() {
            true => 0,
            false => self.0.value_at_quantile(quantile),
        }
    }

    /// What stands in a report.
    pub fn summary(&self) -> Latency {
        let mut encoded = Vec::new();
        // Fails only on a writer that fails, and memory does not.
        let _ = V2DeflateSerializer::new().serialize(&self.0, &mut encoded);
        Latency {
            count: self.0.len(),
            min_us: if self.0.is_empty() { 0 } else { self.0.min() },
            mean_us: self.0.mean(),
            p50_us: self.quantile_us(0.5),
            p90_us: self.quantile_us(0.9),
            p99_us: self.quantile_us(0.99),
            p999_us: self.quantile_us(0.999),
            max_us: self.0.max(),
            histogram: STANDARD.encode(encoded),
        }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram::new()
    }
}

/// Times of one kind, in microseconds, as a report tells them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// The shortest; 0 where there is none.
    pub min_us: u64,
    /// Their mean.
    pub mean_us: f64,
    /// Half of them were not longer.
    pub p50_us: u64,
    /// Nine in ten were not longer.
    pub p90_us: u64,
    /// 99 in 100 were not longer.
    pub p99_us: u64,
    /// 999 in 1000 were not longer.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
    /// All of them: an HDR histogram of microseconds in its compressed form (version 2, deflate), base64. Reports are
    /// added up by it.
    pub histogram: String,
}

impl Latency {
    /// The histogram behind it.
    ///
    /// # Errors
    /// [`LatencyError`] when it is not one, or not of as many times as are told.
    pub fn histogram(&self) -> Result<Histogram, LatencyError> {
        if self.histogram.is_empty() && self.count == 0 {
            return Ok(Histogram::new());
        }
        let plain = inflate(&self.histogram)?;
        let read: Hdr<u64> = Deserializer::new().deserialize(&mut &plain[..]).map_err(LatencyError::new)?;
        let mut histogram = Histogram::new();
        histogram.0.add(&read).map_err(LatencyError::new)?;
        match histogram.count() == self.count {
            true => Ok(histogram),
            false => Err(LatencyError(format!("it holds {} times of {}", histogram.count(), self.count))),
        }
    }
}

/// The histogram's plain form. It tells its own length, for which its reader would get memory before it looks whether
/// there is as much; a report may come from anybody, so this looks before.
fn inflate(encoded: &str) -> Result<Vec<u8>, LatencyError> {
    let compressed = STANDARD.decode(encoded).map_err(LatencyError::new)?;
    let stream = compressed.get(COMPRESSED_HEAD_BYTES..).ok_or_else(|| LatencyError("it is too short".to_owned()))?;
    let mut plain = Vec::new();
    ZlibDecoder::new(stream).take(LONGEST_PLAIN_BYTES).read_to_end(&mut plain).map_err(LatencyError::new)?;
    let told = plain.get(4..8).and_then(|length| <[u8; 4]>::try_from(length).ok()).map(u32::from_be_bytes);
    match told.and_then(|told| usize::try_from(told).ok()) {
        Some(told) if told <= plain.len() => Ok(plain),
        _ => Err(LatencyError("it is cut short".to_owned())),
    }
}

/// A report's histogram cannot be read.
#[derive(Debug)]
pub struct LatencyError(String);

impl LatencyError {
    fn new(cause: impl fmt::Display) -> Self {
        LatencyError(cause.to_string())
    }
}

impl fmt::Display for LatencyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "histogram cannot be read: {}", self.0)
    }
}

impl std::error::Error for LatencyError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(microseconds: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::new();
        for time in microseconds {
            histogram.record(Duration::from_micros(time));
        }
        histogram
    }

    /// Three digits are kept.
    #[track_caller]
    fn assert_near(found: u64, expected: u64) {
        assert!(found.abs_diff(expected) <= expected / 1000 + 1, "{found} instead of {expected}");
    }

    #[test]
    fn quantiles_of_known_times_are_right() {
        let summary = of((1..=10_000).map(|n| n * 100)).summary();
        assert_eq!(summary.count, 10_000);
        assert_near(summary.min_us, 100);
        assert_near(summary.p50_us, 500_000);
        assert_near(summary.p90_us, 900_000);
        assert_near(summary.p99_us, 990_000);
        assert_near(summary.p999_us, 999_000);
        assert_near(summary.max_us, 1_000_000);
        assert!((summary.mean_us - 500_050.0).abs() < 500.0, "{}", summary.mean_us);
    }

    #[test]
    fn no_time_at_all_has_a_summary_of_zeros() {
        let summary = Histogram::new().summary();
        assert_eq!((summary.count, summary.min_us, summary.p99_us, summary.max_us), (0, 0, 0, 0));
        assert_eq!(summary.mean_us, 0.0);
        assert_eq!(summary.histogram().unwrap().count(), 0);
        assert_eq!(Latency::default().histogram().unwrap().count(), 0);
    }

    #[test]
    fn what_was_added_up_after_reading_equals_what_was_recorded_at_once() {
        let (some, others) = ([3, 70, 70, 1_000_000], [1, 70, 900, 86_400_000_000 * 2]);
        let mut sum = of(some).summary().histogram().unwrap();
        sum.add(&of(others).summary().histogram().unwrap());
        assert_eq!(sum.summary(), of(some.into_iter().chain(others)).summary());
    }

    #[test]
    fn histograms_that_lie_are_refused() {
        let good = of([1, 2, 3]).summary();
        let told_more = Latency { count: 4, ..good.clone() };
        assert_eq!(told_more.histogram().unwrap_err().to_string(), "histogram cannot be read: it holds 3 times of 4");
        for broken in ["", "!", "AAAA", &good.histogram[..good.histogram.len() / 2 / 4 * 4]] {
            let latency = Latency { histogram: broken.to_owned(), ..good.clone() };
            assert!(latency.histogram().is_err(), "{broken}");
        }
    }

    #[test]
    fn a_length_that_is_not_there_costs_no_memory() {
        use std::io::Write as _;

        let mut plain = vec![0x1c, 0x84, 0x93, 0x13];
        plain.extend(u32::MAX.to_be_bytes());
        plain.extend([0; 40]);
        let mut compressed = flate2::write::ZlibEncoder::new(vec![0; COMPRESSED_HEAD_BYTES], Default::default());
        compressed.write_all(&plain).unwrap();
        let latency =
            Latency { count: 1, histogram: STANDARD.encode(compressed.finish().unwrap()), ..Latency::default() };
        assert_eq!(latency.histogram().unwrap_err().to_string(), "histogram cannot be read: it is cut short");
    }
}
