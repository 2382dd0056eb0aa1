//! `describe` against what Kafka Streams prints for the same topologies (`data/Describe.java`).
//!
//! Two differences cannot be avoided, and are levelled out where `levelled` is used:
//! - Names on one arrow line stand in the order of a Java hash table there, sorted here.
//! - A sink that chooses its topic prints the address of a Java lambda there.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

use oncestream_core::Record;
use oncestream_core::error::BoxError;
use oncestream_core::serde::HasSerde;
use oncestream_operators::processor::{
    FixedKeyProcessor, FixedKeyProcessorContext, FixedKeyRecord, Processor, ProcessorContext,
};
use oncestream_operators::{
    Branched, Consumed, KStream, Materialized, Produced, Repartitioned, StreamsBuilder, Topics,
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
        .count("counts")
        .to_stream()
        .to("counts");
    let text = b.build().unwrap().describe();
    assert_eq!(text, include_str!("data/describe_word_count.txt"));
}

#[test]
fn a_table_reads_as_in_kafka_streams() {
    let b = StreamsBuilder::new();
    let users = b.table::<String, String>("users").materialized("users-store");
    users.filter(|_, v| !v.is_empty()).map_values(|v| v.len() as i64).to_stream().to("lengths");
    users
        .named("kept")
        .filter_not(|_, v| v.is_empty())
        .materialized("kept-store")
        .named("long")
        .map_values(|v| v.len() as i64)
        .materialized("long-store")
        .named("changes")
        .to_stream()
        .to(Produced::new("changes").named("changes-sink"));
    let text = b.build().unwrap().describe();
    assert_eq!(text, include_str!("data/describe_table.txt"));
}

#[test]
fn a_grouped_table_reads_as_in_kafka_streams() {
    let b = StreamsBuilder::new();
    let cities = b
        .table::<String, String>(Consumed::new("user-city").named("cities-in"))
        .materialized("cities");
    let by_city = cities.group_by(|user, city| (city.clone(), user.clone())).grouped("by-city");
    by_city.count("per-city").to_stream().to("per-city");
    by_city.reduce(|a, v| a + &v, |a, _| a, "names").to_stream().to("names");
    cities.group_by(|user, city| (city.len() as i64, user.clone())).named("lengths").aggregate(
        || 0_i64,
        |_, _, n| n + 1,
        |_, _, n| n - 1,
        "per-length",
    );
    let text = b.build().unwrap().describe();
    assert_eq!(text, include_str!("data/describe_group_table.txt"));
}

#[test]
fn merge_and_split_read_as_in_kafka_streams() {
    let b = StreamsBuilder::new();
    let web = b.stream::<String, i64>("web");
    let app = b.stream::<String, i64>(Consumed::new("app").named("app-source"));
    let all = app.merge(&web).peek(|_, _| {});
    let mut split = all.named("split-").split();
    let negative = split.branch(|_, v| *v < 0, "negative");
    let large = split.branch(|_, v| *v > 10, Branched::new());
    let rest = split.default_branch(Branched::new());
    negative.to("negative");
    large.filter(|_, _| true).for_each(|_, _| {});
    rest.map(|k, v| (v, k)).to(Produced::chosen(|_, _| "dynamic"));
    all.split().branch(|_, v| *v < 1, Branched::new()).to("small");
    let text = b.build().unwrap().describe();
    assert_eq!(levelled(&text), levelled(include_str!("data/describe_merge_split.txt")));
}

struct Nothing;

impl Processor for Nothing {
    type KeyIn = String;
    type ValueIn = i64;
    type KeyOut = String;
    type ValueOut = i64;

