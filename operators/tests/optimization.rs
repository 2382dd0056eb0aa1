//! Which topics and stores an optimised topology has. What it gives is compared with Kafka Streams by the
//! cases `optimized` of `framework/testkit/tests/conformance`.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::Record;
use oncestream_core::error::{BoxError, TopologyError};
use oncestream_core::graph::{Graph, Topology};
use oncestream_core::serde::{DynSerde, HasSerde, JsonSerde};
use oncestream_operators::processor::{Processor, ProcessorContext};
use oncestream_operators::{
    Consumed, Grouped, JoinWindows, KStream, Materialized, Optimization, StreamJoined,
    StreamsBuilder, Topics,
};

fn built(build: impl Fn(&StreamsBuilder), optimization: Optimization) -> Topology {
    let b = StreamsBuilder::new().optimization(optimization);
    build(&b);
    b.build().unwrap()
}

/// The repartition topics, by their names without application id and suffix.
fn repartitions(topology: &Topology) -> Vec<String> {
    let topics = topology.internal_topics("app");
    let named = topics.iter().filter_map(|topic| {
        Some(topic.strip_prefix("app-")?.strip_suffix("-repartition")?.to_owned())
    });
    named.collect()
}

/// Those without the optimisation, and with it.
fn before_and_after(build: impl Fn(&StreamsBuilder)) -> [Vec<String>; 2] {
    let merged = Optimization::none().merge_repartition_topics();
    [Optimization::none(), merged].map(|it| repartitions(&built(&build, it)))
}

fn stream(b: &StreamsBuilder, topic: &str) -> KStream<i64, String> {
    b.stream(topic)
}

fn by_length(b: &StreamsBuilder) -> KStream<i64, String> {
    stream(b, "lines").select_key(|_, line| line.len() as i64)
}

fn ten() -> StreamJoined<i64, String, String> {
    StreamJoined::new(JoinWindows::of_time_difference_with_no_grace(Duration::from_millis(10)))
}

fn both(one: &str, other: &str) -> String {
    format!("{one}{other}")
}

#[test]
fn the_setting_of_kafka_streams_is_read() {
    let read = |text: &str| text.parse::<Optimization>();
    let (merge, join) = (
        Optimization::none().merge_repartition_topics(),
        Optimization::none().single_store_self_join(),
    );
    for (text, expected) in [
        ("none", Optimization::none()),
        ("all", Optimization::all()),
        ("merge.repartition.topics", merge),
        (" single.store.self.join ", join),
        ("merge.repartition.topics , single.store.self.join", merge.single_store_self_join()),
        ("single.store.self.join,reuse.ktable.source.topics", join.reuse_table_source_topics()),
        (
            "reuse.ktable.source.topics,merge.repartition.topics,single.store.self.join",
            Optimization::all(),
        ),
    ] {
        assert_eq!(read(text), Ok(expected), "{text}");
    }
    for (text, unknown) in [
        ("", ""),
        ("merge", "merge"),
        ("all,none", "all"),
        ("merge.repartition.topics,all", "all"),
        ("merge.repartition.topics,", ""),
    ] {
        let given = unknown.to_owned();
        assert_eq!(read(text), Err(TopologyError::UnknownOptimization { given }), "{text}");
    }
}

#[test]
fn all_that_share_a_change_of_keys_share_its_topic() {
    let found = before_and_after(|b| {
        let keyed = by_length(b);
        keyed.group_by_key().count("counts");
        keyed.filter(|_, line| !line.is_empty()).group_by_key().reduce(|_, last| last, "last");
        keyed.join(&stream(b, "other"), ten().name("joined"), |a, b| both(a, b)).to("pairs");
        keyed.named("table").to_table::<String>().materialized("lengths");
    });
    assert_eq!(found[0], ["counts", "joined-left", "last", "table"]);
    assert_eq!(found[1], ["counts"]);
}

