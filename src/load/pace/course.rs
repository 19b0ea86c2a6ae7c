use std::time::Duration;

use crate::load::plan::{Pace, Shape};

/// How many workers there are, or how many tasks a second are begun, from a target's first moment on: through its warm-up
/// and the plan's stages, and from then on as it was at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    segments: Vec<Segment>,
    /// What holds behind the last segment.
    last: f64,
}

/// A part of the course in which the level changes evenly. Times are seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Segment {
    pub(super) start: f64,
    pub(super) length: f64,
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Course {
    /// The course of a plan. The warm-up is at the level that the stages begin with.
    pub fn new(shape: &Shape) -> Self {
        let mut level = match shape.pace() {
            Pace::Closed { workers } => f64::from(workers),
            Pace::Open { rate, .. } => rate,
        };
        let mut segments = Vec::new();
        let mut start = 0.0;
        let mut add = |length: Duration, from: f64, to: f64| {
            let length = length.as_secs_f64();
            if length > 0.0 {
                segments.push(Segment { start, length, from, to });
                start += length;
            }
        };
        add(shape.warm_up, level, level);
        for stage in &shape.stages {
            let wanted = stage.workers.map(f64::from).or(stage.rate).unwrap_or(level);
            add(stage.length, if stage.step { wanted } else { level }, wanted);
            level = wanted;
        }
        Course { segments, last: level }
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The level behind the last segment.
    pub(super) fn last(&self) -> f64 {
        self.last
    }

    /// Where the last segment ends, in seconds.
    pub(super) fn end(&self) -> f64 {
        self.segments.last().map_or(0.0, |segment| segment.start + segment.length)
    }

    /// The level at a moment.
    pub fn level(&self, at: Duration) -> f64 {
        let at = at.as_secs_f64();
        let segment = self.segments.iter().find(|segment| at < segment.start + segment.length);
        segment.map_or(self.last, |segment| segment.level(at))
    }

    /// The highest level of all.
    pub fn peak(&self) -> f64 {
        self.segments.iter().flat_map(|segment| [segment.from, segment.to]).fold(self.last, f64::max)
    }

    /// Whether the worker with this number (from 0) works at a moment.
    pub fn is_at_work(&self, worker: u32, at: Duration) -> bool {
        self.level(at) >= begins_at(worker)
    }

    /// When the worker with this number works again, at `at` or later; `None`: never.
    pub fn at_work_again(&self, worker: u32, at: Duration) -> Option<Duration> {
        if self.is_at_work(worker, at) {
            return Some(at);
        }
        let wanted = begins_at(worker);
        let seconds = at.as_secs_f64();
        for segment in self.segments.iter().filter(|segment| seconds < segment.start + segment.length) {
            let now = segment.level(seconds.max(segment.start));
            if now >= wanted {
                return Some(Duration::from_secs_f64(segment.start.max(seconds)));
            }
            if segment.to >= wanted {
                let share = (wanted - segment.from) / (segment.to - segment.from);
                // Rounded up, so that it holds at the moment that is given.
                return Some(Duration::from_secs_f64(segment.start + segment.length * share) + Duration::from_nanos(2));
            }
        }
        (self.last >= wanted).then(|| Duration::from_secs_f64(self.end().max(seconds)))
    }
}

/// A half more than a worker's number: the level is rounded to whole workers.
fn begins_at(worker: u32) -> f64 {
    f64::from(worker) + 0.5
}

impl Segment {
    fn level(&self, at: f64) -> f64 {
        self.from + (self.to - self.from) * ((at - self.start) / self.length).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::Stage;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn course(workers: u32, warm_up: u64, stages: &[(u64, u32, bool)]) -> Course {
        let stage = |&(length, workers, step): &(u64, u32, bool)| Stage {
            length: Duration::from_secs(length),
            workers: Some(workers),
            rate: None,
            step,
        };
        Course::new(&Shape {
            workers: Some(workers),
            warm_up: Duration::from_secs(warm_up),
            stages: stages.iter().map(stage).collect(),
            ..Shape::default()
        })
    }

    #[test]
    fn without_stages_the_level_stays() {
        let course = course(3, 0, &[]);
        assert_eq!((course.level(Duration::ZERO), course.level(seconds(100.0)), course.peak()), (3.0, 3.0, 3.0));
        assert!(course.is_at_work(2, seconds(5.0)) && !course.is_at_work(3, seconds(5.0)));
        assert_eq!(course.at_work_again(3, Duration::ZERO), None);
    }

    #[test]
    fn ramps_go_evenly_and_steps_at_once() {
        let course = course(0, 2, &[(10, 100, false), (5, 20, true), (1, 20, false)]);
        for (at, level) in [(0.0, 0.0), (2.0, 0.0), (7.0, 50.0), (12.0, 20.0), (16.9, 20.0), (1000.0, 20.0)] {
            assert_eq!(course.level(seconds(at)), level, "at {at}");
        }
        assert_eq!(course.peak(), 100.0);
    }

    #[test]
    fn a_worker_knows_when_it_works() {
        let course = course(0, 0, &[(10, 10, false), (10, 0, true), (10, 10, false)]);
        let begin = course.at_work_again(4, Duration::ZERO).unwrap();
        assert!((begin.as_secs_f64() - 4.5).abs() < 1e-6, "{begin:?}");
        assert!(course.is_at_work(4, begin));
        // After the step down it waits for the second ramp.
        let again = course.at_work_again(4, seconds(10.0)).unwrap();
        assert!((again.as_secs_f64() - 24.5).abs() < 1e-6, "{again:?}");
        assert!(course.is_at_work(4, again));
        assert_eq!(course.at_work_again(10, Duration::ZERO), None);
    }
}