    fn process(
        &mut self,
        _ctx: &mut ProcessorContext<'_, Self>,
        _record: Record<String, i64>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

impl FixedKeyProcessor for Nothing {
    type Key = String;
    type ValueIn = i64;
    type ValueOut = i64;

    fn process(
        &mut self,
        _ctx: &mut FixedKeyProcessorContext<'_, Self>,
        _record: FixedKeyRecord<String, i64>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

#[test]
fn repartitions_and_processors_read_as_in_kafka_streams() {
    let b = StreamsBuilder::new();
    let seen = b.add_state_store::<String, i64, _>("seen");
    let also = b.add_state_store::<String, i64, _>("also");
    let wide =
        b.stream::<String, i64>("in").select_key(|k, v| format!("{k}{v}")).repartition("wide");
    wide.group_by_key().reduce(|a, v| a + v, "sums").to_stream().to("sums");
    wide.process((&seen, &also), |_| Nothing)
        .named("fixed")
        .process_values(&seen, |_| Nothing)
        .named("last-table")
        .to_table::<i64>()
        .materialized("last");
    let grouped = wide.named("again").flat_map(|k, v| [(k, v)]).group_by_key().grouped("shared");
    grouped.named("counting").count("count");
    grouped.aggregate(|| 0_i64, |_, v, n| n + v, "total");
    let text = b.build().unwrap().describe();
    assert_eq!(levelled(&text), levelled(include_str!("data/describe_repartition.txt")));
}

#[test]
fn streams_on_one_topic_read_as_in_kafka_streams() {
    let b = StreamsBuilder::new();
    let first = b.stream::<String, i64>(Consumed::new("in").named("first"));
    let second = b.stream::<String, i64>(Consumed::new("in").named("second"));
    second.filter(|_, v| *v < 0).to("losses");
    first.merge(&second).peek(|_, _| {}).to("all");
    b.stream::<String, i64>("in").group_by_key().count("counts");
    b.stream::<String, i64>(&["a", "b"]).to("both");
    b.stream::<String, i64>(&["b", "a", "b"]).named("second").filter(|_, _| true).to("both");
    b.stream::<String, i64>(Topics::pattern("x-.*")).to("matched");
    b.stream::<String, i64>(Topics::pattern("x-.*")).map_values(|v| v + 1).to("matched");
    let text = b.build().unwrap().describe();
    assert_eq!(levelled(&text), levelled(include_str!("data/describe_shared.txt")));
}

/// What has no name of the user's: numbers are used up where Kafka Streams uses them up, and not
/// where `materialized` or `grouped` name something after its node was added.
#[test]
fn generated_names_of_stores_and_topics_are_those_of_kafka_streams() {
    let b = StreamsBuilder::new();
    let stream: KStream<String, i64> = b.stream("in");
    stream.group_by_key().count(Materialized::new()).to_stream().to("counts");
    let serdes = Materialized::serdes(String::serde(), i64::serde());
    stream.group_by_key().count(serdes).to_stream().to("counts-too");
    stream.group_by_key().reduce(|a, v| a + v, Materialized::new());
    stream.group_by(|_, v| v.to_string()).count(Materialized::new()).to_stream().to("by-value");
    stream.group_by(|_, v| v.to_string()).grouped("group").aggregate(
        || 0_i64,
        |_, v, n| n + v,
        Materialized::new(),
    );
    stream.map(|k, v| (k, v)).repartition(Repartitioned::new()).to("moved");
    stream.map(|k, v| (k, v)).named("moved").repartition(Repartitioned::new()).to("moved");
    let described = b.build().unwrap().describe();
    assert_eq!(levelled(&described), levelled(include_str!("data/describe_generated.txt")));
}

#[test]
fn tables_have_the_stores_that_kafka_streams_gives_them() {
    let b = StreamsBuilder::new();
    // Nobody needs its store, and nobody that of the second's filter.
    b.table::<String, i64>("bare").filter(|_, v| *v > 0).map_values(|v| v + 1).to_stream().to("a");
    let needed = b.table::<String, i64>("needed");
    needed
        .filter(|_, v| *v > 0)
        .group_by(|k, v| (k.clone(), *v))
        .count(Materialized::new())
        .to_stream()
        .to("b");
    b.table::<String, i64>("named").materialized("store").map_values(|v| v + 1).to_stream().to("c");
    let by_key = b.table::<String, i64>(Consumed::new("own").named("own"));
    by_key.group_by(|k, v| (k.clone(), *v)).grouped("shared").reduce(
        |a, v| a + v,
        |a, v| a - v,
        Materialized::new(),
    );
    let stream: KStream<String, i64> = b.stream("in");
    stream.to_table::<i64>().to_stream().to("d");
    stream.to_table::<i64>().materialized("last").to_stream().to("e");
    stream.map(|k, v| (k, v)).to_table::<i64>().to_stream().to("f");
    let moved = stream.map(|k, v| (k, v)).named("moved-table").to_table::<i64>();
    moved.group_by(|k, v| (k.clone(), *v)).count("counts");
    stream.map(|k, v| (k, v)).to_table::<i64>().materialized("moved").to_stream().to("g");
    let described = b.build().unwrap().describe();
    assert_eq!(levelled(&described), levelled(include_str!("data/describe_tables.txt")));
}

#[test]
fn mermaid_has_a_box_per_sub_topology_cylinders_and_stadiums() {
    let b = StreamsBuilder::new();
    b.stream::<String, String>("lines")
        .group_by(|_, word| word.clone())
        .count("counts")
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
