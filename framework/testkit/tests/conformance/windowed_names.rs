//! The topologies of `ConformanceNames.java` and `ConformanceRefused.java` that have windows, and the cases
//! that cannot be written.
//!
//! Knows topologies; not what is compared.

use std::time::Duration;

use oncestream_core::serde::HasSerde;
use oncestream_operators::{
    Data, EmitStrategy, KTable, Materialized, SessionWindows, SlidingWindows, StreamsBuilder,
    TimeWindows, UnlimitedWindows, Windowed,
};

use crate::format::Windows;
use crate::functions::Text;
use crate::windowed::{grouped, write};

/// Cases of the group `refused` that cannot be written here, so that nothing is to be refused, by the
/// reason.
const CANNOT_BE_WRITTEN: &[(&str, &[&str])] = &[
    (
        "a `Duration` is not negative",
        &[
            "negative_size",
            "negative_grace",
            "negative_difference",
            "negative_sliding_grace",
            "negative_gap",
            "negative_session_grace",
            "negative_retention",
            "negative_session_retention",
            "negative_limit",
        ],
    ),
    (
        "a store of windows is not told how long they are",
        &["store_size_below_window", "negative_store_size"],
    ),
    ("there is no null to give for windows", &["cogroup_in_no_window"]),
];

/// Whether a case cannot be written here.
pub(crate) fn cannot_be_written(group: &str, case: &str) -> bool {
    group == "refused" && CANNOT_BE_WRITTEN.iter().any(|(_, cases)| cases.contains(&case))
}

