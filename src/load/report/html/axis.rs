//! Where a value lies on an axis, and which values are written beside it.

use crate::text::{latency, quantity, time};
use std::time::Duration;

/// Lines across a chart: about so many.
const TICKS: f64 = 5.0;

const SIZE_UNITS: [(&str, f64); 5] = [
    ("TiB/s", (1_u64 << 40) as f64),
    ("GiB/s", (1_u64 << 30) as f64),
    ("MiB/s", (1_u64 << 20) as f64),
    ("KiB/s", 1024.0),
    ("B/s", 1.0),
];

/// Steps of a time axis, in seconds; beyond the last its multiples by ten.
const TIME_STEPS: [f64; 14] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0];

/// A scale from 0 to 1, with the places that are labelled.
pub(super) struct Axis {
    /// What the labels count, where they do not say it themselves.
    pub(super) unit: &'static str,
    /// Where, and what stands there.
    pub(super) ticks: Vec<(f64, String)>,
    from: f64,
    to: f64,
    is_logarithmic: bool,
}

impl Axis {
    /// Bytes in a second, from nothing to at least `most`.
    pub(super) fn bytes_per_second(most: f64) -> Self {
        let (unit, factor) = SIZE_UNITS.into_iter().find(|(_, factor)| most >= *factor).unwrap_or(("B/s", 1.0));
        Axis { unit, ..Axis::linear(most, nice_step(most / factor) * factor, |value| number(value / factor)) }
    }

    /// Numbers from nothing to at least `most`.
    pub(super) fn numbers(most: f64) -> Self {
        Axis::linear(most, nice_step(most), number)
    }

    /// Seconds from the start on, to exactly `most`.
    pub(super) fn seconds(most: f64) -> Self {
        let least = (most / TICKS).max(1.0);
        let known = TIME_STEPS.into_iter().find(|step| *step >= least);
        let step = known.unwrap_or_else(|| 7200.0 * 10_f64.powf((least / 7200.0).log10().ceil()));
        let label = |value: f64| time(Duration::try_from_secs_f64(value).unwrap_or_default());
        let mut axis = Axis::linear(most, step, label);
        axis.to = most.max(1.0);
        let to = axis.to;
        axis.ticks = steps(step, to).map(|value| (value / to, label(value))).collect();
        axis
    }

    /// Times from `least` to `most`, in microseconds; every factor takes the same room.
    pub(super) fn microseconds(least: f64, most: f64) -> Self {
        let least = least.max(1.0);
        let from = rounded_down(least);
        let to = rounded_up(most.max(least * 1.01)).max(from * 10.0);
        let decades = (to / from).log10();
        let factors: &[f64] = match decades {
            decades if decades <= 2.0 => &[1.0, 2.0, 5.0],
            decades if decades <= 3.2 => &[1.0, 3.0],
            _ => &[1.0],
        };
        // Of many decades every second or third.
        let every = (decades / 6.0).ceil().max(1.0) as i32;
        let mut axis = Axis { unit: "", ticks: Vec::new(), from, to, is_logarithmic: true };
        for exponent in (0..20).step_by(usize::try_from(every).unwrap_or(1)) {
            for factor in factors {
                let value = factor * 10_f64.powi(exponent);
                if value >= from * 0.999 && value <= to * 1.001 {
                    axis.ticks.push((axis.place(value), short_latency(value)));
                }
            }
        }
        axis
    }

    /// Shares of requests: as far from one another as ten times fewer are slower. `requests` are there.
    pub(super) fn percentiles(requests: f64) -> Self {
        let labels = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"];
        let to = requests.max(10.0).log10().min(6.0);
        let ticks = labels.iter().enumerate().map(|(decade, label)| (decade as f64 / to, (*label).to_owned()));
        let ticks = ticks.filter(|(place, _)| *place <= 1.0).collect();
        Axis { unit: "", ticks, from: 0.0, to, is_logarithmic: false }
    }

