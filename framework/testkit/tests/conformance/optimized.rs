//! The topologies of `ConformanceOptimized.java`: repartition topics that become one, joins of a stream with
//! itself, and tables whose topics are their changelogs.
//!
//! Knows topologies; not how a case is played.

use std::time::Duration;

use oncestream_core::Record;
use oncestream_core::graph::Topology;
use oncestream_operators::{
    JoinWindows, Joined, KGroupedStream, Optimization, StreamJoined, StreamsBuilder,
};

use oncestream_testkit::TopologyTestDriver;

use crate::compared::Except;
use crate::foreign_keys;
use crate::format::golden;
use crate::functions::{Text, early, join, join_or_reset, letter, show};
use crate::play::{Setup, Variant, fault};
use crate::stream_joins::{Stream, paired};
use crate::table_joins::{self, source};

type Stores = &'static [&'static str];

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &str) -> Option<Setup> {
    let (topology, stores) = built(case)?;
    Some(Setup::new(topology, stores))
}

/// The same, with its stores.
pub(crate) fn built(case: &str) -> Option<(Topology, Stores)> {
    built_with(case, Optimization::all())
}

fn built_with(case: &str, optimization: Optimization) -> Option<(Topology, Stores)> {
    let b = StreamsBuilder::new().optimization(optimization);
    let made = aggregated(&b, case).or_else(|| joined_or_merged(&b, case));
    let stores = made.or_else(|| of_tables(&b, case))?;
    Some((b.build().unwrap(), stores))
}

fn stream(b: &StreamsBuilder, topic: &str) -> Stream {
    b.stream(topic)
}

fn keyed(b: &StreamsBuilder, topic: &str) -> Stream {
    stream(b, topic).select_key(|_, v| letter(v.as_deref()))
}

fn count(grouped: &KGroupedStream<Text, Text>, name: &str) {
    grouped.count(name).to_stream().map_values(show).to(name);
}

fn reduce(grouped: &KGroupedStream<Text, Text>, name: &str) {
    let last = |all: Text, v: Text| Some(join(all.as_deref(), v.as_deref()));
    grouped.reduce(last, name).to_stream().to(name);
}

fn aggregated(b: &StreamsBuilder, case: &str) -> Option<Stores> {
    let both: Stores = &["counts", "reduced"];
    let of_in = || keyed(b, "in");
    match case {
        "two_aggregations" => {
            let keyed = of_in();
            count(&keyed.group_by_key(), "counts");
            reduce(&keyed.group_by_key(), "reduced");
        }
        "one_moves_up" => {
            count(&of_in().filter(|_, v| early(v)).peek(|_, _| ()).group_by_key(), "counts");
            return Some(&["counts"]);
        }
        "operators_between" => {
            let keyed = of_in();
            let kept = keyed.filter(|_, v| early(v));
            kept.to("early");
            count(&kept.group_by_key(), "counts");
            reduce(&keyed.filter_not(|_, v| early(v)).group_by_key().grouped("late"), "reduced");
        }
        "values_changed" => {
            let keyed = of_in();
            count(&keyed.group_by_key(), "counts");
            let upper = keyed.map_values(|v| v.map(|v| v.to_uppercase()));
            reduce(&upper.group_by_key(), "reduced");
            let twice = |v: Text| v.map_or_else(Vec::new, |v| vec![Some(v.clone()), Some(v)]);
            count(&keyed.flat_map_values(twice).group_by_key(), "other");
            return Some(&["counts", "reduced", "other"]);
        }
        "keys_changed_twice" => {
            let keyed = of_in();
            count(&keyed.group_by_key(), "counts");
            reduce(&keyed.map(|k, v| (v, k)).group_by_key(), "reduced");
        }
        "a_branch" => {
            let mut split = of_in().named("br-").split();
            let kept = split.branch(|_, v| early(v), "early");
            let rest = split.default_branch("rest");
            count(&kept.group_by_key(), "counts");
            rest.to("rest");
            return Some(&["counts"]);
        }
        "a_named_grouping" => {
            let keyed = of_in();
            let grouped = keyed.group_by_key().grouped("g");
            count(&grouped, "counts");
            reduce(&grouped, "reduced");
            let all = |_: &Text, v: Text, all: String| join(all.as_str(), v.as_deref());
            keyed.group_by_key().grouped("h").aggregate(String::new, all, "agg");
        }
        "a_new_key_for_each" => {
            let input = stream(b, "in");
            count(&input.group_by(|_, v| letter(v.as_deref())), "counts");
            // The source is made twice, and is one.
            let input = stream(b, "in");
            reduce(&input.group_by(|_, v| letter(v.as_deref())), "reduced");
        }
        "a_table_and_a_count" => {
            let keyed = of_in();
            keyed.to_table::<String>().materialized("last").to_stream().to("last");
            count(&keyed.group_by_key(), "counts");
            return Some(&["last", "counts"]);
        }
        "a_repartition_between" => {
            let keyed = of_in();
            count(&keyed.group_by_key(), "counts");
            reduce(&keyed.repartition("again").group_by_key(), "reduced");
        }
        "a_cogroup" => {
            let keyed = of_in();
            let kept = keyed.filter(|_, v| early(v)).group_by_key().grouped("early");
            kept.cogroup(|_, v, all: String| join(all.as_str(), v.as_deref()))
                .cogroup(&keyed.group_by_key().grouped("every"), |_, v, all| {
                    join_or_reset(&all, v.as_deref())
                })
                .aggregate(String::new, "all")
                .to_stream()
                .to("all");
            return Some(&["all"]);
        }
        _ => return None,
    }
    Some(both)
}