#[test]
fn branches_of_one_split_share_a_topic() {
    // Kafka Streams fails here, because the ways to both begin with one operator.
    let found = before_and_after(|b| {
        let mut split = by_length(b).split();
        split.branch(|_, line| line.is_ascii(), "ascii").group_by_key().count("ascii");
        split.default_branch("other").group_by_key().count("other");
    });
    assert_eq!(found, [vec!["ascii", "other"], vec!["ascii"]]);
}

#[test]
fn what_is_merged_shares_a_topic_behind_the_last_merge() {
    let found = before_and_after(|b| {
        let (one, two) = (by_length(b), stream(b, "two").map(|k, v| (k + 1, v)));
        let all = one.merge(&two).merge(&stream(b, "three")).filter(|_, line| line.is_ascii());
        all.group_by_key().count("counts");
        all.group_by_key().reduce(|_, last| last, "last");
        // Not all of what is merged comes from here.
        one.group_by_key().count("of-one");
    });
    assert_eq!(found, [vec!["counts", "last", "of-one"], vec!["counts", "of-one"]]);
}

#[test]
fn what_is_merged_from_elsewhere_is_repartitioned_too() {
    // In Kafka Streams the records of `two` would come to `all` without a topic.
    let topology = built(
        |b| {
            let one = by_length(b);
            one.group_by_key().count("counts");
            one.merge(&stream(b, "two").map(|k, v| (k + 1, v))).group_by_key().count("all");
        },
        Optimization::all(),
    );
    assert_eq!(repartitions(&topology), ["all", "counts"]);
    let text = topology.describe();
    let merge = text.split("Processor: KSTREAM-MERGE").nth(1).unwrap();
    assert!(merge.lines().nth(1).unwrap().contains("--> all-repartition-filter"), "{text}");
}

#[test]
fn a_processor_that_may_change_keys_stands_before_the_topic() {
    let found = before_and_after(|b| {
        let again = by_length(b).process((), |()| Longer);
        again.group_by_key().count("counts");
        again.group_by_key().reduce(|_, last| last, "last");
    });
    assert_eq!(found, [vec!["counts", "last"], vec!["counts"]]);
    let build = |b: &StreamsBuilder| {
        by_length(b).process((), |()| Longer).group_by_key().count("counts");
    };
    let text = built(build, Optimization::all()).describe();
    let processor = text.split("Processor: KSTREAM-PROCESSOR").nth(1).unwrap();
    assert!(processor.lines().nth(1).unwrap().contains("counts-repartition-filter"), "{text}");
}

struct Longer;

impl Processor for Longer {
    type KeyIn = i64;
    type ValueIn = String;
    type KeyOut = i64;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<i64, String>,
    ) -> Result<(), BoxError> {
        let longer = record.key + 1;
        Ok(ctx.forward(record.with_key(longer))?)
    }
}

#[test]
fn what_changes_values_or_was_repartitioned_keeps_its_own_topic() {
    let found = before_and_after(|b| {
        let keyed = by_length(b);
        keyed.group_by_key().count("counts");
        keyed.map_values(|line| line.len() as i64).group_by_key().count("lengths");
        keyed.repartition("again").group_by_key().count("others");
        keyed.named("once").deduplicate(Duration::from_secs(1), |_, line| line.clone());
    });
    let names = ["again", "counts", "lengths", "once-store"];
    assert_eq!(found, [names; 2]);
}

#[test]
fn a_merged_topic_has_the_partitions_of_what_it_is_joined_with() {
    let topology = built(
        |b| {
            let keyed = by_length(b);
            keyed.group_by_key().count("counts");
            keyed.join(&stream(b, "other"), ten(), |a, b| both(a, b)).to("pairs");
        },
        Optimization::all(),
    );
    let there: BTreeMap<Arc<str>, i32> = [("lines".into(), 3), ("other".into(), 5)].into();
    let plan = Graph::of(&topology).internal_topics("app", &there).unwrap();
    let counts: Vec<_> = plan.repartitions.iter().map(|r| (&*r.topic, r.partitions)).collect();
    assert_eq!(counts, [("app-counts-repartition", 5)]);
}

