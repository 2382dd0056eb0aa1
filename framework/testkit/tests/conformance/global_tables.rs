//! The topologies of `ConformanceGlobalTables.java`: streams joined with global tables, inner and left, and a
//! global store that a processor maintains. Also those of `ConformanceJoinNames.java` and
//! `ConformanceJoinRefused.java` with a global table.
//!
//! Knows topologies; not how a case is played.

use std::time::Duration;

use oncestream_core::Record;
use oncestream_core::error::BoxError;
use oncestream_core::handlers::DropReason;
use oncestream_operators::processor::{
    FixedKeyProcessor, FixedKeyProcessorContext, FixedKeyRecord, ProcessingContext, StoreHandle,
};
use oncestream_operators::{Consumed, GlobalKTable, KStream, Materialized, StreamsBuilder};

use crate::functions::{self, Text, letter, pair, pair_or_reset, show};
use crate::play::Setup;

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &str) -> Option<Setup> {
    let b = StreamsBuilder::new();
    if case == "global_store" {
        let table = keep(&b, Consumed::new("global"));
        let in_table = |k: &Text, _: &Text| k.clone();
        b.stream::<Text, Text>("in")
            .left_join_global(&table, in_table, |v, of| {
                Some(pair(v.as_deref(), of.map(String::as_str)))
            })
            .to("out");
        return Some(Setup::new(b.build().unwrap(), &["table"]));
    }
    let (left, shape) = left_and_shape(case)?;
    let stores: &[&str] = match shape {
        "" => by_key(&b, left),
        "_by_value" => by_value(&b, left),
        "_null_results" => null_results(&b, left),
        "_with_key" => with_key(&b, left),
        "_chained" => chained(&b, left),
        "_counted" => counted(&b, left),
        _ => return None,
    };
    Some(Setup::new(b.build().unwrap(), stores))
}

/// Which join a case has, and what follows its name.
fn left_and_shape(case: &str) -> Option<(bool, &str)> {
    let inner = case.strip_prefix("global_inner_join").map(|shape| (false, shape));
    inner.or_else(|| Some((true, case.strip_prefix("global_left_join")?)))
}

type Stores = &'static [&'static str];
type Stream = KStream<Text, Text>;
type Table = GlobalKTable<String, String>;

/// Kafka Streams drops a null value before the join; here it is a value like any other.
struct NoNulls;

impl FixedKeyProcessor for NoNulls {
    type Key = Text;
    type ValueIn = Text;
    type ValueOut = Text;

    fn process(
        &mut self,
        ctx: &mut FixedKeyProcessorContext<'_, Self>,
        record: FixedKeyRecord<Text, Text>,
    ) -> Result<(), BoxError> {
        if record.value.is_none() {
            ctx.drop_record(DropReason::NullValue);
            return Ok(());
        }
        Ok(ctx.forward(record)?)
    }
}

fn stream(b: &StreamsBuilder) -> Stream {
    b.stream::<Text, Text>("in").process_values((), |()| NoNulls)
}

fn global(b: &StreamsBuilder) -> Table {
    b.global_table("global").materialized("table")
}

fn join(
    left: bool,
    stream: &Stream,
    table: &Table,
    key: impl Fn(Option<&str>, Option<&str>) -> Text + Send + Sync + 'static,
) -> Stream {
    let key = move |k: &Text, v: &Text| key(k.as_deref(), v.as_deref());
    if left {
        stream
            .left_join_global(table, key, |v, of| Some(pair(v.as_deref(), of.map(String::as_str))))
    } else {
        stream.join_global(table, key, |v, of| Some(pair(v.as_deref(), of.as_str())))
    }
}

fn own_key(key: Option<&str>, _: Option<&str>) -> Text {
    key.map(str::to_owned)
}

fn of_value(_: Option<&str>, value: Option<&str>) -> Text {
    letter(value)
}

fn by_key(b: &StreamsBuilder, left: bool) -> Stores {
    join(left, &stream(b), &global(b), own_key).to("out");
    &["table"]
}

fn by_value(b: &StreamsBuilder, left: bool) -> Stores {
    join(left, &stream(b), &b.global_table("global"), of_value).to("out");
    &[]
}