fn joined_or_merged(b: &StreamsBuilder, case: &str) -> Option<Stores> {
    let ms = Duration::from_millis;
    let joined = |store: &str| {
        let ten = JoinWindows::of_time_difference_and_grace(ms(10), ms(15));
        StreamJoined::new(ten).store_name(store)
    };
    let pair = |one: &Text, two: &Text| paired(one.as_deref(), two.as_deref());
    let left =
        |one: &Text, two: Option<&Text>| paired(one.as_deref(), two.and_then(|two| two.as_deref()));
    match case {
        "behind_a_merge" => {
            let one = keyed(b, "one");
            let both = one.merge(&stream(b, "two").map(|k, v| (k, v)));
            count(&both.group_by_key(), "counts");
            reduce(&both.filter(|_, v| early(v)).group_by_key(), "reduced");
            return Some(&["counts", "reduced"]);
        }
        "a_merge_with_an_unchanged_stream" => {
            let both = stream(b, "one").merge(&keyed(b, "two"));
            count(&both.group_by_key(), "counts");
            reduce(&both.group_by_key(), "reduced");
            return Some(&["counts", "reduced"]);
        }
        "a_stream_and_a_table" => {
            let keyed = keyed(b, "in");
            let table = b.table::<Text, String>("table").materialized("table-store");
            let left =
                |one: &Text, two: Option<&String>| paired(one.as_deref(), two.map(String::as_str));
            keyed.left_join_table(Joined::with(&table).name("n"), left).to("out");
            count(&keyed.group_by_key(), "counts");
            return Some(&["table-store", "counts"]);
        }
        "two_joins" => {
            let (keyed, other) = (keyed(b, "in"), stream(b, "other"));
            keyed.join(&other, joined("i"), pair).to("inner");
            keyed.filter(|_, v| early(v)).left_join(&other, joined("l"), left).to("left");
        }
        "a_join_of_both_sides" => {
            let one = keyed(b, "one");
            one.join(&keyed(b, "two"), joined("j"), pair).to("out");
            count(&one.group_by_key(), "counts");
            return Some(&["counts"]);
        }
        "a_join_with_itself" => {
            let input = stream(b, "in");
            input.join(&input, joined("j"), pair).to("out");
        }
        "a_named_join_with_itself_repartitioned" => {
            let keyed = keyed(b, "in");
            keyed.join(&keyed, joined("j").name("n"), pair).to("out");
            count(&keyed.group_by_key(), "counts");
            return Some(&["counts"]);
        }
        "a_join_with_a_part_of_itself" => {
            let input = stream(b, "in");
            input.join(&input.filter(|_, v| early(v)), joined("j"), pair).to("out");
        }
        _ => return None,
    }
    Some(&[])
}

