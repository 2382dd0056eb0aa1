//! The topologies of `ConformanceStreamTableJoins.java`: streams joined with tables.
//!
//! Knows topologies; not how a case is played.

use std::time::Duration;

use oncestream_operators::{BufferConfig, KStream, StreamsBuilder, Suppressed};

use crate::functions::{Text, join_or_reset, letter, pair, pair_or_reset};
use crate::table_joins::{Kind, Stores, Table, early, source, strings};

/// Adds the topology of a case, if it is here; its stores.
pub(crate) fn added(b: &StreamsBuilder, case: &str) -> Option<Stores> {
    let (left, shape) = match Kind::of(case.strip_prefix("stream_table_")?)? {
        (Kind::Inner, shape) => (false, shape),
        (Kind::Left, shape) => (true, shape),
        (Kind::Outer, _) => return None,
    };
    Some(match shape {
        "" => plain(b, left),
        "_null_results" => null_results(b, left),
        "_with_key" => with_key(b, left),
        "_repartitioned" => repartitioned(b, left),
        "_of_sides" => sides(b, left),
        "_to_table" => to_table(b, left),
        "_aggregation" => aggregation(b, left),
        "_joined_table" => joined_table(b, left),
        "_suppressed_table" => suppressed_table(b, left),
        "_own_aggregation" => own_aggregation(b, left),
        "_own_table" => own_table(b, left),
        _ => return None,
    })
}

/// Joined by [`pair`].
pub(crate) fn join(left: bool, one: &KStream<Text, Text>, two: &Table) -> KStream<Text, String> {
    if left {
        one.left_join_table(two, |v, t| pair(v.as_deref(), t.map(String::as_str)))
    } else {
        one.join_table(two, |v, t| pair(v.as_deref(), t.as_str()))
    }
}

fn plain(b: &StreamsBuilder, left: bool) -> Stores {
    join(left, &strings(b, "stream"), &source(b, "table")).to("out");
    &["table-store"]
}

fn null_results(b: &StreamsBuilder, left: bool) -> Stores {
    let (stream, table) = (strings(b, "stream"), b.table::<Text, String>("table"));
    let joined: KStream<Text, Text> = if left {
        stream.left_join_table(&table, |v, t| pair_or_reset(v.as_deref(), t.map(String::as_str)))
    } else {
        stream.join_table(&table, |v, t| pair_or_reset(v.as_deref(), Some(t)))
    };
    joined.to("out");
    &[]
}

fn with_key(b: &StreamsBuilder, left: bool) -> Stores {
    let (stream, table) = (strings(b, "stream"), b.table::<Text, String>("table"));
    let shown = |key: &Text| key.as_deref().unwrap_or("null").to_owned() + "=";
    let joined = if left {
        stream.left_join_table_with_key(&table, move |k, v, t| {
            shown(k) + &pair(v.as_deref(), t.map(String::as_str))
        })
    } else {
        stream
            .join_table_with_key(&table, move |k, v, t| shown(k) + &pair(v.as_deref(), t.as_str()))
    };
    joined.to("out");
    &[]
}

fn repartitioned(b: &StreamsBuilder, left: bool) -> Stores {
    let stream = strings(b, "stream").select_key(|_, v| letter(v.as_deref()));
    join(left, &stream, &source(b, "table")).to("out");
    &["table-store"]
}

fn sides(b: &StreamsBuilder, left: bool) -> Stores {
    let table = b.table::<Text, String>("table").filter(|_, v| early(v));
    let table = table.map_values_with_key(|k, v| k.clone().unwrap_or_default() + &v);
    join(left, &strings(b, "stream").filter(|_, v| v.is_some()), &table).to("out");
    &[]
}

fn to_table(b: &StreamsBuilder, left: bool) -> Stores {
    let other = strings(b, "other").select_key(|_, v| letter(v.as_deref()));
    let table = other.to_table::<String>().materialized("table");
    join(left, &strings(b, "stream"), &table).to("out");
    &["table"]
}

fn aggregation(b: &StreamsBuilder, left: bool) -> Stores {
    let table = strings(b, "other").group_by_key().aggregate(
        String::new,
        |_, v, all: String| join_or_reset(&all, letter(v.as_deref()).as_deref()),
        "agg",
    );
    join(left, &strings(b, "stream"), &table).to("out");
    &["agg"]
}

fn joined_table(b: &StreamsBuilder, left: bool) -> Stores {
    let (one, two) = (b.table("one"), b.table("two"));
    let stream = strings(b, "stream");
    join(left, &stream, &Kind::Outer.join(&one, &two)).to("out");
    join(left, &stream, &Kind::Left.join(&one, &two).materialized("joined")).to("stored");
    &["joined"]
}

fn suppressed_table(b: &StreamsBuilder, left: bool) -> Stores {
    let limit = Duration::from_millis(12);
    let later = Suppressed::until_time_limit(limit, BufferConfig::unbounded());
    let table = source(b, "table").suppress(later);
    table.to_stream().to("emitted");
    join(left, &strings(b, "stream"), &table).to("out");
    &[]
}

fn own_aggregation(b: &StreamsBuilder, left: bool) -> Stores {
    let input = strings(b, "in");
    let counts = input.group_by_key().count("counts").map_values(|n| n.to_string());
    join(left, &input, &counts).to("out");
    join(left, &input.map_values(|v| v.map(|v| v + "!")), &counts).to("mapped");
    counts.to_stream().to("counts");
    &["counts"]
}

fn own_table(b: &StreamsBuilder, left: bool) -> Stores {
    let table = source(b, "in");
    join(left, &table.to_stream(), &table).to("out");
    let by_letter = table.to_stream().select_key(|_, v| letter(v.as_deref()));
    join(left, &by_letter, &table).to("by-letter");
    &["in-store"]
}