#[test]
fn a_topic_of_a_pattern_waits_as_before() {
    let topology = built(
        |b| {
            let lines = b.stream::<i64, String>(Topics::pattern("lines-.*"));
            let keyed = lines.select_key(|_, line| line.len() as i64);
            keyed.group_by_key().count("counts");
            keyed.group_by_key().reduce(|_, last| last, "last");
        },
        Optimization::all(),
    );
    let plan = Graph::of(&topology).internal_topics("app", &BTreeMap::new()).unwrap();
    let waiting: Vec<_> = plan.waiting.iter().map(|topic| &**topic).collect();
    let topics = ["app-counts-repartition", "app-counts-changelog", "app-last-changelog"];
    assert_eq!(waiting, topics);
}

#[test]
fn only_an_inner_join_of_a_stream_with_itself_is_on_one_store() {
    let stores =
        |optimization, build: fn(&StreamsBuilder)| built(build, optimization).store_names().len();
    let inner = |b: &StreamsBuilder| {
        let one = stream(b, "one");
        one.join(&one, ten(), |a, b| both(a, b)).to("pairs");
    };
    let left = |b: &StreamsBuilder| {
        let one = stream(b, "one");
        one.left_join(&one, ten(), |a, b| both(a, b.map_or("", |b| b))).to("pairs");
    };
    let changed = |b: &StreamsBuilder| {
        let one = stream(b, "one");
        let other = one.map_values(|line| line);
        one.join(&other, ten(), |a, b| both(a, b)).to("pairs");
    };
    let one_store = Optimization::none().single_store_self_join();
    assert_eq!([stores(Optimization::none(), inner), stores(one_store, inner)], [2, 1]);
    assert_eq!([stores(Optimization::none(), left), stores(one_store, left)], [3, 3]);
    assert_eq!([stores(Optimization::none(), changed), stores(one_store, changed)], [2, 2]);
    let merged = Optimization::none().merge_repartition_topics();
    assert_eq!(stores(merged, inner), 2);
}

#[test]
fn topics_of_other_serdes_stay_apart() {
    let build = |serde: DynSerde<i64>| {
        move |b: &StreamsBuilder| {
            let keyed = by_length(b);
            let other = Grouped::with("last", serde.clone(), String::serde());
            keyed.group_by_key().count("counts");
            keyed.group_by_key().grouped(other).reduce(|_, last| last, "last");
        }
    };
    assert_eq!(before_and_after(build(i64::serde())), [vec!["counts", "last"], vec!["counts"]]);
    // A record would have its partition by bytes that the other reader does not write.
    let apart = ["counts", "last"].map(str::to_owned).to_vec();
    assert_eq!(before_and_after(build(JsonSerde::dynamic())), [apart.clone(), apart]);
}

#[test]
fn a_faulty_topology_is_refused_and_not_optimised() {
    let other = StreamsBuilder::new();
    let foreign = by_length(&other).map(|k, v| (k, v)).filter(|_, _| true);
    let b = StreamsBuilder::new().optimization(Optimization::all());
    let keyed = by_length(&b);
    keyed.join(&foreign, ten(), |a, b| both(a, b)).group_by_key().count("pairs");
    keyed.merge(&foreign).group_by_key().count("counts");
    assert!(matches!(b.build(), Err(TopologyError::ForeignHandle { .. })));
}

#[test]
fn a_topology_that_has_nothing_to_optimise_stays_as_it_is() {
    let build = |b: &StreamsBuilder| {
        let (one, two) = (stream(b, "one"), stream(b, "two"));
        one.join(&two, ten(), |a, b| both(a, b)).to("pairs");
        one.merge(&two).filter(|_, line| !line.is_empty()).group_by_key().count("counts");
        b.table::<i64, String>("users").group_by(|k, v| (v.clone(), *k)).count("users");
    };
    let [plain, optimised] =
        [Optimization::none(), Optimization::all()].map(|it| built(build, it).describe());
    assert_eq!(plain, optimised);
}

