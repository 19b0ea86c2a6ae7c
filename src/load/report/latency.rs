use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram as Hdr;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// The longest time that is told apart from longer ones, in microseconds: a day.
const LONGEST_MICROSECONDS: u64 = 24 * 3600 * 1_000_000;

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
    /// [`LatencyError`] when it is not one.
    pub fn histogram(&self) -> Result<Histogram, LatencyError> {
        if self.histogram.is_empty() && self.count == 0 {
            return Ok(Histogram::new());
        }
        let encoded = STANDARD.decode(&self.histogram).map_err(|error| LatencyError(error.to_string()))?;
        let read: Hdr<u64> =
            Deserializer::new().deserialize(&mut &encoded[..]).map_err(|error| LatencyError(error.to_string()))?;
        let mut histogram = Histogram::new();
        histogram.0.add(&read).map_err(|error| LatencyError(error.to_string()))?;
        Ok(histogram)
    }
}

/// A report's histogram cannot be read.
#[derive(Debug)]
pub struct LatencyError(String);

impl fmt::Display for LatencyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "histogram cannot be read: {}", self.0)
    }
}

impl std::error::Error for LatencyError {}
