//! Times as JSON has them.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const NANOS_IN_A_MILLISECOND: i128 = 1_000_000;

/// RFC 3339 in UTC, in whole milliseconds. A time that the form cannot say (a deadline after the year 9999) is said as
/// the last one that it can.
pub(super) fn rfc_3339(time: SystemTime) -> String {
    let nanos = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => i128::try_from(before.duration().as_nanos()).map_or(i128::MIN, |nanos| -nanos),
    };
    let milliseconds = nanos.div_euclid(NANOS_IN_A_MILLISECOND);
    let said = milliseconds.checked_mul(NANOS_IN_A_MILLISECOND).map(OffsetDateTime::from_unix_timestamp_nanos);
    match said {
        Some(Ok(time)) => time.format(&Rfc3339).unwrap_or_else(|_| limit_of(nanos).to_owned()),
        _ => limit_of(nanos).to_owned(),
    }
}

fn limit_of(nanos: i128) -> &'static str {
    if nanos < 0 { "0000-01-01T00:00:00Z" } else { "9999-12-31T23:59:59Z" }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_said_in_whole_milliseconds() {
        let at = |milliseconds| rfc_3339(UNIX_EPOCH + Duration::from_millis(milliseconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(1_767_323_045_678), "2026-01-02T03:04:05.678Z");
        assert_eq!(rfc_3339(UNIX_EPOCH + Duration::from_nanos(1_999_999)), "1970-01-01T00:00:00.001Z");
        assert_eq!(rfc_3339(UNIX_EPOCH - Duration::from_millis(1)), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_time_beyond_the_form_is_its_last() {
        let far = |years: u64| Duration::from_secs(years * 366 * 86_400);
        assert_eq!(rfc_3339(UNIX_EPOCH + far(20_000)), "9999-12-31T23:59:59Z");
        assert_eq!(rfc_3339(UNIX_EPOCH - far(20_000)), "0000-01-01T00:00:00Z");
    }
}
