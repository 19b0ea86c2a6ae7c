//! What people read: sizes, times, numbers, and text of others that must not steer their terminal.

use std::fmt::Write as _;
use std::time::Duration;

const SIZE_UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const TIME_UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
const NUMBER_UNITS: [(&str, f64); 4] = [("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)];

/// From here on a number is told in thousands or more.
const LONG_NUMBER: f64 = 1e5;

/// `1.5 GiB`, `12 KiB`, `7 B`.
pub fn size(bytes: u64) -> String {
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
pub fn rate(bytes_per_second: u64) -> String {
    match bytes_per_second {
        0 => "-".to_owned(),
        rate => format!("{}/s", size(rate)),
    }
}

/// In its two greatest units: `3d4h`, `2m5s`, `7s`.
pub fn time(duration: Duration) -> String {
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

/// `850 µs`, `1.23 ms`, `12.3 s`, `2m5s`: how long a request took.
pub fn latency(microseconds: f64) -> String {
    match microseconds {
        us if us < 999.5 => format!("{us:.0} µs"),
        us if us < 999_500.0 => format!("{} ms", three_digits(us / 1e3)),
        us if us < 99_950_000.0 => format!("{} s", three_digits(us / 1e6)),
        us => time(Duration::try_from_secs_f64(us / 1e6).unwrap_or(Duration::MAX)),
    }
}

/// `0.123`, `12.3`, `1234`, `123 k`, `12.3 M`: three digits of anything, or all before the point.
pub fn quantity(value: f64) -> String {
    if value < LONG_NUMBER {
        return three_digits(value);
    }
    let (unit, factor) = NUMBER_UNITS.into_iter().find(|(_, factor)| value >= *factor).unwrap_or(("k", 1e3));
    format!("{} {unit}", three_digits(value / factor))
}

/// `7`, `99999`, `1.23 M`: how many there are, to the last one while they are few.
pub fn count(number: u64) -> String {
    match number as f64 {
        many if many >= LONG_NUMBER => quantity(many),
        _ => number.to_string(),
    }
}

fn three_digits(value: f64) -> String {
    let decimals = match value {
        value if value == 0.0 || value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        value if value >= 0.9995 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// The text with every character escaped that could move a cursor, colour, hide or turn round what stands beside it.
pub fn printable(text: &str) -> String {
    escaped(text, is_harmless)
}

/// The same for a JSON document, whose own line breaks stay; within its strings the escapes mean what was there.
pub fn printable_json(document: &str) -> String {
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
    fn latencies_and_quantities_have_three_digits() {
        for (microseconds, text) in [
            (0.0, "0 µs"),
            (999.0, "999 µs"),
            (999.6, "1.00 ms"),
            (1234.0, "1.23 ms"),
            (12_340.0, "12.3 ms"),
            (999_400.0, "999 ms"),
            (1_234_000.0, "1.23 s"),
            (125_000_000.0, "2m5s"),
            (1e300, "213503982334601d7h"),
        ] {
            assert_eq!(latency(microseconds), text);
        }
        for (value, text) in
            [(0.0, "0"), (0.1234, "0.123"), (9.999, "10.0"), (99_999.0, "99999"), (1e5, "100 k"), (1.234e13, "12.3 T")]
        {
            assert_eq!(quantity(value), text);
        }
        assert_eq!([count(7), count(99_999), count(1_234_567)], ["7", "99999", "1.23 M"]);
    }
}
