//! The topologies of `ConformanceVersioned.java`: versioned stores, tables with versions, and what follows
//! them. Those of joins, which are of the same group, are in `versioned_joins`.
//!
//! Knows topologies; not how a case is played.

use std::time::Duration;

use oncestream_core::Record;
use oncestream_core::error::BoxError;
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::HasSerde;
use oncestream_core::state::{Version, VersionPut, Versioned};
use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
use oncestream_operators::{KStream, Materialized, StreamsBuilder};

use crate::format::Case;
use crate::functions::{Text, join, join_or_reset, letter, show};
use crate::play::Setup;
use crate::table_joins::{Stores, Table, added_and_taken, early, strings};
use crate::versioned_joins;

/// The history of most cases.
const HISTORY: Duration = Duration::from_millis(40);

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &Case) -> Option<Setup> {
    let b = StreamsBuilder::new();
    let stores: Stores = match &*case.name {
        "versioned_store" | "versioned_store_short" | "versioned_store_zero" => {
            store(&b, case.duration("history")?)
        }
        "versioned_table" => table(&b),
        "versioned_table_followed" => followed(&b),
        "versioned_table_grouped" => grouped(&b),
        "versioned_aggregations" => aggregations(&b),
        _ => versioned_joins::added(&b, case)?,
    };
    Some(Setup::new(b.build().unwrap(), stores))
}

pub(crate) fn versioned<V: HasSerde>(name: &str) -> Materialized<Text, V> {
    Materialized::named(name).versioned(HISTORY)
}

/// A table with versions, in a store of its topic's name.
pub(crate) fn source(b: &StreamsBuilder, topic: &str) -> Table {
    b.table(topic).materialized(versioned(&format!("{topic}-versions")))
}

fn store(b: &StreamsBuilder, history: Duration) -> Stores {
    let kind = Versioned::new(history);
    let store = b.add_state_store(Materialized::of_kind("s", kind, Text::serde(), String::serde()));
    b.stream::<Text, String>("in").process(&store, |store| Answerer { store }).to("out");
    &[]
}

/// Does what the value of a record says, and adds the answer to it.
struct Answerer {
    store: StoreHandle<Text, String, Versioned>,
}

impl Processor for Answerer {
    type KeyIn = Text;
    type ValueIn = String;
    type KeyOut = Text;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<Text, String>,
    ) -> Result<(), BoxError> {
        let words: Vec<&str> = record.value.split(' ').collect();
        let key = record.key.clone();
        let answer = match *words {
            ["put", time] => put_answer(self.store.put(key, None, time.parse()?)?),
            ["put", time, value] => {
                put_answer(self.store.put(key, value.to_owned(), time.parse()?)?)
            }
            ["delete", time] => {
                let time = time.parse()?;
                let before = self.store.get_as_of(&key, time)?;
                match self.store.put(key, None, time)? {
                    VersionPut::Expired => "not put".to_owned(),
                    _ => shown(before),
                }
            }
            ["get"] => shown(self.store.get(&key)?),
            ["asOf", time] => shown(self.store.get_as_of(&key, time.parse()?)?),
            _ => return Err(format!("no such command: {}", record.value).into()),
        };
        if answer == "not put" {
            ctx.drop_record(DropReason::BeforeHistory);
        }
        let answer = if words[0] == "delete" { answer.replace("not put", "null") } else { answer };
        let told = format!("{} -> {answer}", record.value);
        Ok(ctx.forward(record.with_value(told))?)
    }
}

fn put_answer(put: VersionPut) -> String {
    match put {
        VersionPut::Newest => "latest".to_owned(),
        VersionPut::Older { valid_to } => format!("until {valid_to}"),
        VersionPut::Expired => "not put".to_owned(),
    }
}

/// A version with the time since when it is valid. Kafka Streams does not tell until when.
fn shown(found: Option<Version<String>>) -> String {
    found.map_or_else(|| "null".to_owned(), |found| format!("{}@{}", found.value, found.valid_from))
}

/// Answers with the newest version of the record's key, and with that of the record's time.
struct Asker {
    store: StoreHandle<Text, String, Versioned>,
}

impl Processor for Asker {
    type KeyIn = Text;
    type ValueIn = Text;
    type KeyOut = Text;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<Text, Text>,
    ) -> Result<(), BoxError> {
        if record.key.is_none() {
            return Ok(());
        }
        let newest = shown(self.store.get(&record.key)?);
        let as_of = shown(self.store.get_as_of(&record.key, record.timestamp)?);
        Ok(ctx.forward(record.with_value(format!("{newest} {as_of}")))?)
    }
}

/// Asks the store of a table.
pub(crate) fn ask(b: &StreamsBuilder, table: &Table) {
    let store = table.versioned_store();
    strings(b, "asked").process(&store, |store| Asker { store }).to("answered");
}

fn table(b: &StreamsBuilder) -> Stores {
    let table = source(b, "in");
    table.to_stream().to("out");
    ask(b, &table);
    &[]
}

fn followed(b: &StreamsBuilder) -> Stores {
    let table = source(b, "in");
    table.filter(|_, v| early(v)).to_stream().to("out");
    table.filter(|_, v| early(v)).materialized("kept").to_stream().to("kept");
    let versions = table.filter(|_, v| early(v)).materialized(versioned("versions"));
    versions.to_stream().to("kept-versions");
    table.map_values(|v| v + "!").to_stream().to("mapped");
    let mapped = table.map_values(|v| v + "!").materialized(versioned("mapped-versions"));
    mapped.to_stream().to("mapped-versions");
    ask(b, &versions);
    &["kept"]
}

fn grouped(b: &StreamsBuilder) -> Stores {
    let table = source(b, "in");
    added_and_taken(&table).to_stream().to("out");
    table
        .filter(|_, v| early(v))
        .group_by(|_, v| (v[..1].to_owned(), v.clone()))
        .count("counts")
        .to_stream()
        .map_values(show)
        .to("counts");
    &["agg", "counts"]
}

/// What `reduce` makes of the values that are there: the first is taken as it is.
pub(crate) fn reduced(
    input: &KStream<Text, Text>,
    f: impl Fn(&str, &str) -> String + Send + Sync + 'static,
) -> Table {
    input.group_by_key().aggregate(
        String::new,
        move |_, v: Text, all: String| {
            let v = v.unwrap_or_default();
            if all.is_empty() { v } else { f(&all, &v) }
        },
        versioned("reduced"),
    )
}

fn aggregations(b: &StreamsBuilder) -> Stores {
    let input = strings(b, "in");
    input.to_table::<String>().materialized(versioned("versions")).to_stream().to("out");
    let present = input.group_by_key();
    present.count(versioned("counts")).to_stream().map_values(show).to("counts");
    let reduced = reduced(&input, |all, v| join(all, v));
    reduced.to_stream().to("reduced");
    present
        .aggregate(
            String::new,
            |_, v, all: String| join_or_reset(&all, letter(v.as_deref()).as_deref()),
            versioned("agg"),
        )
        .to_stream()
        .to("agg");
    ask(b, &reduced);
    &[]
}
