//! How the run went, second by second.

use super::axis::Axis;
use super::chart::{Chart, Line};
use super::writer::Html;
use super::{color, table};
use crate::load::report::{Report, Sample, Target};
use crate::text::{count, latency, rate};

/// A line has no more points: a screen has not many more.
const POINTS: usize = 500;

/// A table has no more rows.
const ROWS: usize = 60;

/// What lies further behind the start is no second of a run.
const LONGEST_SECONDS: f64 = 1e9;

struct Course {
    title: &'static str,
    description: &'static str,
    of: fn(&Sample) -> f64,
    show: fn(f64) -> String,
    /// The greatest of a span of time stands for it, rather than the mean.
    is_worst: bool,
}

const COURSES: [Course; 3] = [
    Course {
        title: "Throughput",
        description: "Bytes of content in each second of each target's turns.",
        of: |sample| sample.bytes as f64,
        show: |value| rate(value as u64),
        is_worst: false,
    },
    Course {
        title: "Requests a second",
        description: "Requests that ended in each second of each target's turns.",
        of: |sample| sample.requests as f64,
        show: |value| count(value as u64),
        is_worst: false,
    },
    Course {
        title: "99th percentile of request times",
        description: "Of the requests that ended in each second, 99 in 100 took no longer.",
        of: |sample| sample.p99_us as f64,
        show: latency,
        is_worst: true,
    },
];

/// Values that stand for the samples of a span of time.
#[derive(Clone, Copy)]
struct Point {
    at_seconds: f64,
    value: f64,
}

pub(super) fn section(html: &mut Html, report: &Report) {
    html.element("section", &[("aria-labelledby", "timeline")], |html| {
        html.leaf("h2", &[("id", "timeline")], "Over time");
        let seconds = report.targets.iter().flat_map(samples).map(|sample| sample.at_seconds + 1.0);
        let end = seconds.fold(report.duration_seconds.clamp(0.0, LONGEST_SECONDS), f64::max);
        if report.targets.iter().flat_map(samples).next().is_none() {
            html.leaf("p", &[], "No second was measured.");
            return;
        }
        html.element("div", &[("class", "grid")], |html| {
            COURSES.iter().for_each(|course| draw(html, &report.targets, course, end));
        });
    });
}

fn samples(target: &Target) -> impl Iterator<Item = &Sample> {
    target.timeline.iter().filter(|sample| (0.0..=LONGEST_SECONDS).contains(&sample.at_seconds))
}

fn draw(html: &mut Html, targets: &[Target], course: &Course, end: f64) {
    let thinned = |most| -> Vec<(f64, Vec<Point>)> {
        targets.iter().map(|target| thin(samples(target), course, end, most)).collect()
    };
    let points = thinned(POINTS);
    let values = || points.iter().flat_map(|(_, points)| points).map(|point| point.value);
    let most = values().fold(0.0, f64::max);
    let y = match course.is_worst {
        // Only seconds in which anything ended have a time.
        true => Axis::microseconds(values().filter(|value| *value > 0.0).fold(most, f64::min), most),
        false if course.title == COURSES[0].title => Axis::bytes_per_second(most),
        false => Axis::numbers(most),
    };
    let x = Axis::seconds(end);
    let lines = targets.iter().zip(&points).map(|(target, (width, points))| {
        let drawn = points.iter().filter(|point| !course.is_worst || point.value > 0.0);
        let parts = parts(drawn.copied(), *width);
        let place = |point: Point| (x.place(point.at_seconds), y.place(point.value));
        Line {
            name: &target.name,
            color: color(targets, target),
            parts: parts.into_iter().map(|part| part.into_iter().map(place).collect()).collect(),
        }
    });
    let lines = lines.collect();
    let chart = Chart { title: course.title, description: course.description, x, y, lines, is_table_open: false };
    chart.draw(html, |html| figures(html, targets, course, &thinned(ROWS)));
}

/// Not more points than `most`, each for a span of time of the width that is told.
fn thin<'a>(samples: impl Iterator<Item = &'a Sample>, course: &Course, end: f64, most: usize) -> (f64, Vec<Point>) {
    let width = (end / most as f64).ceil().max(1.0);
    let mut points: Vec<(Point, f64)> = Vec::new();
    for sample in samples {
        let (at_seconds, value) = ((sample.at_seconds / width).floor() * width, (course.of)(sample));
        match points.last_mut() {
            Some((last, samples)) if last.at_seconds == at_seconds => {
                *samples += 1.0;
                last.value = match course.is_worst {
                    true => last.value.max(value),
                    false => last.value + (value - last.value) / *samples,
                };
            }
            _ => points.push((Point { at_seconds, value }, 1.0)),
        }
    }
    (width, points.into_iter().map(|(point, _)| point).collect())
}

/// The stretches of time without a gap.
fn parts(points: impl Iterator<Item = Point>, width: f64) -> Vec<Vec<Point>> {
    let mut parts: Vec<Vec<Point>> = Vec::new();
    for point in points {
        match parts.last_mut() {
            Some(part) if part.last().is_some_and(|last| point.at_seconds - last.at_seconds < width * 1.9) => {
                part.push(point);
            }
            _ => parts.push(vec![point]),
        }
    }
    parts
}

fn figures(html: &mut Html, targets: &[Target], course: &Course, points: &[(f64, Vec<Point>)]) {
    let mut titles = vec!["From"];
    titles.extend(targets.iter().map(|target| target.name.as_str()));
    let mut moments: Vec<f64> = points.iter().flat_map(|(_, points)| points).map(|point| point.at_seconds).collect();
    moments.sort_by(f64::total_cmp);
    moments.dedup();
    let row = |moment: &f64| {
        let value = |(_, points): &(f64, Vec<Point>)| {
            let found = points.iter().find(|point| point.at_seconds == *moment);
            found.map(|point| (course.show)(point.value)).unwrap_or_default()
        };
        let mut row = vec![format!("{moment:.0} s")];
        row.extend(points.iter().map(value));
        row
    };
    let rows: Vec<_> = moments.iter().map(row).collect();
    table(html, course.title, &titles, &rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_seconds: f64, bytes: u64, p99_us: u64) -> Sample {
        Sample { at_seconds, bytes, p99_us, ..Sample::default() }
    }

    #[test]
    fn long_runs_are_thinned_to_means_and_worst_values() {
        let samples: Vec<_> =
            (0..1000).map(|second| sample(f64::from(second), 10 + u64::from(second % 2 == 0), 7)).collect();
        let (width, points) = thin(samples.iter(), &COURSES[0], 1000.0, 100);
        assert_eq!((width, points.len()), (10.0, 100));
        assert!(points.iter().all(|point| (point.value - 10.5).abs() < 1e-9));
        let mut worst = samples;
        worst[555].p99_us = 99;
        let (_, points) = thin(worst.iter(), &COURSES[2], 1000.0, 100);
        assert_eq!(points.iter().find(|point| point.value == 99.0).unwrap().at_seconds, 550.0);
    }

    #[test]
    fn lines_end_where_a_turn_does() {
        let samples = [0.0, 1.1, 2.0, 10.0, 11.0].map(|at| sample(at, 1, 1));
        let (width, points) = thin(samples.iter(), &COURSES[0], 12.0, 100);
        let lengths: Vec<_> = parts(points.into_iter(), width).iter().map(Vec::len).collect();
        assert_eq!(lengths, [3, 2]);
    }
}
