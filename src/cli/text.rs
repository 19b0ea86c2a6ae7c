//! What is printed: tables, and standard output itself.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

pub(super) use longshore::text::{printable, printable_json, rate, size, time};

/// To standard output, where a reader that went away (`| head`) is no reason to panic.
pub(super) fn print(text: &[u8]) -> ExitCode {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Aligned columns under their titles.
pub(super) struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(super) fn new(titles: [&str; COLUMNS]) -> Self {
        Table { rows: vec![titles.map(str::to_owned)] }
    }

    /// Cells of others' text are made printable here, so that none can be forgotten.
    pub(super) fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells.map(|cell| printable(&cell)));
    }

    pub(super) fn render(&self) -> String {
        let mut widths = [0; COLUMNS];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                let _ = write!(line, "{cell:width$}  ");
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["A", "LONG", "C"]);
        table.row(["wide\n".to_owned(), "x".to_owned(), String::new()]);
        assert_eq!(table.render(), "A          LONG  C\nwide\\u{a}  x\n");
    }
}
