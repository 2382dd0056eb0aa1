//! What joins of streams add to a topology: nodes, stores, topics and their partitions, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::{Graph, InternalTopics, Topology};
use oncestream_operators::{JoinWindows, KStream, StreamJoined, StreamsBuilder};

const MS: Duration = Duration::from_millis(1);

type Numbers = KStream<String, i64>;

fn ten() -> JoinWindows {
    JoinWindows::of_time_difference_and_grace(10 * MS, 5 * MS)
}

fn streams(b: &StreamsBuilder) -> (Numbers, Numbers) {
    (b.stream("one"), b.stream("two"))
}

fn moved(stream: &Numbers) -> Numbers {
    stream.map(|k, v| (k, v))
}

fn plan(topology: &Topology, there: &[(&str, i32)]) -> Result<InternalTopics, TopologyError> {
    let there: BTreeMap<Arc<str>, i32> =
        there.iter().map(|(topic, n)| (Arc::from(*topic), *n)).collect();
    Graph::of(topology).internal_topics("app", &there)
}

fn planned(topology: &Topology, there: &[(&str, i32)]) -> Vec<(String, i32)> {
    let plan = plan(topology, there).unwrap();
    let mut topics: Vec<_> = plan.topics().map(|(topic, n)| (topic.to_string(), n)).collect();
    topics.sort();
    topics
}

/// But for the order of names on a line, which is that of a Java hash table there.
#[test]
fn an_outer_join_reads_as_in_kafka_streams() {
    let b = StreamsBuilder::new();
    let (one, two) = streams(&b);
    one.outer_join(&two, ten(), |_, _| 0_i64).to("out");
    let text = b.build().unwrap().describe();
    assert_eq!(
        text,
        "\
Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [one])
      --> KSTREAM-WINDOWED-0000000002
    Source: KSTREAM-SOURCE-0000000001 (topics: [two])
      --> KSTREAM-WINDOWED-0000000003
    Processor: KSTREAM-WINDOWED-0000000002 (stores: [KSTREAM-OUTERTHIS-0000000004-store])
      --> KSTREAM-OUTERTHIS-0000000004
      <-- KSTREAM-SOURCE-0000000000
    Processor: KSTREAM-WINDOWED-0000000003 (stores: [KSTREAM-OUTEROTHER-0000000005-store])
      --> KSTREAM-OUTEROTHER-0000000005
      <-- KSTREAM-SOURCE-0000000001
    Processor: KSTREAM-OUTEROTHER-0000000005 (stores: [KSTREAM-OUTERSHARED-0000000004-store, KSTREAM-OUTERTHIS-0000000004-store])
      --> KSTREAM-MERGE-0000000006
      <-- KSTREAM-WINDOWED-0000000003
    Processor: KSTREAM-OUTERTHIS-0000000004 (stores: [KSTREAM-OUTEROTHER-0000000005-store, KSTREAM-OUTERSHARED-0000000004-store])
      --> KSTREAM-MERGE-0000000006
      <-- KSTREAM-WINDOWED-0000000002
    Processor: KSTREAM-MERGE-0000000006 (stores: [])
      --> KSTREAM-SINK-0000000007
      <-- KSTREAM-OUTEROTHER-0000000005, KSTREAM-OUTERTHIS-0000000004
    Sink: KSTREAM-SINK-0000000007 (topic: out)
      <-- KSTREAM-MERGE-0000000006

"
    );
}

#[test]
fn names_that_are_given_name_nodes_topics_and_stores() {
    let b = StreamsBuilder::new();
    let (one, two) = streams(&b);
    let joined = StreamJoined::new(ten()).name("paid").store_name("payable");
    moved(&one).left_join(&moved(&two), joined, |a, _| *a).to("out");
    // A name that was given before is the join's too.
    one.named("again").self_join(ten(), |a, b| a + b).to("sums");
    let topology = b.build().unwrap();
    let text = topology.describe();
    for name in ["this-windowed", "other-windowed", "this-join", "outer-other-join", "merge"] {
        assert!(text.contains(&format!("Processor: paid-{name} ")), "{name}\n{text}");
    }
    assert!(text.contains("Processor: again-merge ") && text.contains("again-this-windowed"));
    let expected = [
        "app-KSTREAM-JOINTHIS-0000000018-store-changelog",
        "app-paid-left-repartition",
        "app-paid-right-repartition",
        "app-payable-left-shared-join-store-changelog",
        "app-payable-outer-other-join-store-changelog",
        "app-payable-this-join-store-changelog",
    ];
    assert_eq!(topology.internal_topics("app"), expected.map(Into::into).into());
}

#[test]
fn joins_of_a_stream_without_names_share_its_repartition_topic() {
    let b = StreamsBuilder::new();
    let (one, two) = streams(&b);
    let moved = moved(&one);
    moved.join(&two, ten(), |a, b| a + b).to("sums");
    moved.join(&two, ten(), |a, b| a - b).to("differences");
    let topics = b.build().unwrap().internal_topics("app");
    let mut repartitions = topics.iter().filter(|topic| topic.ends_with("-repartition"));
    assert_eq!(repartitions.next().unwrap().as_ref(), "app-KSTREAM-MAP-0000000002-repartition");
    assert_eq!(repartitions.next(), None);

    let b = StreamsBuilder::new();
    let (one, two) = streams(&b);
    let moved = self::moved(&one);
    moved.join(&two, StreamJoined::new(ten()).name("a"), |a, b| a + b).to("sums");
    moved.join(&two, StreamJoined::new(ten()).name("b"), |a, b| a - b).to("differences");
    let topics = b.build().unwrap().internal_topics("app");
    assert!(topics.contains("app-a-left-repartition") && topics.contains("app-b-left-repartition"));
}

