//! Which internal topics are planned, and which wait for topics that a pattern may match one day.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::{Graph, InternalTopics, Topology};
use oncestream_operators::{
    KStream, Materialized, Repartitioned, SessionWindows, SlidingWindows, StreamsBuilder,
    TimeWindows, Topics,
};

const CHANGELOG: &str = "app-counts-changelog";
const REPARTITION: &str = "app-counts-repartition";

fn plan(topology: &Topology, there: &[(&str, i32)]) -> Result<InternalTopics, TopologyError> {
    let there: BTreeMap<Arc<str>, i32> =
        there.iter().map(|(topic, n)| (Arc::from(*topic), *n)).collect();
    Graph::of(topology).internal_topics("app", &there)
}

/// What is to be there, by name, and what waits.
fn planned(topology: &Topology, there: &[(&str, i32)]) -> (Vec<(String, i32)>, Vec<String>) {
    let plan = plan(topology, there).unwrap();
    let mut topics: Vec<_> = plan.topics().map(|(topic, n)| (topic.to_string(), n)).collect();
    topics.sort();
    let mut waiting: Vec<_> = plan.waiting.iter().map(ToString::to_string).collect();
    waiting.sort();
    (topics, waiting)
}

fn known(topics: &[(&str, i32)]) -> (Vec<(String, i32)>, Vec<String>) {
    (topics.iter().map(|(topic, n)| ((*topic).to_owned(), *n)).collect(), Vec::new())
}

fn waiting(topics: &[&str]) -> (Vec<(String, i32)>, Vec<String>) {
    (Vec::new(), topics.iter().map(|topic| (*topic).to_owned()).collect())
}

fn pattern(b: &StreamsBuilder) -> KStream<String, i64> {
    b.stream(Topics::pattern("in-.*"))
}

fn counting(of: impl Fn(&StreamsBuilder) -> KStream<String, i64>, by: bool) -> Topology {
    let b = StreamsBuilder::new();
    let stream = of(&b);
    let grouped = if by { stream.group_by(|k, _| k.clone()) } else { stream.group_by_key() };
    grouped.count("counts");
    b.build().unwrap()
}

#[test]
fn a_changelog_waits_for_the_topics_of_its_pattern() {
    let topology = counting(pattern, false);
    assert_eq!(planned(&topology, &[("other", 3)]), waiting(&[CHANGELOG]));
    assert_eq!(planned(&topology, &[("in-1", 3)]), known(&[(CHANGELOG, 3)]));
    // One that was made before is left as it is.
    assert_eq!(planned(&topology, &[(CHANGELOG, 3)]), waiting(&[CHANGELOG]));
}

#[test]
fn what_is_below_a_pattern_without_a_topic_waits_with_it() {
    let topology = counting(pattern, true);
    assert_eq!(planned(&topology, &[]), waiting(&[CHANGELOG, REPARTITION]));
    let both = known(&[(CHANGELOG, 3), (REPARTITION, 3)]);
    assert_eq!(planned(&topology, &[("in-1", 3)]), both);

    // Two repartition topics, one behind the other.
    let again = |b: &StreamsBuilder| pattern(b).repartition("first").map(|k, v| (k, v));
    let topology = counting(again, true);
    let all = ["app-counts-changelog", "app-counts-repartition", "app-first-repartition"];
    assert_eq!(planned(&topology, &[]), waiting(&all));
    assert_eq!(planned(&topology, &[("in-1", 3)]), known(&all.map(|topic| (topic, 3))));
}

#[test]
fn a_repartition_topic_with_partitions_of_its_own_waits_for_nobody() {
    let of =
        |b: &StreamsBuilder| pattern(b).repartition(Repartitioned::named("counts").partitions(4));
    let topology = counting(of, false);
    assert_eq!(planned(&topology, &[]), known(&[(CHANGELOG, 4), (REPARTITION, 4)]));
}

#[test]
fn a_name_beside_a_pattern_decides_without_it() {
    let of = |b: &StreamsBuilder| pattern(b).merge(&b.stream("named"));
    assert_eq!(planned(&counting(of, false), &[("named", 2)]), known(&[(CHANGELOG, 2)]));
    let both = known(&[(CHANGELOG, 2), (REPARTITION, 2)]);
    assert_eq!(planned(&counting(of, true), &[("named", 2)]), both);
    let missing = plan(&counting(of, false), &[]).unwrap_err();
    assert_eq!(missing, TopologyError::MissingSourceTopic { topic: "named".into() });
}

#[test]
fn a_repartition_topic_that_patterns_feed_keeps_its_partitions() {
    let topology = counting(pattern, true);
    let kept = known(&[(CHANGELOG, 2), (REPARTITION, 2)]);
    let there = [("in-1", 2), ("in-2", 5), (REPARTITION, 2)];
    assert_eq!(planned(&topology, &there), kept);
    // Also when its topics are gone for a while.
    assert_eq!(planned(&topology, &[(REPARTITION, 2)]), kept);
    // Named inputs decide, whatever is there.
    let topology = counting(|b| b.stream("in-1"), true);
    assert_eq!(planned(&topology, &there), known(&[(CHANGELOG, 2), (REPARTITION, 2)]));
    let there = [("in-1", 5), (REPARTITION, 2)];
    assert_eq!(planned(&topology, &there), known(&[(CHANGELOG, 5), (REPARTITION, 5)]));
}