    /// Where a value lies, 0 to 1; what is beyond the axis is at its end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = match self.is_logarithmic {
            true => (value.max(self.from) / self.from).ln() / (self.to / self.from).ln(),
            false => (value - self.from) / (self.to - self.from),
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }

    fn linear(most: f64, step: f64, label: impl Fn(f64) -> String) -> Self {
        let to = ((most / step).ceil() * step).max(step);
        let ticks = steps(step, to).map(|value| (value / to, label(value))).collect();
        Axis { unit: "", ticks, from: 0.0, to, is_logarithmic: false }
    }
}

fn steps(step: f64, to: f64) -> impl Iterator<Item = f64> {
    // Never more, whatever the numbers are.
    (0..32).map(move |index| f64::from(index) * step).take_while(move |value| *value <= to * 1.000_001)
}

/// One, two or five times a power of ten, so that a few steps reach `most`.
fn nice_step(most: f64) -> f64 {
    if !(most > 0.0 && most.is_finite()) {
        return 1.0;
    }
    let rough = most / TICKS;
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough * 0.999).unwrap_or(10.0 * power)
}

fn rounded_down(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [5.0, 2.0].into_iter().map(|factor| factor * power).find(|rounded| *rounded <= value).unwrap_or(power)
}

fn rounded_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|factor| factor * power).find(|rounded| *rounded >= value).unwrap_or(10.0 * power)
}

/// `5`, `0.25`, `10 M`: without digits that say nothing.
fn number(value: f64) -> String {
    let text = quantity(value);
    let (digits, unit) =
        text.split_once(' ').map_or((text.as_str(), ""), |(digits, _)| (digits, &text[digits.len()..]));
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    format!("{digits}{unit}")
}

/// `2 ms` and not `2.00 ms`.
fn short_latency(microseconds: f64) -> String {
    latency(microseconds).replace(".00", "").replace(".0", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn labels_are_few_and_round() {
        let mib = f64::from(1 << 20);
        let axis = Axis::bytes_per_second(430.0 * mib);
        assert_eq!((axis.unit, labels(&axis)), ("MiB/s", vec!["0", "100", "200", "300", "400", "500"]));
        assert_eq!(labels(&Axis::numbers(0.9)), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(labels(&Axis::numbers(1.2e7)), ["0", "5 M", "10 M", "15 M"]);
        assert_eq!(labels(&Axis::seconds(95.0)), ["0s", "20s", "40s", "1m", "1m20s"]);
        assert_eq!(
            labels(&Axis::microseconds(150.0, 90_000.0)),
            ["100 µs", "300 µs", "1 ms", "3 ms", "10 ms", "30 ms", "100 ms"]
        );
        assert_eq!(labels(&Axis::microseconds(15.0, 90_000.0)), ["10 µs", "100 µs", "1 ms", "10 ms", "100 ms"]);
        assert_eq!(labels(&Axis::microseconds(150.0, 900.0)), ["100 µs", "200 µs", "500 µs", "1 ms"]);
        assert_eq!(labels(&Axis::percentiles(5000.0)), ["0 %", "90 %", "99 %", "99.9 %"]);
    }

    #[test]
    fn values_lie_between_their_labels() {
        let axis = Axis::numbers(100.0);
        assert_eq!([axis.place(0.0), axis.place(50.0), axis.place(100.0), axis.place(1e9)], [0.0, 0.5, 1.0, 1.0]);
        let axis = Axis::microseconds(100.0, 10_000.0);
        assert!((axis.place(1000.0) - 0.5).abs() < 1e-9);
        assert_eq!([axis.place(0.0), axis.place(f64::NAN)], [0.0, 0.0]);
    }

    #[test]
    fn numbers_without_measure_have_an_axis_too() {
        for most in [0.0, -1.0, 1e-9, 1.0, u64::MAX as f64, 1e300, f64::INFINITY, f64::NAN] {
            for axis in [
                Axis::numbers(most),
                Axis::bytes_per_second(most),
                Axis::seconds(most.min(1e9)),
                Axis::microseconds(most, most),
                Axis::percentiles(most),
            ] {
                assert!(axis.ticks.len() < 40, "{most}: {:?}", axis.ticks);
                assert!(axis.ticks.iter().all(|(place, _)| (0.0..=1.0001).contains(place)), "{most}: {:?}", axis.ticks);
                assert!((0.0..=1.0).contains(&axis.place(most)), "{most}");
            }
        }
    }
}
