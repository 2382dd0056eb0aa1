//! The topologies of `ConformanceTables.java`: tables of a topic and of a stream, filtered, mapped,
//! grouped.
//!
//! Knows topologies; not how a case is played.

use oncestream_core::error::BoxError;
use oncestream_operators::processor::{StoreHandle, TableProcessor, TableProcessorContext};
use oncestream_operators::{KTable, Materialized, StreamsBuilder};

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
        "table_transform_values" => processed(&b),
        "table_to_stream_with_key" => other_key(&b),
        _ => return None,
    };
    Some(Setup { without_time: &["seen"], ..Setup::new(b.build().unwrap(), stores) })
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

/// Also a deletion has a value here, and one value is a deletion.
struct Shown;

impl TableProcessor for Shown {
    type Key = String;
    type ValueIn = String;
    type ValueOut = String;

    fn process(
        &mut self,
        _ctx: &mut TableProcessorContext<'_, Self>,
        key: &String,
        value: Option<String>,
    ) -> Result<Text, BoxError> {
        Ok(match value {
            None => Some("none".to_owned()),
            Some(value) => (value != RESET).then(|| format!("{key}{value}")),
        })
    }
}

/// Joins all that came for a key.
struct Remembering {
    seen: StoreHandle<String, String>,
}

impl TableProcessor for Remembering {
    type Key = String;
    type ValueIn = String;
    type ValueOut = String;

    fn process(
        &mut self,
        _ctx: &mut TableProcessorContext<'_, Self>,
        key: &String,
        value: Option<String>,
    ) -> Result<Text, BoxError> {
        let all = join(self.seen.get(key)?.as_deref(), value.as_deref());
        self.seen.put(key.clone(), all.clone())?;
        Ok(Some(all).filter(|_| value.as_deref() != Some(RESET)))
    }
}

fn processed(b: &StreamsBuilder) -> Stores {
    let seen = b.add_state_store("seen");
    let table = table(b);
    let by_value = |k: &String, v: &String| (v.clone(), k.clone());
    table.process_values((), |()| Shown).to_stream().to("out");
    table
        .process_values(&seen, |seen| Remembering { seen })
        .materialized("all")
        .to_stream()
        .to("stored");
    // Old values: of a table without a store they are made again, of one with a store they are read.
    table
        .process_values((), |()| Shown)
        .group_by(by_value)
        .count("counts")
        .to_stream()
        .map_values(show)
        .to("counts");
    table
        .process_values((), |()| Shown)
        .materialized("shown")
        .group_by(by_value)
        .count("stored-counts")
        .to_stream()
        .map_values(show)
        .to("stored-counts");
    &["table", "seen", "all", "shown", "counts", "stored-counts"]
}

fn other_key(b: &StreamsBuilder) -> Stores {
    let by_value = table(b).to_stream_with_key(|k, v| v.unwrap_or(k).clone());
    by_value.to("out");
    by_value.group_by_key().count("counts").to_stream().map_values(show).to("counts");
    &["table", "counts"]
}

/// The cases of `names` with `transformValues`.
pub(crate) fn named(b: &StreamsBuilder, case: &str) -> Option<()> {
    let input = || b.table::<String, String>("in");
    match case {
        "table_transform_values" => input().process_values((), |()| Shown).to_stream().to("out"),
        "table_transform_values_named" => {
            input().named("n").process_values((), |()| Shown).to_stream().to("out");
        }
        "table_transform_values_store" => {
            input().process_values((), |()| Shown).materialized("s").to_stream().to("out");
        }
        "table_transform_values_connected" => {
            let seen = b.add_state_store("seen");
            let table = input().process_values(&seen, |seen| Remembering { seen });
            table.materialized("s").to_stream().to("out");
        }
        "table_transform_values_grouped" => {
            let by_value = |k: &String, v: &String| (v.clone(), k.clone());
            let grouped = input().process_values((), |()| Shown).group_by(by_value);
            grouped.count(Materialized::new()).to_stream().to("out");
        }
        _ => return None,
    }
    Some(())
}