/// `windows` of `ConformanceNames.java`.
pub(crate) fn named(b: &StreamsBuilder, case: &str) -> Option<()> {
    tumbling(b, case).or_else(|| sliding_and_unlimited(b, case)).or_else(|| session(b, case))
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

fn end<V: Data + HasSerde>(table: &KTable<Windowed<Text>, V>, windows: Windows) {
    write(&table.to_stream(), "out", windows);
}

/// The time windows there.
fn tumbling(b: &StreamsBuilder, case: &str) -> Option<()> {
    let day = TimeWindows::of_size_and_grace(minutes(24 * 60), minutes(60));
    let keys = Windows::Time(day.size_ms());
    let input = || grouped(b).windowed_by(day);
    let by_value = || b.stream::<Text, Text>("in").group_by(|_, v| v.clone());
    match case {
        "tumbling_count" => end(&input().count(Materialized::new()), keys),
        "tumbling_count_store" => end(&input().count("s"), keys),
        "tumbling_count_named" => end(&input().named("n").count(Materialized::new()), keys),
        "tumbling_count_named_store" => end(&input().named("n").count("s"), keys),
        "tumbling_count_retention" => {
            let three_days = minutes(3 * 24 * 60);
            end(&input().count(Materialized::named("s").retention(three_days)), keys);
        }
        "tumbling_count_log_settings" => {
            let store = Materialized::named("s")
                .topic_setting("retention.ms", "1")
                .topic_setting("segment.bytes", "1000000");
            end(&input().count(store), keys);
        }
        "tumbling_count_no_log" => {
            end(&input().count(Materialized::named("s").logging_disabled()), keys);
        }
        "tumbling_reduce" => end(&input().reduce(|_, new| new, Materialized::new()), keys),
        "tumbling_aggregate" => {
            let same = |_: &Text, _, all: String| all;
            end(&input().aggregate(String::new, same, Materialized::new()), keys);
        }
        "tumbling_count_on_close" => {
            let closing = input().emit_strategy(EmitStrategy::on_window_close());
            end(&closing.count(Materialized::new()), keys);
        }
        "tumbling_after_repartition" => {
            end(&by_value().windowed_by(day).count(Materialized::new()), keys);
        }
        "tumbling_after_repartition_store" => end(&by_value().windowed_by(day).count("s"), keys),
        "tumbling_after_named_repartition" => {
            end(&by_value().grouped("g").windowed_by(day).count("s"), keys);
        }
        "windowed_table_regrouped" => input()
            .count(Materialized::new())
            .group_by(|window, n| (window.key.clone(), *n))
            .reduce(|one, two| one + two, |one, two| one - two, Materialized::new())
            .to_stream()
            .to("out"),
        _ => return None,
    }
    Some(())
}

/// The sliding windows there, and unlimited ones.
fn sliding_and_unlimited(b: &StreamsBuilder, case: &str) -> Option<()> {
    let sliding = SlidingWindows::of_time_difference_and_grace(minutes(5), minutes(1));
    let keys = Windows::Time(sliding.time_difference_ms());
    let input = || grouped(b).windowed_by(sliding);
    match case {
        "unlimited_count" => {
            let unlimited = grouped(b).windowed_by(UnlimitedWindows::of());
            end(&unlimited.count(Materialized::new()), Windows::Time(i64::MAX));
        }
        "sliding_count" => end(&input().count(Materialized::new()), keys),
        "sliding_count_store" => end(&input().count("s"), keys),
        "sliding_reduce" => end(&input().reduce(|_, new| new, Materialized::new()), keys),
        "sliding_aggregate" => {
            let same = |_: &Text, _, all: String| all;
            end(&input().aggregate(String::new, same, Materialized::new()), keys);
        }
        _ => return None,
    }
    Some(())
}

/// The sessions there.
fn session(b: &StreamsBuilder, case: &str) -> Option<()> {
    let keys = Windows::Session;
    let input = || {
        let sessions = SessionWindows::of_inactivity_gap_and_grace(minutes(5), minutes(1));
        grouped(b).windowed_by(sessions)
    };
    match case {
        "session_count" => end(&input().count(Materialized::new()), keys),
        "session_count_store" => end(&input().count("s"), keys),
        "session_reduce" => end(&input().reduce(|_, new| new, Materialized::new()), keys),
        "session_aggregate" => {
            let same = |_: &Text, _, all: String| all;
            let first = |_: &Text, one: String, _: String| one;
            end(&input().aggregate(String::new, same, first, Materialized::new()), keys);
        }
        _ => return None,
    }
    Some(())
}

/// `ConformanceRefused.java`: windows that cannot be, and stores that cannot hold them.
pub(crate) fn refused(b: &StreamsBuilder, case: &str) -> Option<()> {
    let ms = Duration::from_millis;
    let ten = TimeWindows::of_size_with_no_grace(ms(10));
    let tumbling = TimeWindows::of_size_and_grace(ms(10), ms(5));
    let sliding = SlidingWindows::of_time_difference_and_grace(ms(10), ms(5));
    let sessions = SessionWindows::of_inactivity_gap_and_grace(ms(10), ms(5));
    let kept = |retention| Materialized::named("s").retention(ms(retention));
    let count = |windows: TimeWindows| grouped(b).windowed_by(windows).count("s");
    match case {
        "size_of_zero" => drop(count(TimeWindows::of_size_with_no_grace(ms(0)))),
        "advance_of_zero" => drop(count(ten.advance_by(ms(0)))),
        "advance_beyond_size" => drop(count(ten.advance_by(ms(11)))),
        "advance_of_size" => drop(count(ten.advance_by(ms(10)))),
        "negative_start" => {
            let negative = UnlimitedWindows::of().start_on(-1);
            grouped(b).windowed_by(negative).count("s");
        }
        "retention_below_size_and_grace" => {
            grouped(b).windowed_by(tumbling).count(kept(14));
        }
        "retention_of_size_and_grace" => {
            grouped(b).windowed_by(tumbling).count(kept(15));
        }
        "retention_below_two_differences" => {
            grouped(b).windowed_by(sliding).count(kept(24));
        }
        "retention_below_gap_and_grace" => {
            grouped(b).windowed_by(sessions).count(kept(14));
        }
        "unlimited_on_close" => {
            let unlimited = grouped(b).windowed_by(UnlimitedWindows::of());
            unlimited.emit_strategy(EmitStrategy::on_window_close()).count(Materialized::new());
        }
        _ => return None,
    }
    Some(())
}
