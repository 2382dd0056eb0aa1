//! Times and durations as Kafka's tools take them, in ISO 8601. Pure.

use std::time::SystemTime;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// Milliseconds since 1970 of a time; one without an offset is in UTC, as for Kafka's tools.
pub(crate) fn datetime(text: &str) -> Result<i64, String> {
    let time = text.parse::<Timestamp>().or_else(|_| {
        let local: DateTime = text.parse()?;
        TimeZone::UTC.to_timestamp(local)
    });
    time.map(Timestamp::as_millisecond).map_err(|_| {
        "write it as 2026-01-31T13:00:00.000, in UTC, or with an offset such as +01:00".to_owned()
    })
}

/// Milliseconds since 1970 of the time that lies so long ago. A day has 24 hours.
pub(crate) fn ago(text: &str) -> Result<i64, String> {
    let how = || "write it as P1D for a day, PT2H30M for two hours and a half".to_owned();
    let span: Span = text.parse().map_err(|_| how())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| how())?;
    if duration < SignedDuration::ZERO {
        return Err("it lies in the past, so it has no sign".to_owned());
    }
    let now = Timestamp::try_from(SystemTime::now()).map_err(|e| e.to_string())?;
    let then = now.checked_sub(duration).map_err(|e| e.to_string())?;
    Ok(then.as_millisecond())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_time_without_an_offset_is_in_utc() {
        for (text, ms) in [
            ("1970-01-01T00:00:01.500", 1500),
            ("1970-01-01T00:00:01", 1000),
            ("1970-01-01T00:00:01Z", 1000),
            ("1970-01-01T01:00:01+01:00", 1000),
            ("1970-01-01T01:00:01.000+0100", 1000),
            ("1970-01-02", 86_400_000),
            ("1969-12-31T23:59:59", -1000),
        ] {
            assert_eq!(datetime(text), Ok(ms), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01T00:00:00", "13:00", "1700000000000"] {
            assert!(datetime(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_is_taken_from_now() {
        let now = Timestamp::now().as_millisecond();
        for (text, ms) in [("P1D", 86_400_000), ("PT2H30M", 9_000_000), ("PT0.5S", 500)] {
            let off = now - ago(text).unwrap() - ms;
            assert!((-5_000..=5_000).contains(&off), "{text}: {off}");
        }
        for text in ["", "1 fortnight", "-P1D", "P1Y", "P99999999999D"] {
            assert!(ago(text).is_err(), "{text}");
        }
    }
}
