//! Times as people write them: `250ms`, `30s`, `5m`, `2h`, `7d`, and sums such as `1h30m`.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

/// Greatest first.
const UNITS_IN_MILLISECONDS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&print(*duration))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a time with its unit, such as 250ms, 30s, 5m or 1h30m")]
    enum ZeroOrText<'a> {
        Number(u64),
        #[serde(borrow)]
        Text(Cow<'a, str>),
    }
    let text = match ZeroOrText::deserialize(deserializer)? {
        ZeroOrText::Number(number) => Cow::Owned(number.to_string()),
        ZeroOrText::Text(text) => text,
    };
    parse(&text).ok_or_else(|| {
        de::Error::custom(format_args!("{text:?} is not a time with its unit, such as 250ms, 30s, 5m or 1h30m"))
    })
}

/// A sum of whole numbers, each with its unit; only zero needs none.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut milliseconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let unit_start = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, from_unit) = rest.split_at(unit_start);
        let unit_end = from_unit.find(|c: char| c.is_ascii_digit()).unwrap_or(from_unit.len());
        let (unit, after) = from_unit.split_at(unit_end);
        let (_, factor) = UNITS_IN_MILLISECONDS.iter().find(|(name, _)| *name == unit)?;
        milliseconds = milliseconds.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(Duration::from_millis(milliseconds))
}

/// In the greatest unit that needs no fraction; below a millisecond nothing is configured.
pub(crate) fn print(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    for (unit, factor) in UNITS_IN_MILLISECONDS {
        if milliseconds.is_multiple_of(u128::from(factor)) {
            return format!("{}{unit}", milliseconds / u128::from(factor));
        }
    }
    format!("{milliseconds}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("1s500ms", 1_500),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "30", "s", "30 s", "-1s", "1.5s", "1w", "1S", "30s ", "99999999999999999d", "1h30"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn times_are_printed_exactly() {
        for milliseconds in [0, 1, 999, 1_000, 1_500, 75_000, 5_400_000, 90_061_001] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(parse(&print(duration)), Some(duration));
        }
        assert_eq!(print(Duration::from_secs(75)), "75s");
    }
}
