//! Sizes as people write them: `512`, `64KiB`, `4MiB`, `1GiB`, and powers of ten as `64kB`, `4MB`.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serializer, de};

/// Units that are printed, greatest first; all of them and those of `DECIMAL_UNITS` are read.
const BINARY_UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const DECIMAL_UNITS: [(&str, u64); 5] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("B", 1)];

pub(crate) fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&print(*bytes))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a size such as 512, 64KiB, 4MiB or 1GiB")]
    enum NumberOrText<'a> {
        Number(u64),
        #[serde(borrow)]
        Text(Cow<'a, str>),
    }
    match NumberOrText::deserialize(deserializer)? {
        NumberOrText::Number(bytes) => Ok(bytes),
        NumberOrText::Text(text) => parse(&text)
            .ok_or_else(|| de::Error::custom(format_args!("{text:?} is not a size such as 512, 64KiB, 4MiB or 1GiB"))),
    }
}

pub(crate) fn parse(text: &str) -> Option<u64> {
    let unit_start = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_start);
    let number: u64 = number.parse().ok()?;
    if unit.is_empty() {
        return Some(number);
    }
    let unit = unit.trim_start();
    let (_, factor) = BINARY_UNITS.iter().chain(&DECIMAL_UNITS).find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

pub(crate) fn print(bytes: u64) -> String {
    for (unit, factor) in BINARY_UNITS {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("1KiB", 1024),
            ("64 MiB", 64 << 20),
            ("1GiB", 1 << 30),
            ("2TiB", 2 << 40),
            ("5MB", 5_000_000),
            ("1kB", 1000),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "MiB", "-1", "1.5MiB", "64mib", "64M", "1 ", "1 KiB s", "99999999999TiB", "+1", "0x10"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn sizes_are_printed_exactly() {
        for bytes in [0, 1, 1023, 1024, 1025, 4 << 20, (4 << 20) + 1, 1 << 30, u64::MAX] {
            assert_eq!(parse(&print(bytes)), Some(bytes));
        }
        assert_eq!(print(4 << 20), "4MiB");
    }
}
