//! The cases of `golden/fixed`: what `describe` prints, the internal topics, and what `build` refuses.
//!
//! Not compared: the settings of internal topics, which are chosen when the topics are made, and the texts
//! of errors, which are Oncestream's own. Names on an arrow line stand in the order of a Java hash table in
//! Kafka Streams, so they are sorted on both sides.

use oncestream_core::error::TopologyError;
use oncestream_core::graph::Topology;
use oncestream_operators::{KGroupedStream, Materialized, Repartitioned, StreamsBuilder};

use crate::format::Case;
use crate::functions::Text;
use crate::play::first_difference;

/// The topology of a case, or why it is refused; `None` if the case is not here.
pub(crate) fn build(group: &str, case: &str) -> Option<Result<Topology, TopologyError>> {
    let b = StreamsBuilder::new();
    match group {
        "names" => named(&b, case)?,
        "refused" => refused(&b, case)?,
        _ => return None,
    }
    Some(b.build())
}

/// Where the case differs from what comes here.
pub(crate) fn fault(case: &Case, built: Result<Topology, TopologyError>) -> Option<String> {
    let expected: Vec<String> = case.lines.iter().filter_map(|line| comparable(line)).collect();
    let actual = match built {
        Err(_) => vec!["refused".to_owned()],
        Ok(_) if expected.len() < 2 => vec!["built".to_owned()],
        Ok(topology) => {
            let text = topology.describe();
            let described = text.lines().filter(|line| !line.trim().is_empty());
            let described = described.map(|line| format!("describe\t{}", levelled(line)));
            let topics = topology.internal_topics("golden");
            described.chain(topics.iter().map(|topic| topic_line(topic))).collect()
        }
    };
    first_difference(case, &expected, &actual)
}

/// What of a golden line is compared.
fn comparable(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split('\t').collect();
    match fields[..] {
        ["describe", text] => Some(format!("describe\t{}", levelled(text))),
        ["topic", name, kind, _] => Some(format!("topic\t{name}\t{kind}")),
        [] | ["option", ..] => None,
        [kind, ..] => Some(kind.to_owned()),
    }
}

fn topic_line(name: &str) -> String {
    let kind = if name.ends_with("-changelog") { "changelog" } else { "repartition" };
    format!("topic\t{name}\t{kind}")
}

fn levelled(line: &str) -> String {
    let Some(at) = line.find("--> ").or_else(|| line.find("<-- ")) else {
        return line.to_owned();
    };
    let (arrow, names) = line.split_at(at + 4);
    let mut names: Vec<&str> = names.split(", ").collect();
    names.sort_unstable();
    format!("{arrow}{}", names.join(", "))
}

fn grouped(b: &StreamsBuilder, topic: &str) -> KGroupedStream<Text, Text> {
    b.stream::<Text, Text>(topic).group_by_key()
}

/// `ConformanceNames.java`.
fn named(b: &StreamsBuilder, case: &str) -> Option<()> {
    match case {
        "count" => grouped(b, "in").count(Materialized::new()).to_stream().to("out"),
        "count_store" => grouped(b, "in").count("s").to_stream().to("out"),
        "count_after_repartition" => {
            let by_value = b.stream::<Text, Text>("in").group_by(|_, v| v.clone());
            by_value.count(Materialized::new()).to_stream().to("out");
        }
        "aggregate" => {
            let same = |_: &Text, _, all: String| all;
            let table = grouped(b, "in").aggregate(String::new, same, Materialized::new());
            table.to_stream().to("out");
        }
        "reduce" => {
            grouped(b, "in").reduce(|_, new| new, Materialized::new()).to_stream().to("out");
        }
        "table" => b.table::<String, String>("in").to_stream().to("out"),
        "table_store" => {
            b.table::<String, String>("in").materialized("s").to_stream().to("out");
        }
        "table_group_by" => {
            let by_value = b.table::<String, String>("in").group_by(|k, v| (v.clone(), k.clone()));
            by_value.count(Materialized::new()).to_stream().to("out");
        }
        "to_table" => b.stream::<Text, Text>("in").to_table::<String>().to_stream().to("out"),
        "repartition" => b.stream::<Text, Text>("in").repartition(Repartitioned::new()).to("out"),
        "repartition_named" => b.stream::<Text, Text>("in").repartition("r").to("out"),
        _ => return None,
    }
    Some(())
}

/// `ConformanceRefused.java`.
fn refused(b: &StreamsBuilder, case: &str) -> Option<()> {
    match case {
        "one_name_for_two_stores" => {
            grouped(b, "one").count("s");
            grouped(b, "two").count("s");
        }
        "a_name_with_a_slash" => {
            grouped(b, "in").count("a/b");
        }
        _ => return None,
    }
    Some(())
}
