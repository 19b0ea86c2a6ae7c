//! Draws a run where somebody looks.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use super::draw::{block, line, visible_width};
use super::spark::Spark;
use super::{Observer, Snapshot, Unseen};
use crate::text::printable;

/// How often a line is written where lines cannot be written over.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The curve's seconds: no terminal is wider.
const LONGEST_CURVE: usize = 500;

/// The width where a terminal does not tell its own.
const USUAL_WIDTH: usize = 80;

/// Who looks at what a program writes to standard error, by what it was told and by where that goes: nobody where it is
/// to be `quiet`; a terminal that is drawn on, with colours unless the environment has `NO_COLOR`; otherwise lines, one
/// each ten seconds.
pub fn on_standard_error(quiet: bool, environment: impl Fn(&str) -> Option<std::ffi::OsString>) -> Box<dyn Observer> {
    if quiet {
        return Box::new(Unseen);
    }
    let is_dumb = environment("TERM").is_none_or(|terminal| terminal == "dumb");
    if !io::stderr().is_terminal() || is_dumb {
        return Box::new(Lines::new(io::stderr()));
    }
    let is_colored = environment("NO_COLOR").is_none_or(|value| value.is_empty());
    let width = || ratatui::crossterm::terminal::size().map_or(USUAL_WIDTH, |(columns, _)| usize::from(columns));
    Box::new(Drawing::new(io::stderr(), width, is_colored))
}

/// A line now and then.
pub(super) struct Lines<W> {
    out: W,
    next: Duration,
    has_ended: bool,
}

impl<W: Write + Send> Lines<W> {
    pub(super) fn new(out: W) -> Self {
        Lines { out, next: LINE_EVERY, has_ended: false }
    }
}

impl<W: Write + Send> Observer for Lines<W> {
    fn show(&mut self, snapshot: &Snapshot) {
        if self.has_ended || snapshot.elapsed < self.next {
            return;
        }
        self.next = snapshot.elapsed + LINE_EVERY;
        // Nobody can be told that telling fails.
        let _ = writeln!(self.out, "{}", line(snapshot));
    }

    fn tell(&mut self, line: &str) {
        if !self.has_ended {
            let _ = writeln!(self.out, "{}", printable(line));
        }
    }

    fn end(&mut self) {
        self.has_ended = true;
    }
}

/// Lines that are written over.
pub(super) struct Drawing<W: Write + Send, F: Fn() -> usize + Send> {
    out: W,
    width: F,
    is_colored: bool,
    spark: Spark,
    last: Option<Snapshot>,
    /// How many columns each line takes that was drawn last.
    drawn_widths: Vec<usize>,
    has_ended: bool,
}

impl<W: Write + Send, F: Fn() -> usize + Send> Drawing<W, F> {
    pub(super) fn new(out: W, width: F, is_colored: bool) -> Self {
        let spark = Spark::new(LONGEST_CURVE);
        Drawing { out, width, is_colored, spark, last: None, drawn_widths: Vec::new(), has_ended: false }
    }

    /// Writes over what was drawn last: `above` stays, the block behind it is written over the next time.
    fn draw(&mut self, above: Option<&str>) {
        // A column is left free: a cursor behind the last one is on the next line in some terminals.
        let width = (self.width)().saturating_sub(1).max(1);
        let block = match &self.last {
            Some(snapshot) => block(snapshot, &self.spark, width, self.is_colored),
            None => Vec::new(),
        };
        let above = above.map(printable);
        let lines: Vec<&str> = above.as_deref().into_iter().chain(block.iter().map(String::as_str)).collect();
        let text = over(self.drawn_rows(), &lines);
        self.drawn_widths = block.iter().map(|line| visible_width(line)).collect();
        self.write(&text);
    }

    /// Leaves nothing of what was drawn.
    fn erase(&mut self) {
        let text = over(self.drawn_rows(), &[]);
        self.drawn_widths.clear();
        self.write(&text);
    }

    /// How many rows it takes now: a terminal that was made narrower has broken lines that fitted.
    fn drawn_rows(&self) -> usize {
        let columns = (self.width)().max(1);
        self.drawn_widths.iter().map(|width| width.div_ceil(columns).max(1)).sum()
    }

