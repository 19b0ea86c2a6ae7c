//! A curve of one line.

use std::collections::VecDeque;

const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The values of the last seconds.
#[derive(Debug)]
pub(super) struct Spark {
    values: VecDeque<u64>,
    longest: usize,
    second: Option<u64>,
}

impl Spark {
    /// One that keeps so many seconds.
    pub(super) fn new(longest: usize) -> Self {
        Spark { values: VecDeque::new(), longest, second: None }
    }

    /// What was seen in a second; the last of several values in one holds.
    pub(super) fn add(&mut self, second: u64, value: u64) {
        if self.second == Some(second) {
            self.values.pop_back();
        }
        self.second = Some(second);
        self.values.push_back(value);
        while self.values.len() > self.longest {
            self.values.pop_front();
        }
    }

    /// The last `width` seconds; the greatest of them is as high as can be.
    pub(super) fn draw(&self, width: usize) -> String {
        let shown = || self.values.iter().skip(self.values.len().saturating_sub(width));
        let most = shown().copied().max().unwrap_or(0).max(1);
        let step = |value: &u64| {
            let step = u128::from(*value) * (STEPS.len() as u128 - 1) / u128::from(most);
            // Not more than the last, as no value is more than the most.
            STEPS[usize::try_from(step).unwrap_or(0)]
        };
        shown().map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_is_highest_and_the_oldest_go() {
        let mut spark = Spark::new(4);
        for (second, value) in [(0, u64::MAX), (1, 0), (1, 4), (2, 7), (3, 0), (5, 14)] {
            spark.add(second, value);
        }
        assert_eq!(spark.draw(10), "▃▄▁█");
        assert_eq!(spark.draw(2), "▁█");
        assert_eq!(Spark::new(4).draw(2), "");
    }
}
