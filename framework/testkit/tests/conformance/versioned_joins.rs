//! The topologies of `ConformanceVersionedJoins.java`: joins with versioned tables.
//!
//! Knows topologies; not how a case is played.

use oncestream_operators::{Joined, KStream, StreamsBuilder};

use crate::foreign_keys;
use crate::format::Case;
use crate::functions::{Text, join as joined_text, letter, pair};
use crate::stream_table_joins::join;
use crate::table_joins::{self, Kind, Stores, Table, early, strings};
use crate::versioned::{ask, reduced, source, versioned};

/// Adds the topology of a case, if it is here; its stores.
pub(crate) fn added(b: &StreamsBuilder, case: &Case) -> Option<Stores> {
    let name = case.name.strip_prefix("versioned_")?;
    if name == "grace_bytes" {
        grace(b, case, false, &strings(b, "in"));
    } else if name == "bytes" {
        source(b, "in").to_stream().to("out");
    } else if let Some((kind, "")) = foreign_keys::Kind::of(name) {
        kind.join(&source(b, "rows"), &source(b, "others")).to_stream().to("out");
    } else if let Some(name) = name.strip_prefix("stream_") {
        let (kind, shape) = Kind::of(name)?;
        stream(b, case, matches!(kind, Kind::Left), shape)?;
    } else {
        let (kind, shape) = Kind::of(name.strip_prefix("table_")?)?;
        tables(b, kind, shape)?;
    }
    Some(&[])
}

fn stream(b: &StreamsBuilder, case: &Case, left: bool, shape: &str) -> Option<()> {
    match shape {
        "" => join(left, &strings(b, "stream"), &source(b, "table")).to("out"),
        "_of_sides" => {
            let (table, stream) = (source(b, "table"), strings(b, "stream"));
            let kept = table.filter(|_, v| early(v));
            let kept = kept.map_values_with_key(|k, v| k.clone().unwrap_or_default() + &v);
            join(left, &stream, &kept).to("out");
            let mapped = table.map_values(|v| v + "!").materialized("mapped");
            join(left, &stream, &mapped).to("stored");
        }
        "_of_aggregation" => {
            let of_letter = |x: &str, y: &str| joined_text(letter(Some(x)).as_deref(), y);
            let table = reduced(&strings(b, "other"), of_letter);
            join(left, &strings(b, "stream"), &table).to("out");
        }
        "_grace" | "_grace_zero" | "_grace_of_history" => {
            grace(b, case, left, &strings(b, "stream"));
        }
        "_grace_repartitioned" => {
            let stream = strings(b, "stream").filter(|_, v| letter(v.as_deref()).is_some());
            grace(b, case, left, &stream.select_key(|_, v| letter(v.as_deref())));
        }
        _ => return None,
    }
    Some(())
}

fn grace(b: &StreamsBuilder, case: &Case, left: bool, stream: &KStream<Text, Text>) {
    let joined = Joined::with(&source(b, "table")).grace(case.duration("grace").unwrap()).name("n");
    if left {
        stream.left_join_table(joined, |v, t| pair(v.as_deref(), t.map(String::as_str))).to("out");
    } else {
        stream.join_table(joined, |v, t| pair(v.as_deref(), t.as_str())).to("out");
    }
}

fn tables(b: &StreamsBuilder, kind: Kind, shape: &str) -> Option<()> {
    let side = |topic: &str, has_versions: bool| -> Table {
        if has_versions { source(b, topic) } else { table_joins::source(b, topic) }
    };
    let (one, two) = match shape {
        "" | "_stored" => (side("one", true), side("two", true)),
        "_left_versioned" => (side("one", true), side("two", false)),
        "_right_versioned" => (side("one", false), side("two", true)),
        _ => return None,
    };
    let joined = kind.join(&one, &two);
    if shape == "_stored" {
        let joined = joined.materialized(versioned("joined"));
        joined.to_stream().to("out");
        ask(b, &joined);
    } else {
        joined.to_stream().to("out");
    }
    Some(())
}
