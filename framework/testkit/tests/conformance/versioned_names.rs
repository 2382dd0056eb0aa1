//! What `ConformanceJoinNames.java` and `ConformanceJoinRefused.java` have of versioned tables, and of joins with
//! them that have a grace.
//!
//! Knows topologies; not how a case is compared.

use std::time::Duration;

use oncestream_core::serde::HasSerde;
use oncestream_operators::{BufferConfig, Joined, Materialized, StreamsBuilder, Suppressed};

use crate::functions::Text;
use crate::table_joins::{Kind, Table, strings};
use crate::versioned::source;

/// Cases that cannot be written here, by the reason.
const CANNOT_BE_WRITTEN: &[(&str, &[&str])] = &[
    ("a `Duration` is not negative", &["negative_grace_of_a_join", "negative_history"]),
    ("a store has no segments", &["segments_of_zero"]),
    ("versions keep a changelog: a compacted topic has none", &["versioned_table_optimised"]),
];

/// Whether a case cannot be written here.
pub(crate) fn cannot_be_written(group: &str, case: &str) -> bool {
    matches!(group, "join_names" | "join_refused")
        && CANNOT_BE_WRITTEN.iter().any(|(_, cases)| cases.contains(&case))
}

/// Adds what a case describes, if it is here.
pub(crate) fn named(b: &StreamsBuilder, case: &str) -> Option<()> {
    if let Some(name) = case.strip_prefix("stream_table_") {
        let (kind, shape) = Kind::of(name)?;
        let left = matches!(kind, Kind::Left);
        match shape {
            "_grace" => join(b, left, |joined| joined),
            "_grace_named" => join(b, left, |joined| joined.name("n")),
            _ => return None,
        }
        return Some(());
    }
    match case {
        "versioned_table" => {
            let table: Table = b.table("in").materialized(of_an_hour());
            table.to_stream().to("out");
        }
        "versioned_table_log_settings" => {
            let store = of_an_hour().topic_setting("min.compaction.lag.ms", "1");
            let store = store.topic_setting("segment.bytes", "1000000");
            let table: Table = b.table("in").materialized(store);
            table.to_stream().to("out");
        }
        "versioned_count" => {
            let counts = strings(b, "in").group_by_key().count(of_an_hour());
            counts.to_stream().to("out");
        }
        _ => return None,
    }
    Some(())
}

fn of_an_hour<V: HasSerde>() -> Materialized<Text, V> {
    Materialized::named("s").versioned(Duration::from_hours(1))
}

fn join(
    b: &StreamsBuilder,
    left: bool,
    name: impl Fn(Joined<Text, Text, String>) -> Joined<Text, Text, String>,
) {
    let stream = strings(b, "one");
    let joined = name(Joined::with(&source(b, "two")).grace(Duration::from_millis(10)));
    if left {
        stream.left_join_table(joined, |_, _| String::new()).to("out");
    } else {
        stream.join_table(joined, |_, _| String::new()).to("out");
    }
}

/// What is refused there, and what is let through.
pub(crate) fn refused(b: &StreamsBuilder, case: &str) -> Option<()> {
    let suppressed = match case {
        "suppressed_versions" => Some(source(b, "in")),
        "suppressed_filtered_versions" => Some(source(b, "in").filter(|_, _| true)),
        _ => None,
    };
    if let Some(table) = suppressed {
        let limit = Duration::from_millis(10);
        let limit = Suppressed::until_time_limit(limit, BufferConfig::unbounded());
        table.suppress(limit).to_stream().to("out");
        return Some(());
    }
    let (versions, grace) = match case {
        "grace_with_a_table_that_is_not_versioned" => (b.table("two"), 10),
        "grace_with_a_versioned_table_in_another_store" => {
            (source(b, "two").map_values(|v| v).materialized("s"), 10)
        }
        "grace_of_history" => (source(b, "two"), 40),
        "grace_beyond_history" => (source(b, "two"), 41),
        "grace_beyond_history_of_a_filtered_table" => (source(b, "two").filter(|_, _| true), 41),
        _ => return None,
    };
    let joined = Joined::with(&versions).grace(Duration::from_millis(grace)).name("n");
    strings(b, "one").join_table(joined, |_, _| String::new()).to("out");
    Some(())
}