#[test]
fn both_sides_have_equal_partitions() {
    let b = StreamsBuilder::new();
    let (one, two) = streams(&b);
    one.join(&two, StreamJoined::new(ten()).store_name("s"), |a, b| a + b);
    let topology = b.build().unwrap();
    let changelogs = ["app-s-other-join-store-changelog", "app-s-this-join-store-changelog"];
    let expected: Vec<_> = changelogs.map(|topic| (topic.to_owned(), 3)).into();
    assert_eq!(planned(&topology, &[("one", 3), ("two", 3)]), expected);
    let refused = plan(&topology, &[("one", 3), ("two", 4)]).unwrap_err();
    let topics = vec![("one".to_owned(), 3), ("two".to_owned(), 4)];
    assert_eq!(refused, TopologyError::NotCopartitioned { topics });
}

#[test]
fn a_repartition_topic_has_as_many_partitions_as_the_other_side() {
    let b = StreamsBuilder::new();
    let (one, two) = streams(&b);
    let joined = StreamJoined::new(ten()).name("n").store_name("s");
    moved(&one).join(&two, joined, |a, b| a + b);
    let topics = planned(&b.build().unwrap(), &[("one", 2), ("two", 5)]);
    assert!(topics.contains(&("app-n-left-repartition".to_owned(), 5)), "{topics:?}");
}

#[test]
fn changelogs_of_streams_are_cut_by_age_and_that_of_what_waits_is_compacted() {
    let b = StreamsBuilder::new();
    let (one, two) = streams(&b);
    let joined = StreamJoined::new(ten()).store_name("s").topic_setting("segment.ms", "60000");
    one.left_join(&two, joined, |a, _| *a);
    let plan = plan(&b.build().unwrap(), &[("one", 1), ("two", 1)]).unwrap();
    for changelog in &plan.changelogs {
        let is_shared = changelog.topic.contains("shared");
        let policy = changelog.settings.get("cleanup.policy").map(String::as_str);
        assert_eq!(policy, (!is_shared).then_some("delete"), "{}", changelog.topic);
        assert_eq!(changelog.retention_ms, (!is_shared).then_some(25));
        assert_eq!(changelog.settings["segment.ms"], "60000");
    }
    assert_eq!(plan.changelogs.len(), 3);

    let b = StreamsBuilder::new();
    let (one, two) = streams(&b);
    one.left_join(&two, StreamJoined::new(ten()).logging_disabled(), |a, _| *a);
    assert!(b.build().unwrap().internal_topics("app").is_empty());
}

#[test]
fn stores_and_topics_of_generated_names_are_told_where_names_are_asked_for() {
    let b = StreamsBuilder::new().explicit_names();
    let (one, two) = streams(&b);
    moved(&one).left_join(&two, ten(), |a, _| *a);
    let refused = b.build().unwrap_err();
    let TopologyError::GeneratedNames { stores, repartitions } = refused else {
        panic!("{refused}")
    };
    assert_eq!(
        stores,
        [
            "KSTREAM-JOINTHIS-0000000008-store",
            "KSTREAM-OUTEROTHER-0000000009-store",
            "KSTREAM-OUTERSHARED-0000000008-store",
        ]
    );
    assert_eq!(repartitions, ["KSTREAM-MAP-0000000002"]);

    let b = StreamsBuilder::new().explicit_names();
    let (one, two) = streams(&b);
    let joined = StreamJoined::new(ten()).name("n").store_name("s");
    moved(&one).left_join(&two, joined, |a, _| *a);
    assert!(b.build().is_ok());
}

#[test]
fn windows_that_cannot_be_are_refused() {
    let told = |windows: JoinWindows| {
        let b = StreamsBuilder::new();
        let (one, two) = streams(&b);
        one.join(&two, StreamJoined::new(windows).name("n"), |a, b| a + b);
        b.build().unwrap_err().to_string()
    };
    let backwards = told(ten().between_ms(5, 4));
    assert!(backwards.contains("`n-merge`") && backwards.contains("end before they begin"));
    let longest = told(JoinWindows::of_time_difference_with_no_grace(Duration::MAX));
    assert!(longest.contains("more than 2^63-1 ms"), "{longest}");
}

#[test]
fn streams_of_two_builders_are_not_joined() {
    let (a, b) = (StreamsBuilder::new(), StreamsBuilder::new());
    let other: Numbers = b.stream("b");
    let stream: Numbers = a.stream("a");
    stream.join(&other, StreamJoined::new(ten()).name("n"), |a, b| a + b);
    assert_eq!(a.build().unwrap_err(), TopologyError::ForeignHandle { node: "n".into() });
}

#[test]
fn two_joins_of_one_name_are_refused() {
    for joined in
        [StreamJoined::new(ten()).name("same"), StreamJoined::new(ten()).store_name("same")]
    {
        let b = StreamsBuilder::new();
        let (one, two) = streams(&b);
        one.join(&two, joined.clone(), |a, b| a + b);
        one.join(&two, joined, |a, b| a - b);
        assert!(matches!(b.build().unwrap_err(), TopologyError::DuplicateName { .. }));
    }
}
