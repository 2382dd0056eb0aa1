//! The topologies of `ConformanceTables.java`: tables of a topic and of a stream, filtered, mapped,
//! grouped.
//!
//! Knows topologies; not how a case is played.

use oncestream_operators::{KTable, StreamsBuilder};

use crate::functions::{RESET, Text, join, show};
use crate::play::Setup;

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &str) -> Option<Setup> {
    let b = StreamsBuilder::new();
    let stores: &[&str] = match case {
        "table_source" => source(&b),
        "table_operators" => operators(&b),
        "table_group_by" => grouped(&b),
        "to_table" => to_table(&b),
        _ => return None,
    };
    Some(Setup::new(b.build().unwrap(), stores))
}

type Stores = &'static [&'static str];

fn table(b: &StreamsBuilder) -> KTable<String, String> {
    b.table("in").materialized("table")
}

fn source(b: &StreamsBuilder) -> Stores {
    table(b).to_stream().to("out");
    b.table::<String, String>("other").to_stream().to("unstored");
    &["table"]
}

fn operators(b: &StreamsBuilder) -> Stores {
    let table = table(b);
    let early = |_: &String, v: &String| v.as_str() <= "c";
    table.filter(early).to_stream().to("filtered");
    table.filter_not(early).to_stream().to("filtered-not");
    table.filter(early).materialized("kept").to_stream().to("filtered-stored");
    table.filter_map_values(|v| (v != RESET).then(|| v.repeat(2))).to_stream().to("mapped");
    table
        .map_values_with_key(|k, v| format!("{k}{v}"))
        .materialized("pairs")
        .to_stream()
        .to("mapped-stored");
    &["table", "kept", "pairs"]
}

fn grouped(b: &StreamsBuilder) -> Stores {
    let table = table(b);
    let grouped = table.group_by(|k, v| (v.clone(), k.clone())).grouped("by-value");
    let with = |sign: &str, all: &str, v: &str| join(all, format!("{sign}{v}").as_str());
    grouped
        .aggregate(
            String::new,
            move |_, v, all| with("+", &all, &v),
            move |_, v, all| with("-", &all, &v),
            "agg",
        )
        .to_stream()
        .to("agg");
    grouped.count("counts").to_stream().map_values(show).to("counts");
    grouped
        .reduce(
            |all, v| join(all.as_str(), v.as_str()),
            |all, _| join(all.as_str(), "-"),
            "reduced",
        )
        .to_stream()
        .to("reduced");
    // A table of which only a part is grouped: old values pass through a filter.
    table
        .filter(|_, v| v.as_str() <= "c")
        .group_by(|k, v| (v.clone(), k.clone()))
        .count("some")
        .to_stream()
        .map_values(show)
        .to("some");
    &["table", "agg", "counts", "reduced", "some"]
}

fn to_table(b: &StreamsBuilder) -> Stores {
    let input = b.stream::<Text, Text>("in");
    let table = input.map_values(|v| v.map(|v| v + "!")).to_table::<String>().materialized("table");
    table.to_stream().to("out");
    table
        .group_by(|k, v| (v.clone(), k.clone()))
        .count("counts")
        .to_stream()
        .map_values(show)
        .to("counts");
    input
        .select_key(|k, v| v.clone().or_else(|| k.clone()))
        .to_table::<String>()
        .materialized("by-value")
        .to_stream()
        .to("by-value");
    &["table", "counts", "by-value"]
}
