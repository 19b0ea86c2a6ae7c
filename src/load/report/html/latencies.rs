//! How long tasks and requests took: a curve of percentiles for each kind of them.

use super::axis::Axis;
use super::chart::{Chart, Line};
use super::writer::Html;
use super::{color, counted, table};
use crate::load::report::summary::distinct;
use crate::load::report::{Histogram, Latency, Target};
use crate::text::{count, latency};

/// A page with more charts would not be read.
const CHARTS: usize = 40;

/// Points of a curve for each factor of ten between the share of slower requests.
const POINTS_PER_DECADE: f64 = 25.0;

pub(in crate::load::report) fn section(html: &mut Html, targets: &[Target]) {
    let names = distinct(targets, |target| {
        target.latencies().filter(|(_, latency)| latency.count > 0).map(|(name, _)| name).collect()
    });
    let title = html.fresh_id();
    html.element("section", &[("aria-labelledby", &title)], |html| {
        html.leaf("h2", &[("id", &title)], "How long it took");
        let note = match names.is_empty() {
            true => "Nothing was done.",
            false => {
                "Each curve tells which share of the tasks or requests took no longer; towards the right are the slowest. \
                 Times count from when each should have begun."
            }
        };
        html.leaf("p", &[], note);
        html.element("div", &[("class", "grid")], |html| {
            names.iter().take(CHARTS).for_each(|name| draw(html, targets, name));
        });
        if names.len() > CHARTS {
            html.leaf("p", &[], &format!("{} more are in the JSON report only.", counted(names.len() - CHARTS, "kind")));
        }
    });
}

fn draw(html: &mut Html, targets: &[Target], name: &str) {
    let found: Vec<(&Target, &Latency)> = targets.iter().filter_map(|target| of(target, name)).collect();
    let curves: Vec<_> = found.iter().map(|(target, latency)| (*target, curve(latency))).collect();
    let values = || curves.iter().flat_map(|(_, points)| points).map(|(_, time)| *time);
    let most = values().fold(0.0, f64::max);
    let y = Axis::microseconds(values().fold(most, f64::min), most);
    let requests = found.iter().map(|(_, latency)| latency.count).max().unwrap_or(0);
    let x = Axis::percentiles(requests as f64);
    let lines = curves.iter().map(|(target, points)| Line {
        name: &target.name,
        color: color(targets, target),
        parts: vec![points.iter().map(|(decade, time)| (x.place(*decade), y.place(*time))).collect()],
    });
    let lines = lines.collect();
    let description = "Which share of the requests took no longer than which time, for each target.";
    let chart = Chart { title: name, description, x, y, lines, is_table_open: true };
    chart.draw(html, |html| {
        let titles = ["Target", "p50", "p90", "p99", "p99.9", "Longest", "Mean", "Done"];
        let rows: Vec<_> = found.iter().map(|(target, latency)| row(target, latency)).collect();
        table(html, name, &titles, &rows);
    });
}

fn of<'a>(target: &'a Target, name: &str) -> Option<(&'a Target, &'a Latency)> {
    let (_, latency) = target.latencies().find(|(found, _)| *found == name)?;
    (latency.count > 0).then_some((target, latency))
}

fn row(target: &Target, times: &Latency) -> Vec<String> {
    let quantiles = [times.p50_us, times.p90_us, times.p99_us, times.p999_us, times.max_us];
    let mut row = vec![target.name.clone()];
    row.extend(quantiles.map(|time| latency(time as f64)));
    row.extend([latency(times.mean_us), count(times.count)]);
    row
}

/// How many factors of ten fewer are slower, and the time that this share does not exceed.
fn curve(latency: &Latency) -> Vec<(f64, f64)> {
    match latency.histogram() {
        Ok(histogram) => of_histogram(&histogram),
        // A report that somebody shortened: what it tells beside the histogram.
        Err(_) => [(0.0, latency.min_us), (0.301, latency.p50_us), (1.0, latency.p90_us), (2.0, latency.p99_us)]
            .into_iter()
            .chain([(3.0, latency.p999_us)])
            .take_while(|(decade, _)| 10_f64.powf(*decade) <= latency.count as f64)
            .map(|(decade, time)| (decade, time as f64))
            .collect(),
    }
}

fn of_histogram(histogram: &Histogram) -> Vec<(f64, f64)> {
    let last = (histogram.count() as f64).log10();
    let steps = (last * POINTS_PER_DECADE).ceil() as u32;
    let decades = (0..steps).map(|step| f64::from(step) / POINTS_PER_DECADE);
    let mut points: Vec<(f64, f64)> =
        decades.map(|decade| (decade, histogram.quantile_us(1.0 - 10_f64.powf(-decade)) as f64)).collect();
    points.push((last, histogram.quantile_us(1.0) as f64));
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::samples;

    #[test]
    fn curves_go_from_the_shortest_to_the_longest() {
        let points = curve(&samples::latency(1000));
        assert_eq!(points.len(), 51);
        let near = |(decade, time): (f64, f64), expected: (f64, f64)| {
            (decade - expected.0).abs() < 1e-9 && (time / expected.1 - 1.0).abs() < 0.002
        };
        assert!(near(points[0], (0.0, 1000.0)), "{:?}", points[0]);
        assert!(near(points[25], (1.0, 90_000.0)), "{:?}", points[25]);
        assert!(near(points[50], (2.0, 100_000.0)), "{:?}", points[50]);
    }

    #[test]
    fn a_report_without_its_histogram_has_a_coarse_curve() {
        let latency = Latency { histogram: "gone".to_owned(), ..samples::latency(1000) };
        let decades: Vec<f64> = curve(&latency).into_iter().map(|(decade, _)| decade).collect();
        assert_eq!(decades, [0.0, 0.301, 1.0, 2.0]);
    }
}
