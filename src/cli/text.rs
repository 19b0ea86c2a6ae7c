//! What people read: sizes, times, tables, and text of others that must not steer their terminal.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

const SIZE_UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const TIME_UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// To standard output, where a reader that went away (`| head`) is no reason to panic.
pub(super) fn print(text: &[u8]) -> ExitCode {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// `1.5 GiB`, `12 KiB`, `7 B`.
pub(super) fn size(bytes: u64) -> String {
    for (unit, factor) in SIZE_UNITS {
        if bytes >= factor {
            let tenths = u128::from(bytes) * 10 / u128::from(factor);
            return match tenths < 1000 {
                true => format!("{}.{} {unit}", tenths / 10, tenths % 10),
                false => format!("{} {unit}", tenths / 10),
            };
        }
    }
    format!("{bytes} B")
}

/// `1.5 MiB/s`, and `-` for nothing.
pub(super) fn rate(bytes_per_second: u64) -> String {
    match bytes_per_second {
        0 => "-".to_owned(),
        rate => format!("{}/s", size(rate)),
    }
}

/// In its two greatest units: `3d4h`, `2m5s`, `7s`.
pub(super) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let Some(greatest) = TIME_UNITS.iter().position(|(_, factor)| seconds >= *factor) else {
        return "0s".to_owned();
    };
    let (unit, factor) = TIME_UNITS[greatest];
    let whole = format!("{}{unit}", seconds / factor);
    match TIME_UNITS.get(greatest + 1) {
        Some((unit, smaller)) if seconds % factor >= *smaller => format!("{whole}{}{unit}", seconds % factor / smaller),
        _ => whole,
    }
}

/// The text with every character escaped that could move a cursor, colour, hide or turn round what stands beside it.
pub(super) fn printable(text: &str) -> String {
    escaped(text, is_harmless)
}

/// The same for a JSON document, whose own line breaks stay; within its strings the escapes mean what was there.
pub(super) fn printable_json(document: &str) -> String {
    let mut out = String::with_capacity(document.len());
    for c in document.chars() {
        match c == '\n' || is_harmless(c) {
            true => out.push(c),
            false => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out
}

fn escaped(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match keep(c) {
            true => out.push(c),
            false => out.extend(c.escape_unicode()),
        }
    }
    out
}

/// Neither a control character nor one that changes direction, joins, or has no width.
fn is_harmless(c: char) -> bool {
    let is_formatting = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !is_formatting
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
    fn sizes_have_few_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (100 << 10, "100 KiB"),
            ((1 << 30) - 1, "1023 MiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(rate(0), "-");
        assert_eq!(rate(2048), "2.0 KiB/s");
    }

    #[test]
    fn times_have_two_units() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (125, "2m5s"), (3_601, "1h"), (3_660, "1h1m"), (273_600, "3d4h")]
        {
            assert_eq!(time(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(printable("a\u{1b}[2J\u{9b}\u{202e}ü"), "a\\u{1b}[2J\\u{9b}\\u{202e}ü");
        let document = "{\n\"a\":\"\u{9b}\u{e0001}\"}";
        let escaped = printable_json(document);
        assert_eq!(escaped, "{\n\"a\":\"\\u009b\\udb40\\udc01\"}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&escaped), read(document));
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["A", "LONG", "C"]);
        table.row(["wide\n".to_owned(), "x".to_owned(), String::new()]);
        assert_eq!(table.render(), "A          LONG  C\nwide\\u{a}  x\n");
    }
}
