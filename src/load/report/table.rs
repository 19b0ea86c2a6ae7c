//! Tables for a terminal: a label, then a value for each of several columns, as many side by side as there is room for.

use std::fmt::Write as _;

use crate::text::printable;

/// No line is longer.
pub(super) const WIDTH: usize = 100;

/// A label or a title that is longer is cut.
const LONGEST_LABEL: usize = 34;
const LONGEST_TITLE: usize = 16;

const GAP: usize = 2;

/// A value, and what it is of another one.
#[derive(Clone, Default)]
pub(super) struct Cell {
    value: String,
    note: String,
}

impl Cell {
    pub(super) fn new(value: impl Into<String>) -> Self {
        Cell { value: value.into(), note: String::new() }
    }

    pub(super) fn noted(value: impl Into<String>, note: impl Into<String>) -> Self {
        Cell { value: value.into(), note: note.into() }
    }
}

/// Rows under the titles of their columns. All text is made printable here, so that none can be forgotten.
pub(super) struct Table {
    titles: Vec<String>,
    rows: Vec<(String, Vec<Cell>)>,
}

impl Table {
    pub(super) fn new<'a>(titles: impl IntoIterator<Item = &'a str>) -> Self {
        Table { titles: titles.into_iter().map(str::to_owned).collect(), rows: Vec::new() }
    }

    /// A row, unless it says nothing in any column.
    pub(super) fn row(&mut self, label: &str, cells: Vec<Cell>) {
        if cells.iter().all(|cell| cell.value.is_empty()) {
            return;
        }
        self.rows.push((label.to_owned(), cells));
    }

    /// All of it for another form: the titles, and rows of a label and what stands in each column.
    pub(super) fn into_parts(self) -> (Vec<String>, Vec<Vec<String>>) {
        let text = |cell: Cell| match cell.note.is_empty() {
            true => cell.value,
            false => format!("{} {}", cell.value, cell.note),
        };
        let rows = self.rows.into_iter().filter(|(_, cells)| !cells.is_empty());
        let rows = rows.map(|(label, cells)| std::iter::once(label).chain(cells.into_iter().map(text)).collect());
        (self.titles, rows.collect())
    }

    /// A line that begins a group of rows.
    pub(super) fn head(&mut self, label: &str) {
        self.rows.push((label.to_owned(), Vec::new()));
    }

    pub(super) fn render(&self) -> String {
        self.shown().lay_out()
    }

    /// As it is shown in a terminal.
    fn shown(&self) -> Table {
        let row = |(label, cells): &(String, Vec<Cell>)| {
            let cells = cells.iter().map(|cell| Cell { value: printable(&cell.value), note: printable(&cell.note) });
            let longest = if cells.len() == 0 { WIDTH } else { LONGEST_LABEL };
            (cut(label, longest), cells.collect())
        };
        Table {
            titles: self.titles.iter().map(|title| cut(title, LONGEST_TITLE)).collect(),
            rows: self.rows.iter().map(row).collect(),
        }
    }

    fn lay_out(&self) -> String {
        let label_width = self.rows.iter().filter(|(_, cells)| !cells.is_empty()).map(|(label, _)| width(label)).max();
        let label_width = label_width.unwrap_or(0);
        let widths: Vec<_> = (0..self.titles.len()).map(|column| self.widths(column)).collect();
        let mut out = String::new();
        let mut first = 0;
        while first < self.titles.len() {
            let mut total = label_width;
            let fitting = widths[first..].iter().take_while(|(value, note)| {
                total += GAP + value + note;
                total <= WIDTH
            });
            let last = first + fitting.count().max(1);
            if first > 0 {
                out.push('\n');
            }
            self.render_block(&mut out, label_width, &widths, first..last);
            first = last;
        }
        out
    }

    fn render_block(
        &self,
        out: &mut String,
        label_width: usize,
        widths: &[(usize, usize)],
        columns: std::ops::Range<usize>,
    ) {
        let mut line = format!("{:label_width$}", "");
        for column in columns.clone() {
            let (value, note) = widths[column];
            let _ = write!(line, "{:GAP$}{:>value$}{:note$}", "", self.titles[column], "");
        }
        push_line(out, &line);
        for (label, cells) in &self.rows {
            let mut line = format!("{label:label_width$}");
            for (cell, (value, note)) in cells.iter().zip(widths).take(columns.end).skip(columns.start) {
                let shown_note = if cell.note.is_empty() { String::new() } else { format!(" {}", cell.note) };
                let _ = write!(line, "{:GAP$}{:>value$}{shown_note:note$}", "", cell.value);
            }
            push_line(out, &line);
        }
    }

    /// How wide a column's values are, and the notes behind them with the space before them.
    fn widths(&self, column: usize) -> (usize, usize) {
        let cells = || self.rows.iter().filter_map(|(_, cells)| cells.get(column));
        let value = cells().map(|cell| width(&cell.value)).max().unwrap_or(0).max(width(&self.titles[column]));
        let note = cells().map(|cell| width(&cell.note)).max().unwrap_or(0);
        (value, if note == 0 { 0 } else { note + 1 })
    }
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// The text made printable, and cut where it is longer.
pub(super) fn cut(text: &str, longest: usize) -> String {
    let text = printable(text);
    match text.char_indices().nth(longest) {
        None => text,
        Some(_) => text.chars().take(longest.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// The text made printable, in lines that are not too long; what is longer than `lines` of them is cut.
pub(super) fn wrap(text: &str, indent: usize, lines: usize) -> String {
    let room = WIDTH - indent;
    let text = cut(text, room * lines);
    let mut out = String::new();
    let mut line = String::new();
    let mut end = |line: &mut String| {
        let _ = writeln!(out, "{:indent$}{}", "", line.trim_end());
        line.clear();
    };
    for word in text.split_inclusive(' ') {
        if width(&line) + width(word.trim_end()) > room && !line.is_empty() {
            end(&mut line);
        }
        // A word that is longer than a line.
        for c in word.chars() {
            if width(&line) == room && c != ' ' {
                end(&mut line);
            }
            line.push(c);
        }
    }
    end(&mut line);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_do_not_fit_come_below() {
        let titles: Vec<String> = (0..8).map(|number| format!("a registry with number {number}")).collect();
        let mut table = Table::new(titles.iter().map(String::as_str));
        table.head("a group");
        table.row("throughput", (0..8).map(|n| Cell::noted(format!("{n}.0 GiB/s"), "×1.00")).collect());
        table.row("nothing", vec![Cell::default(); 8]);
        let text = table.render();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        for number in 0..8 {
            assert!(text.contains(&format!("{number}.0 GiB/s ×1.00")), "{text}");
        }
        assert_eq!(text.matches("a group\n").count(), text.matches("throughput").count());
        assert!(!text.contains("nothing"));
    }

    #[test]
    fn values_are_aligned_to_the_right() {
        let mut table = Table::new(["a", "b"]);
        table.row("x", vec![Cell::new("1"), Cell::noted("100", "×2")]);
        table.row("long", vec![Cell::new("10"), Cell::new("1")]);
        assert_eq!(table.render(), "       a    b\nx      1  100 ×2\nlong  10    1\n");
    }

    #[test]
    fn long_text_is_wrapped_and_cut() {
        assert_eq!(wrap("a b", 2, 1), "  a b\n");
        let text = wrap(&format!("{} {}", "a ".repeat(80), "b".repeat(300)), 4, 3);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH && line.starts_with("    ")), "{text}");
        assert!(text.trim_end().ends_with('…') && text.lines().count() <= 4, "{text}");
        assert_eq!(wrap("\u{1b}[2J", 0, 1), "\\u{1b}[2J\n");
    }
}