fn of_tables(b: &StreamsBuilder, case: &str) -> Option<Stores> {
    match case {
        "a_table" => {
            source(b, "in").to_stream().to("out");
            Some(&["in-store"])
        }
        "a_table_that_needs_a_store" => {
            let by_letter =
                b.table::<Text, String>("in").group_by(|_, v| (letter(Some(v)), v.clone()));
            by_letter.count("counts").to_stream().map_values(show).to("out");
            Some(&["counts"])
        }
        "a_filtered_table" => {
            let kept = source(b, "in").filter(|_, v| early(&Some(v.clone())));
            kept.materialized("kept").to_stream().to("out");
            Some(&["in-store", "kept"])
        }
        "two_tables" => {
            let both = table_joins::Kind::Outer.join(&source(b, "one"), &source(b, "two"));
            both.materialized("both").to_stream().to("out");
            Some(&["one-store", "two-store", "both"])
        }
        "two_tables_by_a_foreign_key" => {
            let (one, two) = (source(b, "one"), source(b, "two"));
            foreign_keys::Kind::Left.join(&one, &two).to_stream().to("out");
            Some(&["one-store", "two-store"])
        }
        _ => None,
    }
}

#[test]
fn what_comes_out_does_not_depend_on_the_optimisation() {
    let mut cases = golden();
    // In a cogroup the order of two topics is that of their reading.
    cases.retain(|case| case.group == "optimized" && case.name != "a_cogroup");
    assert!(!cases.is_empty(), "the golden files are there");
    let faults = cases.iter().filter_map(|case| {
        let (topology, stores) = built_with(&case.name, Optimization::none()).unwrap();
        // Whether a null key is left out before a topic or dropped behind it depends on who shares the topic, and
        // so does what a sink beside the aggregations gets of it.
        let except: &[Except] =
            &[Except::Dropped, Except::KeyIn("early", "\\N"), Except::KeyIn("rest", "\\N")];
        let alone = [except, &[Except::Alone]].concat().leak();
        let except = if case.name == "two_joins" { alone } else { except };
        fault(case, Setup { except, ..Setup::new(topology, stores) }, Variant::Undisturbed)
    });
    let faults: Vec<String> = faults.collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn branches_that_share_a_topic_give_what_they_give_with_one_each() {
    // Kafka Streams fails to build it.
    let counted = |optimization: Optimization, crashes: bool| {
        let b = StreamsBuilder::new().optimization(optimization);
        let mut split = keyed(&b, "in").split();
        count(&split.branch(|_, v| early(v), "early").group_by_key(), "counts");
        count(&split.default_branch("rest").group_by_key(), "rest");
        let mut driver = TopologyTestDriver::builder(b.build().unwrap()).build().unwrap();
        let input = driver.input::<Text, Text>("in");
        for (at, value) in ["a1", "b1", "d1", "a2", "e1", "d2", "a1"].into_iter().enumerate() {
            let record = Record::new(None, Some(value.to_owned()), at as i64);
            driver.pipe_record(&input, record).unwrap();
            if crashes {
                driver.crash();
                driver.recover().unwrap();
            }
        }
        ["counts", "rest"].map(|topic| driver.output::<Text, Text>(topic).read_all().unwrap())
    };
    let plain = counted(Optimization::none(), false);
    assert_eq!(plain.iter().map(Vec::len).sum::<usize>(), 7);
    for crashes in [false, true] {
        assert_eq!(counted(Optimization::all(), crashes), plain);
    }
}
