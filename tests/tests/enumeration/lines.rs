//! Topologies that read lines: one and two sub-topologies, with stores and without.

use oncestream::Optimization;
use oncestream::prelude::*;
use oncestream_testkit::ExactlyOnceCheck;

const WORDS: [&str; 8] = ["to", "be", "or", "not", "that", "is", "the", "question"];

/// Lines of two words, with keys.
pub(crate) fn lines(count: usize) -> impl Iterator<Item = (String, String)> {
    let word = |n: usize| WORDS[n % WORDS.len()];
    (0..count).map(move |n| (format!("key-{}", n % 5), format!("{} {}", word(n * 5), word(n * 3))))
}

pub(crate) fn build(builder: StreamsBuilder) -> Topology {
    builder.build().unwrap_or_else(|e| panic!("{e}"))
}

/// One sub-topology without a store.
pub(crate) fn stateless() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .filter(|_, line| !line.contains("question"))
        .map_values(|line| line.to_uppercase())
        .to("upper");
    build(builder)
}

/// One sub-topology with a store.
pub(crate) fn counting() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .group_by_key()
        .count("counts")
        .to_stream()
        .to("counts");
    build(builder)
}

/// A repartition topic between the input and the store.
pub(crate) fn repartitioned() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .flat_map_values(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("counts")
        .to_stream()
        .to("counts");
    build(builder)
}

/// A table whose topic is its changelog, and a store with a changelog that takes the old values of its rows away.
pub(crate) fn table_of_its_topic() -> Topology {
    let reused = Optimization::none().reuse_table_source_topics();
    let builder = StreamsBuilder::new().optimization(reused);
    builder
        .table::<String, String>("lines")
        .materialized("lines")
        .group_by(|key, line| (key.clone(), line.len() as i64))
        .reduce(|sum, length| sum + length, |sum, length| sum - length, "lengths")
        .to_stream()
        .to("lengths");
    build(builder)
}

/// Two sub-topologies with a store each.
pub(crate) fn two_stores() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .group_by_key()
        .count("lines-by-key")
        .to_stream()
        .group_by(|_, count| (count.unwrap_or(0) % 3).to_string())
        .count("keys-by-count")
        .to_stream()
        .to("keys-by-count");
    build(builder)
}

/// Lines, and what a global table knows of one of their words.
fn global_join() -> Topology {
    let builder = StreamsBuilder::new();
    let lengths = builder.global_table::<String, String>("lengths");
    builder
        .stream::<String, String>("lines")
        .left_join_global(
            &lengths,
            |_, line| line.split_whitespace().next().map(str::to_owned),
            |line, length| format!("{line}: {length:?}"),
        )
        .to("lengths-of-lines");
    build(builder)
}

pub(crate) fn check_global_join(name: &str, test: &str) -> ExactlyOnceCheck {
    let lengths = WORDS.map(|word| (word.to_owned(), word.len().to_string()));
    check(name, global_join, test).input("lengths", lengths)
}

pub(crate) fn check(name: &str, topology: fn() -> Topology, test: &str) -> ExactlyOnceCheck {
    ExactlyOnceCheck::new(name, topology).test(test).input("lines", lines(30))
}

/// A check of all cases, which runs alone in its process, so that it can count threads.
pub(crate) fn full(name: &str, topology: fn() -> Topology, test: &str) -> ExactlyOnceCheck {
    check(name, topology, test).check_threads()
}