#[test]
fn topics_of_a_stateful_pattern_have_equal_partitions() {
    let topology = counting(pattern, false);
    assert_eq!(planned(&topology, &[("in-1", 2), ("in-2", 2)]), known(&[(CHANGELOG, 2)]));
    let fault = plan(&topology, &[("in-1", 2), ("in-2", 5)]).unwrap_err();
    let topics = vec![("in-1".to_owned(), 2), ("in-2".to_owned(), 5)];
    assert_eq!(fault, TopologyError::NotCopartitioned { topics });
}

#[test]
fn a_repartition_topic_takes_the_count_of_the_topics_it_meets_in_a_store() {
    let b = StreamsBuilder::new();
    let moved = b.stream::<String, i64>("other").repartition("counts");
    moved.merge(&b.stream("named")).group_by_key().count("counts");
    let topology = b.build().unwrap();
    let both = known(&[(CHANGELOG, 2), (REPARTITION, 2)]);
    assert_eq!(planned(&topology, &[("named", 2), ("other", 5)]), both);
    // Without a store nothing meets.
    let b = StreamsBuilder::new();
    let moved = b.stream::<String, i64>("other").repartition("counts");
    moved.merge(&b.stream("named")).to("out");
    let alone = known(&[(REPARTITION, 5)]);
    assert_eq!(planned(&b.build().unwrap(), &[("named", 2), ("other", 5)]), alone);
}

/// What an application changes from one version to the next.
#[derive(Clone, Copy, Default)]
struct Version {
    /// Operators before and beside those that have names.
    more: bool,
    /// The prefix of the names of operators, of those that have one.
    prefix: Option<&'static str>,
    /// An aggregation in windows whose store has no name.
    unnamed: bool,
}

/// Aggregations of every kind. Their stores and groupings have names.
fn versioned(version: Version) -> BTreeSet<String> {
    let (minute, named) = (Duration::from_secs(60), |name: &str| {
        version.prefix.map_or_else(|| name.to_owned(), |prefix| format!("{prefix}-{name}"))
    });
    let b = StreamsBuilder::new();
    let mut records = b.stream::<String, i64>("in");
    if version.more {
        records = records.filter(|_, v| *v > 0).map_values(|v| v + 1);
        records
            .group_by_key()
            .windowed_by(TimeWindows::of_size_with_no_grace(minute))
            .count("more");
    }
    let by_value = records.group_by(|_, v| v.to_string()).grouped("by-value");
    let tumbling = TimeWindows::of_size_with_no_grace(minute);
    by_value.windowed_by(tumbling).named(named("minutes")).count("per-minute");
    if version.more {
        by_value.count("in-all").filter(|_, n| *n > 1).to_stream().to("more");
    }
    let hopping = tumbling.advance_by(minute / 2);
    let moved = records.named(named("key")).select_key(|_, v| v.to_string()).group_by_key();
    moved.grouped("moved").windowed_by(hopping).reduce(i64::max, "highest");
    let near = SlidingWindows::of_time_difference_with_no_grace(minute);
    let by_key = records.group_by_key();
    by_key.windowed_by(near).named(named("near")).count("near");
    let visits = SessionWindows::of_inactivity_gap_with_no_grace(minute);
    by_key.windowed_by(visits).named(named("visits")).count("visits");
    let both = by_key.cogroup(|_, v, sum: i64| sum + v).cogroup(&by_value, |_, v, sum| sum - v);
    both.named(named("both")).aggregate(|| 0, "both");
    both.windowed_by(tumbling).named(named("both-minutes")).aggregate(|| 0, "both-per-minute");
    records.repartition(Repartitioned::named("again")).to_table::<i64>().materialized("again");
    if version.unnamed {
        by_key.windowed_by(near).count(Materialized::new());
    }
    let topology = b.build().unwrap();
    topology.internal_topics("app").iter().map(ToString::to_string).collect()
}

#[test]
fn internal_topics_keep_their_names_when_operators_are_renamed_or_added() {
    let first = versioned(Version::default());
    assert_eq!(first.len(), 10, "{first:?}");
    assert_eq!(versioned(Version { prefix: Some("new"), ..Version::default() }), first);
    let mut more = versioned(Version { more: true, ..Version::default() });
    assert!(more.remove("app-more-changelog") && more.remove("app-in-all-changelog"));
    assert_eq!(more, first);
}

/// The control of the test above: without names it is another topic.
#[test]
fn a_store_in_windows_without_a_name_gets_another_topic_when_operators_are_added() {
    let before = versioned(Version { unnamed: true, ..Version::default() });
    let after = versioned(Version { unnamed: true, more: true, ..Version::default() });
    let lost: Vec<&String> = before.difference(&after).collect();
    assert!(lost.len() == 1 && lost[0].contains("AGGREGATE-STATE-STORE"), "{lost:?}");
}
