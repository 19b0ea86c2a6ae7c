use std::time::Duration;

use super::Course;

/// When the tasks of an open loop are due: the first one at once, each other one when the rate, summed up over time, has
/// reached its number. It is exact: no rounding is carried from one task to the next.
#[derive(Clone, Debug)]
pub struct Schedule {
    course: Course,
    /// How many tasks were due when each segment begins.
    before: Vec<f64>,
    /// How many were due at the last segment's end.
    before_last: f64,
}

impl Schedule {
    /// The moments of a course of tasks a second.
    pub fn new(course: Course) -> Self {
        let mut due = 0.0;
        let mut before = Vec::new();
        for segment in course.segments() {
            before.push(due);
            due += segment.length * (segment.from + segment.to) / 2.0;
        }
        Schedule { course, before, before_last: due }
    }

    /// When the task with this number, from 0, is due; `None`: never.
    pub fn due(&self, number: u64) -> Option<Duration> {
        // Exact up to 2^53 tasks.
        let number = number as f64;
        // A segment that ends with nothing may reach the number only at its end; then it is the next one's.
        let found = self.course.segments().iter().zip(&self.before).rev().find(|(segment, before)| {
            number >= **before && number < **before + segment.length * (segment.from + segment.to) / 2.0
        });
        if let Some((segment, before)) = found {
            let wanted = number - before;
            let slope = (segment.to - segment.from) / segment.length;
            let root = (segment.from * segment.from + 2.0 * slope * wanted).max(0.0).sqrt();
            let behind = if wanted == 0.0 { 0.0 } else { 2.0 * wanted / (segment.from + root) };
            return Some(Duration::from_secs_f64(segment.start + behind.min(segment.length)));
        }
        let last = self.course.last();
        (last > 0.0).then(|| Duration::from_secs_f64(self.course.end() + (number - self.before_last) / last))
    }

    /// The number of the first task that is due at `at` or later; `None`: there is none.
    pub fn first_from(&self, at: Duration) -> Option<u64> {
        let is_before = |number: u64| self.due(number).is_some_and(|due| due < at);
        // By halving: due moments never go back.
        let (mut low, mut high) = (0_u64, 1_u64);
        while is_before(high) {
            high = high.checked_mul(2)?;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.due(low).map(|_| low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::{Shape, Stage};

    fn schedule(rate: f64, stages: &[(u64, f64, bool)]) -> Schedule {
        let stage = |&(length, rate, step): &(u64, f64, bool)| Stage {
            length: Duration::from_secs(length),
            workers: None,
            rate: Some(rate),
            step,
        };
        let stages = stages.iter().map(stage).collect();
        Schedule::new(Course::new(&Shape { rate: Some(rate), stages, ..Shape::default() }))
    }

    fn assert_due(schedule: &Schedule, number: u64, seconds: f64) {
        let due = schedule.due(number).unwrap().as_secs_f64();
        assert!((due - seconds).abs() < 1e-6, "task {number} is due at {due}, not {seconds}");
    }

    #[test]
    fn a_steady_rate_is_exact_for_ever() {
        let schedule = schedule(7.0, &[]);
        for number in [0, 1, 6, 7, 1000, 7_000_000_000] {
            assert_due(&schedule, number, number as f64 / 7.0);
        }
    }

    #[test]
    fn a_ramp_begins_slowly() {
        // 0 to 10 a second in 10 s: after t seconds t * t / 2 are due.
        let schedule = schedule(10.0, &[(10, 0.0, true), (10, 10.0, false), (10, 10.0, false)]);
        assert_due(&schedule, 0, 10.0);
        assert_due(&schedule, 2, 12.0);
        assert_due(&schedule, 18, 16.0);
        assert_due(&schedule, 50, 20.0);
        assert_due(&schedule, 150, 30.0);
        assert_due(&schedule, 160, 31.0);
    }

    #[test]
    fn a_rate_that_ends_at_nothing_ends() {
        let schedule = schedule(10.0, &[(10, 0.0, false)]);
        assert_due(&schedule, 0, 0.0);
        assert!(schedule.due(49).is_some());
        assert_eq!(schedule.due(50), None);
    }

    #[test]
    fn due_moments_never_go_back() {
        let schedule = schedule(3.0, &[(5, 50.0, false), (5, 1.0, false), (2, 0.0, true), (3, 20.0, true)]);
        let mut last = Duration::ZERO;
        for number in 0..400 {
            let due = schedule.due(number).unwrap();
            assert!(due >= last, "task {number}: {due:?} before {last:?}");
            last = due;
        }
    }

    #[test]
    fn the_first_task_behind_a_moment_is_found() {
        let schedule = schedule(4.0, &[(10, 40.0, false)]);
        for at in [0.0, 0.1, 3.3, 9.99, 10.0, 57.2] {
            let at = Duration::from_secs_f64(at);
            let number = schedule.first_from(at).unwrap();
            assert!(schedule.due(number).unwrap() >= at);
            assert!(number == 0 || schedule.due(number - 1).unwrap() < at, "{number} at {at:?}");
        }
        let ends = self::schedule(10.0, &[(10, 0.0, false)]);
        assert_eq!(ends.first_from(Duration::ZERO), Some(0));
        assert_eq!(ends.first_from(Duration::from_secs(10)), None);
    }
}
