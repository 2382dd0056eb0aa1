//! `describe` against what Kafka Streams prints for the same topologies (`data/Describe.java`).
//!
//! Two differences cannot be avoided, and are levelled out where `levelled` is used:
//! - Names on one arrow line stand in the order of a Java hash table there, sorted here.
//! - A sink that chooses its topic prints the address of a Java lambda there.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

use oncestream_core::Record;
use oncestream_core::error::BoxError;
use oncestream_operators::processor::{
    FixedKeyProcessor, FixedKeyProcessorContext, FixedKeyRecord, Processor, ProcessorContext,
};
use oncestream_operators::{
    Consumed, Grouped, KeyValueStoreBuilder, Materialized, Produced, Repartitioned, StreamsBuilder,
};

fn levelled(text: &str) -> String {
    let line = |line: &str| -> String {
        if let Some(at) = line.find("(extractor class: ") {
            return format!("{}(extractor class)", &line[..at]);
        }
        let Some(at) = line.find("--> ").or_else(|| line.find("<-- ")) else {
            return line.to_owned();
        };
        let (arrow, names) = line.split_at(at + 4);
        let mut names: Vec<&str> = names.split(", ").collect();
        names.sort_unstable();
        format!("{arrow}{}", names.join(", "))
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn word_count_reads_as_in_kafka_streams() {
    let b = StreamsBuilder::new();
    b.stream::<Option<String>, String>("lines")
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count(Materialized::named("counts"))
        .to_stream()
        .to("counts");
    let text = b.build().unwrap().describe();
    assert_eq!(text, include_str!("data/describe_word_count.txt"));
}

#[test]
fn a_table_reads_as_in_kafka_streams() {
    let b = StreamsBuilder::new();
    let users = b.table("users", Materialized::<String, String>::named("users-store"));
    users.filter(|_, v| !v.is_empty()).map_values(|v| v.len() as i64).to_stream().to("lengths");
    users
        .named("kept")
        .filter_not_materialized(|_, v| v.is_empty(), Materialized::named("kept-store"))
        .named("long")
        .map_values_materialized(|_, v| v.len() as i64, Materialized::named("long-store"))
        .named("changes")
        .to_stream()
        .to_with("changes", Produced::new().named("changes-sink"));
    let text = b.build().unwrap().describe();
    assert_eq!(text, include_str!("data/describe_table.txt"));
}

#[test]
fn a_grouped_table_reads_as_in_kafka_streams() {
    let b = StreamsBuilder::new();
    let cities = b.table_with(
        "user-city",
        Consumed::new().named("cities-in"),
        Materialized::<String, String>::named("cities"),
    );
    let by_city =
        cities.group_by_with(|user, city| (city.clone(), user.clone()), Grouped::named("by-city"));
    by_city.count(Materialized::named("per-city")).to_stream().to("per-city");
    by_city.reduce(|a, v| a + &v, |a, _| a, Materialized::named("names")).to_stream().to("names");
    cities.group_by(|user, city| (city.len() as i64, user.clone())).named("lengths").aggregate(
        || 0_i64,
        |_, _, n| n + 1,
        |_, _, n| n - 1,
        Materialized::named("per-length"),
    );
    let text = b.build().unwrap().describe();
    assert_eq!(text, include_str!("data/describe_group_table.txt"));
}

#[test]
fn merge_and_split_read_as_in_kafka_streams() {
    let b = StreamsBuilder::new();
    let web = b.stream::<String, i64>("web");
    let app = b.stream_with::<String, i64>("app", Consumed::new().named("app-source"));
    let all = app.merge(&web).peek(|_, _| {});
    let mut split = all.named("split-").split();
    let negative = split.branch_named("negative", |_, v| *v < 0);
    let large = split.branch(|_, v| *v > 10);
    let rest = split.default_branch();
    negative.to("negative");
    large.filter(|_, _| true).for_each(|_, _| {});
    rest.map(|k, v| (v, k)).to_chosen(|_, _| "dynamic".to_owned(), Produced::new());
    all.split().branch(|_, v| *v < 1).to("small");
    let text = b.build().unwrap().describe();
    assert_eq!(levelled(&text), levelled(include_str!("data/describe_merge_split.txt")));
}

struct Nothing;

impl Processor<String, i64, String, i64> for Nothing {
    fn process(
        &mut self,
        _ctx: &mut ProcessorContext<'_, String, i64>,
        _record: Record<String, i64>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

impl FixedKeyProcessor<String, i64, i64> for Nothing {
    fn process(
        &mut self,
        _ctx: &mut FixedKeyProcessorContext<'_, String, i64>,
        _record: FixedKeyRecord<String, i64>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

#[test]
fn repartitions_and_processors_read_as_in_kafka_streams() {
    let b = StreamsBuilder::new();
    b.add_state_store(KeyValueStoreBuilder::<String, i64>::named("seen"))
        .add_state_store(KeyValueStoreBuilder::<String, i64>::named("also"));
    let wide = b
        .stream::<String, i64>("in")
        .select_key(|k, v| format!("{k}{v}"))
        .repartition(Repartitioned::named("wide"));
    wide.group_by_key().reduce(|a, v| a + v, Materialized::named("sums")).to_stream().to("sums");
    let processed: oncestream_operators::KStream<String, i64> =
        wide.process(|| Nothing, &["seen", "also"]);
    processed
        .named("fixed")
        .process_values::<i64, _, _>(|| Nothing, &["seen"])
        .named("last-table")
        .to_table(Materialized::<String, i64>::named("last"));
    let grouped =
        wide.named("again").flat_map(|k, v| [(k, v)]).group_by_key_with(Grouped::named("shared"));
    grouped.named("counting").count(Materialized::named("count"));
    grouped.aggregate(|| 0_i64, |_, v, n| n + v, Materialized::named("total"));
    let text = b.build().unwrap().describe();
    assert_eq!(levelled(&text), levelled(include_str!("data/describe_repartition.txt")));
}

#[test]
fn streams_on_one_topic_read_as_in_kafka_streams() {
    let b = StreamsBuilder::new();
    let first = b.stream_with::<String, i64>("in", Consumed::new().named("first"));
    let second = b.stream_with::<String, i64>("in", Consumed::new().named("second"));
    second.filter(|_, v| *v < 0).to("losses");
    first.merge(&second).peek(|_, _| {}).to("all");
    b.stream::<String, i64>("in").group_by_key().count(Materialized::named("counts"));
    b.stream_of_topics::<String, i64>(&["a", "b"], Consumed::new()).to("both");
    b.stream_of_topics::<String, i64>(&["b", "a", "b"], Consumed::new())
        .named("second")
        .filter(|_, _| true)
        .to("both");
    b.stream_of_pattern::<String, i64>("x-.*", Consumed::new()).to("matched");
    b.stream_of_pattern::<String, i64>("x-.*", Consumed::new()).map_values(|v| v + 1).to("matched");
    let text = b.build().unwrap().describe();
    assert_eq!(levelled(&text), levelled(include_str!("data/describe_shared.txt")));
}

#[test]
fn mermaid_has_a_box_per_sub_topology_cylinders_and_stadiums() {
    let b = StreamsBuilder::new();
    b.stream::<String, String>("lines")
        .group_by(|_, word| word.clone())
        .count(Materialized::named("counts"))
        .to_stream()
        .to("out");
    let chart = b.build().unwrap().describe_mermaid();
    assert!(chart.starts_with("flowchart TD\n"), "{chart}");
    for part in [
        "subgraph sub0[\"Sub-topology 0\"]",
        "subgraph sub1[\"Sub-topology 1\"]",
        "[(\"counts\")]",
        "([\"counts-repartition\"])",
        "([\"lines\"])",
        "([\"out\"])",
    ] {
        assert_eq!(chart.matches(part).count(), 1, "{part} in {chart}");
    }
}