/// The changelogs, by their stores.
fn changelogs(build: impl Fn(&StreamsBuilder), optimization: Optimization) -> Vec<String> {
    let topology = built(build, optimization);
    let topics = topology.internal_topics("app");
    let named = topics.iter().filter_map(|topic| {
        Some(topic.strip_prefix("app-")?.strip_suffix("-changelog")?.to_owned())
    });
    named.collect()
}

#[test]
fn tables_of_topics_have_no_changelog_and_other_stores_keep_theirs() {
    let build = |b: &StreamsBuilder| {
        let users = b.table::<i64, String>("users").materialized("users");
        let names = b.table::<i64, String>("names");
        users.join(&names, |a, b| both(a, b)).materialized("joined").to_stream().to("out");
        stream(b, "events").group_by_key().count("counts");
        stream(b, "rows").to_table::<String>().materialized("rows");
        // A stream and a table of one topic have one source.
        b.stream::<i64, Option<String>>("users").filter(|_, user| user.is_some()).to("kept");
    };
    let reused = Optimization::none().reuse_table_source_topics();
    let generated = "names-STATE-STORE-0000000002";
    let all = ["counts", "joined", generated, "rows", "users"];
    assert_eq!(changelogs(build, Optimization::none()), all);
    assert_eq!(changelogs(build, reused), ["counts", "joined", "rows"]);
    let topology = built(build, reused);
    let graph = Graph::of(&topology);
    let followed = |store: &str| graph.followed_topic("app", graph.store(store).unwrap());
    assert_eq!(followed("users").as_deref(), Some("users"));
    assert_eq!(followed(generated).as_deref(), Some("names"));
    assert_eq!(followed("counts").as_deref(), Some("app-counts-changelog"));
    let alone = graph.replay("users").unwrap();
    let names: Vec<_> = alone.nodes().iter().map(|node| &*node.name).collect();
    assert_eq!(names, ["KSTREAM-SOURCE-0000000000", "KTABLE-SOURCE-0000000001"]);
    assert!(graph.replay("counts").is_none());
}

#[test]
fn a_table_is_found_again_when_nodes_were_numbered_anew() {
    let topology = built(
        |b| {
            let keyed = by_length(b);
            keyed.group_by_key().count("counts");
            keyed.group_by_key().reduce(|_, last| last, "last");
            let table = b.table::<i64, String>("table").materialized("table");
            keyed.join_table(&table, |a, b| both(a, b)).to("out");
        },
        Optimization::all(),
    );
    let alone = Graph::of(&topology).replay("table").unwrap();
    let names: Vec<_> = alone.nodes().iter().map(|node| &*node.name).collect();
    assert!(names[1].starts_with("KTABLE-SOURCE-"), "{names:?}");
    assert_eq!(alone.user_sources(), ["table".into()].into());
}

#[test]
fn a_table_that_does_not_follow_from_its_topic_alone_keeps_its_changelog() {
    let minute = Duration::from_secs(60);
    let reused = Optimization::all();
    let table = |b: &StreamsBuilder| b.table::<i64, String>("in");
    let named = || Materialized::<i64, String>::named("table");
    let given: [(&str, Box<dyn Fn(&StreamsBuilder)>); 4] = [
        ("versions", Box::new(|b| drop(table(b).materialized(named().versioned(minute))))),
        ("rows that expire", Box::new(|b| drop(table(b).materialized(named().ttl(minute))))),
        (
            "a store that processors have",
            Box::new(|b| drop(table(b).materialized("table").store())),
        ),
        (
            "an extractor",
            Box::new(|b| {
                let timed = Consumed::<i64, String>::new("in");
                let timed = timed.timestamp_extractor(|r, _| r.value.len() as i64);
                drop(b.table(timed).materialized("table"));
            }),
        ),
    ];
    for (what, build) in given {
        assert_eq!(changelogs(build, reused), ["table"], "{what}");
    }
    assert!(changelogs(|b| drop(table(b).materialized("table")), reused).is_empty());
}
