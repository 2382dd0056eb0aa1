//! Topologies whose records have times: windows, sessions, and stores with a time to live.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oncestream::prelude::*;
use oncestream_testkit::ExactlyOnceCheck;

use crate::lines::build;

pub(crate) const MS: Duration = Duration::from_millis(1);

/// Times that go on, fall back, are too late and jump, near to now: a changelog of windows keeps no
/// older ones.
pub(crate) fn times(count: usize) -> impl Iterator<Item = (String, i64)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let begin = i64::try_from(now / 1000 * 1000).unwrap_or(0);
    let shifts = [0, 3, 1, 2, -4, 6, -20, 9, 40, 1];
    (0..count)
        .map(move |n| (format!("key-{}", n % 4), begin + 4 * n as i64 + shifts[n % shifts.len()]))
}

/// Windows that are emitted when they close, and sessions that are emitted at each update, and finally. A
/// record's time is its value.
fn windowed() -> Topology {
    let shown = |of: Windowed<String>, count: Option<i64>| {
        (of.key, format!("{}..{}: {}", of.start, of.end, count.unwrap_or(0)))
    };
    let builder = StreamsBuilder::new();
    let by_value = Consumed::<String, i64>::new("times").timestamp_extractor(|r, _| r.value);
    let grouped = builder.stream(by_value).group_by_key();
    let windows = TimeWindows::of_size_and_grace(MS * 10, MS * 5);
    grouped
        .windowed_by(windows.advance_by(MS * 5))
        .emit_strategy(EmitStrategy::on_window_close())
        .count("windows")
        .to_stream()
        .map(shown)
        .to("closed-windows");
    let sessions = grouped
        .windowed_by(SessionWindows::of_inactivity_gap_and_grace(MS * 4, MS * 5))
        .count("sessions");
    sessions.to_stream().map(shown).to("sessions");
    let finally = Suppressed::until_window_closes(BufferConfig::unbounded()).with_name("final");
    sessions.suppress(finally).to_stream().map(shown).to("final-sessions");
    build(builder)
}

/// Counts that begin anew after a while, and a table of those of late. A record's time is its value.
fn expiring() -> Topology {
    let builder = StreamsBuilder::new();
    let by_value = Consumed::<String, i64>::new("times").timestamp_extractor(|r, _| r.value);
    let times = builder.stream(by_value);
    let counts = Materialized::named("visits").ttl(MS * 20);
    times.group_by_key().count(counts).to_stream().to("visits");
    let latest = Materialized::named("latest").ttl(MS * 10);
    times.to_table().materialized(latest).to_stream().to("latest");
    build(builder)
}

pub(crate) fn check_windows(name: &str, test: &str) -> ExactlyOnceCheck {
    ExactlyOnceCheck::new(name, windowed).test(test).input("times", times(40))
}

pub(crate) fn check_expiring(name: &str, test: &str) -> ExactlyOnceCheck {
    ExactlyOnceCheck::new(name, expiring).test(test).input("times", times(40))
}