fn null_results(b: &StreamsBuilder, left: bool) -> Stores {
    let pair = |v: &Text, of: Option<&String>| pair_or_reset(v.as_deref(), of.map(String::as_str));
    let (stream, table) = (stream(b), global(b));
    let key = |k: &Text, _: &Text| k.clone();
    if left {
        stream.left_join_global(&table, key, pair).to("out");
    } else {
        stream.join_global(&table, key, move |v, of| pair(v, Some(of))).to("out");
    }
    &[]
}

fn with_key(b: &StreamsBuilder, left: bool) -> Stores {
    let told = |k: &Text, v: &Text, of: Option<&String>| {
        let pair = pair(v.as_deref(), of.map(String::as_str));
        format!("{}={pair}", k.as_deref().unwrap_or("null"))
    };
    let (stream, table) = (stream(b), global(b));
    let key = |_: &Text, v: &Text| letter(v.as_deref());
    if left {
        stream.left_join_global_with_key(&table, key, told).to("out");
    } else {
        stream.join_global_with_key(&table, key, move |k, v, of| told(k, v, Some(of))).to("out");
    }
    &[]
}

fn chained(b: &StreamsBuilder, left: bool) -> Stores {
    let table = global(b);
    let other = b.global_table("other").materialized("other-table");
    let first = join(left, &stream(b), &table, own_key);
    join(left, &join(left, &first, &other, of_value), &table, of_value).to("out");
    &["table", "other-table"]
}

fn counted(b: &StreamsBuilder, left: bool) -> Stores {
    // Before the change of the key, since a null value gives a null key.
    let rekeyed = b.stream::<Text, Text>("in").select_key(|_, v| letter(v.as_deref()));
    join(left, &rekeyed.process_values((), |()| NoNulls), &global(b), own_key)
        .group_by_key()
        .count("counts")
        .to_stream()
        .map_values(show)
        .to("out");
    &["counts"]
}

/// A store that joins what came for a key; a null deletes it.
fn keep(b: &StreamsBuilder, consumed: Consumed<String, Text>) -> Table {
    let joined = |_: &mut ProcessingContext<'_>,
                  store: &StoreHandle<String, String>,
                  record: Record<String, Text>| {
        store.update(&record.key, |all| {
            record.value.as_deref().map(|value| functions::join(all.as_deref(), value))
        })?;
        Ok(())
    };
    b.global_store(consumed, "table", joined)
}

/// What `describe` prints.
pub(crate) fn named(b: &StreamsBuilder, case: &str) -> Option<()> {
    if let Some(shape) = case.strip_prefix("global_store") {
        keep(
            b,
            if shape == "_named" { Consumed::new("two").named("c") } else { Consumed::new("two") },
        );
        b.stream::<Text, Text>("one").to("out");
        return Some(());
    }
    let (left, shape) = left_and_shape(case)?;
    let table: Table = match shape {
        "" | "_after_change" => b.global_table("two"),
        "_named" => b.global_table(Consumed::new("two").named("c")),
        "_store" => b.global_table("two").materialized("s"),
        _ => return None,
    };
    let one = b.stream::<Text, Text>("one");
    let one = match shape {
        "_named" => one.named("n"),
        "_after_change" => one.select_key(|_, v| v.clone()),
        _ => one,
    };
    let joined = join(left, &one, &table, |_, v| v.map(str::to_owned));
    if shape == "_after_change" {
        joined.group_by_key().count(Materialized::new()).to_stream().to("out");
    } else {
        joined.to("out");
    }
    Some(())
}

/// What is refused when it is built.
pub(crate) fn refused(b: &StreamsBuilder, case: &str) -> Option<()> {
    let first: Table = match case {
        "a_stream_and_a_global_table_of_one_topic"
        | "two_global_tables_of_one_topic"
        | "a_global_table_alone" => b.global_table("one"),
        "a_versioned_global_table" => {
            let versioned = Materialized::named("s").versioned(Duration::from_millis(100));
            let table: Table = b.global_table("in");
            table.materialized(versioned)
        }
        _ => return None,
    };
    match case {
        "two_global_tables_of_one_topic" => {
            let joined = join(false, &b.stream("in"), &first, own_key);
            join(false, &joined, &b.global_table("one"), own_key).to("out");
        }
        "a_stream_and_a_global_table_of_one_topic" => {
            join(false, &b.stream("one"), &first, own_key).to("out");
        }
        _ => {}
    }
    Some(())
}