    /// In one piece, so that nothing half drawn is seen.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

/// Writes lines over the last `rows` rows. Each row is cleared by itself: some terminals keep in their history what is
/// cleared as a whole screen, so that each drawing would stay there.
fn over(rows: usize, lines: &[&str]) -> String {
    let mut text = up(rows);
    for line in lines {
        text.push_str(&format!("\u{1b}[2K{line}\r\n"));
    }
    let left = rows.saturating_sub(lines.len());
    text.push_str(&"\u{1b}[2K\r\n".repeat(left));
    text.push_str(&up(left));
    text
}

fn up(rows: usize) -> String {
    if rows == 0 { String::new() } else { format!("\r\u{1b}[{rows}A") }
}

impl<W: Write + Send, F: Fn() -> usize + Send> Observer for Drawing<W, F> {
    fn show(&mut self, snapshot: &Snapshot) {
        if self.has_ended {
            return;
        }
        self.spark.add(snapshot.elapsed.as_secs(), snapshot.bytes_per_second);
        self.last = Some(snapshot.clone());
        self.draw(None);
    }

    fn tell(&mut self, line: &str) {
        if !self.has_ended {
            self.draw(Some(line));
        }
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.erase();
        }
    }
}

impl<W: Write + Send, F: Fn() -> usize + Send> Drop for Drawing<W, F> {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::live::Stage;

    fn at(milliseconds: u64) -> Snapshot {
        Snapshot { stage: Stage::Measuring, elapsed: Duration::from_millis(milliseconds), ..Snapshot::default() }
    }

    fn text(out: Vec<u8>) -> String {
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_come_every_ten_seconds() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out);
        for fifth in 0..155 {
            lines.show(&at(fifth * 200));
        }
        lines.tell("stopping\u{1b}[2J");
        lines.end();
        lines.show(&at(60_000));
        lines.tell("too late");
        let text = text(out);
        let starts: Vec<_> = text.lines().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(starts, ["10s", "20s", "30s", "stopping\\u{1b}[2J"]);
    }

    #[test]
    fn a_drawing_is_written_over_and_leaves_what_was_told() {
        let mut out = Vec::new();
        let mut drawing = Drawing::new(&mut out, || 100, false);
        drawing.show(&at(200));
        drawing.show(&at(400));
        drawing.tell("a finding\u{1b}");
        drawing.end();
        drawing.end();
        drawing.show(&at(600));
        drop(drawing);
        let screen = Screen::of(&text(out));
        assert_eq!(screen.lines, ["a finding\\u{1b}"]);
        assert_eq!(screen.most, 5);
    }

    #[test]
    fn a_drawing_that_is_dropped_makes_room() {
        let mut out = Vec::new();
        let mut drawing = Drawing::new(&mut out, || 100, true);
        drawing.show(&at(200));
        drop(drawing);
        assert_eq!(Screen::of(&text(out)).lines, Vec::<String>::new());
    }

    #[test]
    fn who_is_quiet_sees_nothing_and_tests_have_no_terminal() {
        let mut observer = on_standard_error(true, |_| None);
        observer.show(&at(60_000));
        observer.end();
    }

    #[test]
    fn lines_that_a_narrower_terminal_broke_are_written_over_whole() {
        let columns = std::sync::atomic::AtomicUsize::new(100);
        let mut out = Vec::new();
        let mut drawing = Drawing::new(&mut out, || columns.load(std::sync::atomic::Ordering::Relaxed), false);
        drawing.show(&at(200));
        let widths = drawing.drawn_widths.clone();
        columns.store(30, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(drawing.drawn_rows(), widths.iter().map(|width| width.div_ceil(30).max(1)).sum::<usize>());
        assert!(drawing.drawn_rows() > widths.len());
        drawing.show(&at(400));
        assert_eq!(drawing.drawn_rows(), drawing.drawn_widths.len());
    }

    /// What a terminal shows: it knows line breaks, the way up, and how a row is cleared.
    struct Screen {
        lines: Vec<String>,
        most: usize,
    }

    impl Screen {
        fn of(text: &str) -> Screen {
            let mut rows: Vec<String> = Vec::new();
            let (mut at, mut most) = (0_usize, 0);
            let mut rest = text;
            while !rest.is_empty() {
                if let Some(behind) = rest.strip_prefix("\r\u{1b}[") {
                    let (up, behind) = behind.split_once('A').unwrap();
                    at = at.checked_sub(up.parse().unwrap()).expect("moved above the first line");
                    rest = behind;
                } else {
                    let (line, behind) = rest.split_once("\r\n").unwrap();
                    rows.resize(rows.len().max(at + 1), String::new());
                    rows[at] = line.strip_prefix("\u{1b}[2K").expect("a row that is not cleared").to_owned();
                    at += 1;
                    most = most.max(rows.iter().filter(|row| !row.is_empty()).count());
                    rest = behind;
                }
            }
            let last = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
            assert_eq!(at, last, "what comes then would not be written where the drawing was");
            rows.truncate(last);
            Screen { lines: rows, most }
        }
    }
}
