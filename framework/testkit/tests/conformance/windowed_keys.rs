//! The topologies of `ConformanceWindowedKeys.java`: the bytes of keys in windows, in topics that a program
//! writes and reads, and in changelogs.
//!
//! Knows topologies; not how a case is played. What a case says of its windows is in its options.

use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_operators::{
    BufferConfig, Consumed, KGroupedStream, KTable, Materialized, Produced, SlidingWindows,
    StreamsBuilder, Suppressed, Windowed,
};

use crate::format::Case;
use crate::functions::join;
use crate::play::Setup;
use crate::{session_windows, time_windows};

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &Case) -> Option<Setup> {
    let b = StreamsBuilder::new();
    match &*case.name {
        "time_windowed_keys" => time(&b, case),
        "session_windowed_keys" => session(&b, case),
        "time_windowed_long_keys" => longs(&b, case),
        "suppress_changelog" => suppressed(&b, case),
        _ => return None,
    }
    Some(Setup::new(b.build().unwrap(), &[]))
}

fn grouped(b: &StreamsBuilder) -> KGroupedStream<String, String> {
    b.stream::<String, String>("in").group_by_key()
}

fn time(b: &StreamsBuilder, case: &Case) {
    let counts = grouped(b).windowed_by(time_windows::windows(case)).count("counts");
    let serde = Windowed::time_serde(String::serde(), case.duration("size").unwrap());
    write_and_read(b, &counts, &serde);
}

fn session(b: &StreamsBuilder, case: &Case) {
    let counts = grouped(b).windowed_by(session_windows::windows(case)).count("counts");
    write_and_read(b, &counts, &Windowed::session_serde(String::serde()));
}

/// Read back, a key keeps what its bytes say: of time windows the start, to which the reader adds a size.
fn write_and_read(
    b: &StreamsBuilder,
    counts: &KTable<Windowed<String>, i64>,
    serde: &DynSerde<Windowed<String>>,
) {
    let of_count = Option::<i64>::serde();
    counts.to_stream().to(Produced::with("windowed", serde.clone(), of_count.clone()));
    b.stream(Consumed::with("windowed", serde.clone(), of_count))
        .map(|Windowed { key, start, end }, n| {
            let n = n.map_or_else(|| "null".to_owned(), |n| n.to_string());
            (key, format!("{start}/{end}={n}"))
        })
        .to("read");
}

/// Keys that are numbers: a fixed number of bytes, and those of negative ones sort last.
fn longs(b: &StreamsBuilder, case: &Case) {
    let by_number = b.stream::<String, String>("in").group_by(|key, _| key.parse::<i64>().unwrap());
    let reduced = by_number
        .windowed_by(time_windows::windows(case))
        .reduce(|all, v| join(all.as_str(), v.as_str()), Materialized::new());
    let serde = Windowed::time_serde(i64::serde(), case.duration("size").unwrap());
    reduced.to_stream().to(Produced::with("windowed", serde, Option::<String>::serde()));
}

/// What a buffer of suppressed results writes into its changelog.
fn suppressed(b: &StreamsBuilder, case: &Case) {
    let of = |option: &str| case.duration(option).unwrap();
    let windows = SlidingWindows::of_time_difference_and_grace(of("difference"), of("grace"));
    let latest = |all: String, v: String| join(all.as_str(), v.as_str());
    let reduced = grouped(b).windowed_by(windows).reduce(latest, "reduced");
    let closes = Suppressed::until_window_closes(BufferConfig::unbounded()).with_name("buffer");
    let serde = Windowed::time_serde(String::serde(), of("difference"));
    let produced = Produced::with("windowed", serde, Option::<String>::serde());
    reduced.suppress(closes).to_stream().to(produced);
}
