//! The lines that a snapshot is shown as.

use super::spark::Spark;
use super::{Snapshot, Stage};
use crate::text::{count, latency, printable, quantity, size, time};

const LONGEST_BAR: usize = 40;

/// A name that is longer is cut.
const LONGEST_NAME: usize = 30;

/// Colours; none of them where they are not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Color {
    Good,
    Bad,
}

impl Color {
    pub(super) fn paint(self, text: &str) -> String {
        let code = match self {
            Color::Good => "36",
            Color::Bad => "31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// One line for where nothing can be written over: when, what, how fast, what went wrong.
pub(super) fn line(snapshot: &Snapshot) -> String {
    format!("{}: {}; {}", when(snapshot), what(snapshot), figures(snapshot).join(", "))
}

/// All lines for a terminal of this width.
pub(super) fn block(snapshot: &Snapshot, spark: &Spark, width: usize, is_colored: bool) -> Vec<String> {
    let paint = |color: Color, text: String| if is_colored { color.paint(&text) } else { text };
    let mut head = String::new();
    if let Some(share) = snapshot.share() {
        let bar_width = (width / 3).clamp(4, LONGEST_BAR);
        let full = (share * bar_width as f64) as usize;
        let bar = format!("{}{}", "━".repeat(full), "─".repeat(bar_width - full));
        head = format!("{} {:>3.0} %  ", paint(Color::Good, bar), share * 100.0);
    }
    head.push_str(&format!("{}  {}", when(snapshot), what(snapshot)));
    let mut lines = vec![head];
    // As many figures in a line as there is room for.
    let mut line = String::new();
    for figure in figures(snapshot) {
        let is_bad = figure.starts_with(|c: char| c.is_ascii_digit() && c != '0')
            && (figure.ends_with("errors") || figure.ends_with("wrong"));
        if !line.is_empty() && visible_width(&line) + 2 + figure.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push_str("  ");
        }
        line.push_str(&if is_bad { paint(Color::Bad, figure) } else { figure });
    }
    lines.push(line);
    lines.push(paint(Color::Good, spark.draw(width)));
    lines.into_iter().map(|line| cut(&line, width)).collect()
}

fn when(snapshot: &Snapshot) -> String {
    match snapshot.total {
        Some(total) => format!("{} of {}", time(snapshot.elapsed), time(total)),
        None => time(snapshot.elapsed),
    }
}

fn what(snapshot: &Snapshot) -> String {
    let stage = match snapshot.stage {
        Stage::Preparing => "preparing",
        Stage::WarmingUp => "warming up",
        Stage::Measuring => "measuring",
        Stage::Verifying => "verifying",
        Stage::Cleaning => "cleaning up",
        Stage::Stopping => "stopping",
    };
    let mut text = stage.to_owned();
    if !snapshot.target.is_empty() {
        let name = printable(&snapshot.target);
        text.push(' ');
        match name.chars().count() > LONGEST_NAME {
            true => text.extend(name.chars().take(LONGEST_NAME - 1).chain(['…'])),
            false => text.push_str(&name),
        }
    }
    if snapshot.turns > 1 {
        text.push_str(&format!(", turn {} of {}", snapshot.turn, snapshot.turns));
    }
    text
}

fn figures(snapshot: &Snapshot) -> Vec<String> {
    let tasks = match snapshot.total_tasks {
        Some(total) => format!("{} of {} tasks", count(snapshot.tasks), count(total)),
        None => format!("{} tasks", count(snapshot.tasks)),
    };
    let mut figures = vec![
        format!("{}/s", size(snapshot.bytes_per_second)),
        format!("{} req/s", quantity(snapshot.requests_per_second)),
        format!("p50 {}", latency(snapshot.p50_us as f64)),
        format!("p99 {}", latency(snapshot.p99_us as f64)),
        tasks,
        format!("{} in flight", count(snapshot.in_flight)),
        format!("{} connections", count(snapshot.connections)),
        format!("{} errors", count(snapshot.errors)),
    ];
    if snapshot.findings > 0 {
        figures.push(format!("{} found wrong", count(snapshot.findings)));
    }
    figures.push(format!("load tester at {:.0} % CPU", snapshot.generator_cpu_share * 100.0));
    figures
}

/// How many columns a line takes, colours aside.
pub(super) fn visible_width(line: &str) -> usize {
    let mut is_escape = false;
    let visible = line.chars().filter(|c| {
        let is_visible = !is_escape && *c != '\u{1b}';
        is_escape = if is_escape { *c != 'm' } else { *c == '\u{1b}' };
        is_visible
    });
    visible.count()
}

/// The line without what does not fit; colours end all the same.
fn cut(line: &str, width: usize) -> String {
    let mut out = String::new();
    let mut room = width;
    let mut is_escape = false;
    for c in line.chars() {
        match is_escape || c == '\u{1b}' {
            true => {
                is_escape = c != 'm';
                out.push(c);
            }
            false if room > 0 => {
                room -= 1;
                out.push(c);
            }
            false => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    pub(in crate::load::live) fn snapshot() -> Snapshot {
        Snapshot {
            stage: Stage::Measuring,
            elapsed: Duration::from_secs(25),
            total: Some(Duration::from_secs(100)),
            tasks: 1234,
            total_tasks: None,
            target: "longshore".to_owned(),
            turn: 3,
            turns: 8,
            in_flight: 16,
            connections: 17,
            bytes_per_second: 3 << 29,
            requests_per_second: 3412.3,
            errors: 2,
            p50_us: 1234,
            p99_us: 98_765,
            findings: 1,
            generator_cpu_share: 0.434,
        }
    }

    #[test]
    fn a_line_tells_all() {
        assert_eq!(
            line(&snapshot()),
            "25s of 1m40s: measuring longshore, turn 3 of 8; 1.5 GiB/s, 3412 req/s, p50 1.23 ms, p99 98.8 ms, \
             1234 tasks, 16 in flight, 17 connections, 2 errors, 1 found wrong, load tester at 43 % CPU"
        );
    }

    #[test]
    fn lines_fit_any_width() {
        let mut spark = Spark::new(500);
        (0..500).for_each(|second| spark.add(second, second));
        for width in [1, 20, 60, 100, 300] {
            for is_colored in [true, false] {
                let lines = block(&snapshot(), &spark, width, is_colored);
                assert!(lines.iter().all(|line| visible_width(line) <= width), "{width}: {lines:#?}");
                assert_eq!(lines.iter().any(|line| line.contains('\u{1b}')), is_colored);
            }
        }
        let lines = block(&snapshot(), &spark, 100, false);
        assert!(lines[0].starts_with("━━━━━━━━─────────────────────────  25 %  25s of 1m40s  measuring"), "{lines:#?}");
        assert!(lines.len() == 4 && lines[1].ends_with("2 errors"), "{lines:#?}");
    }

    #[test]
    fn names_of_others_do_not_steer() {
        let hostile = Snapshot { target: "\u{1b}[2J\u{202e}".repeat(20), ..snapshot() };
        let text = format!("{}{}", line(&hostile), block(&hostile, &Spark::new(1), 200, false).join(""));
        assert!(text.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{text}");
        assert!(text.contains('…'));
    }
}
