//! What each operator without a state forwards, and each option does: one test for each method that no
//! other file of this folder calls.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

mod support;

use std::sync::{Arc, Mutex};

use oncestream_core::Record;
use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::graph::Graph;
use oncestream_core::serde::{DynSerde, HasSerde, fn_serde};
use oncestream_operators::{
    Consumed, Grouped, KStream, Materialized, Named, Produced, Repartitioned, StreamsBuilder,
};
use support::Run;

type Pair = (Option<String>, Option<i64>);

fn some(key: &str, value: i64) -> Pair {
    (Some(key.to_owned()), Some(value))
}

/// What is on `out` after these records, each with the time of its place.
fn piped(build: impl FnOnce(KStream<String, i64>), records: &[(&str, i64)]) -> (Run, Vec<Pair>) {
    let b = StreamsBuilder::new();
    build(b.stream("in"));
    let mut run = Run::new(&b.build().unwrap()).unwrap();
    run.init().unwrap();
    for (at, (key, value)) in records.iter().enumerate() {
        run.pipe("in", Some((*key).to_owned()), Some(*value), at as i64).unwrap();
    }
    run.flush().unwrap();
    let out = run.on("out");
    (run, out)
}

fn out(build: impl FnOnce(KStream<String, i64>), records: &[(&str, i64)]) -> Vec<Pair> {
    piped(build, records).1
}

const ABC: [(&str, i64); 3] = [("a", 1), ("b", 2), ("c", 3)];

#[test]
fn filters_keep_and_leave_out() {
    assert_eq!(
        out(|s| s.filter(|k, v| k == "a" || *v == 3).to("out"), &ABC),
        [some("a", 1), some("c", 3)]
    );
    assert_eq!(out(|s| s.filter_not(|k, v| k == "a" || *v == 3).to("out"), &ABC), [some("b", 2)]);
    let even = |_: &String, v: &i64| Ok::<_, BoxError>(v % 2 == 0);
    assert_eq!(out(move |s| s.try_filter(even).to("out"), &ABC), [some("b", 2)]);
}

#[test]
fn mappers_give_keys_and_values() {
    let swapped = |k: String, v: i64| (format!("{k}{v}"), v * 10);
    let wanted = [some("a1", 10), some("b2", 20), some("c3", 30)];
    assert_eq!(out(move |s| s.map(swapped).to("out"), &ABC), wanted);
    assert_eq!(
        out(move |s| s.try_map(move |k, v| Ok::<_, BoxError>(swapped(k, v))).to("out"), &ABC),
        wanted
    );
    assert_eq!(
        out(|s| s.select_key(|k, v| format!("{k}{v}")).to("out"), &ABC[..1]),
        [some("a1", 1)]
    );
    let values = [some("a", 10)];
    assert_eq!(out(|s| s.map_values(|v| v * 10).to("out"), &ABC[..1]), values);
    assert_eq!(
        out(|s| s.map_values_with_key(|k, v| v * 10 * k.len() as i64).to("out"), &ABC[..1]),
        values
    );
    assert_eq!(
        out(|s| s.try_map_values(|v| Ok::<_, BoxError>(v * 10)).to("out"), &ABC[..1]),
        values
    );
    let with_key = |k: &String, v: i64| Ok::<_, BoxError>(v * 10 * k.len() as i64);
    assert_eq!(out(move |s| s.try_map_values_with_key(with_key).to("out"), &ABC[..1]), values);
}

#[test]
fn flat_maps_give_any_number() {
    let twice = [some("a", 1), some("a", 1)];
    assert_eq!(out(|s| s.flat_map(|k, v| [(k.clone(), v), (k, v)]).to("out"), &ABC[..1]), twice);
    assert_eq!(out(|s| s.flat_map_values(|v| [v, v]).to("out"), &ABC[..1]), twice);
    assert_eq!(
        out(|s| s.try_flat_map_values(|v| Ok::<_, BoxError>([v, v])).to("out"), &ABC[..1]),
        twice
    );
    // As often as the value says, and the key's length beside it.
    let times = |k: &String, v: i64| vec![k.len() as i64; v as usize];
    let wanted = [some("a", 1), some("b", 1), some("b", 1)];
    assert_eq!(out(move |s| s.flat_map_values_with_key(times).to("out"), &ABC[..2]), wanted);
    let times = move |k: &String, v| Ok::<_, BoxError>(times(k, v));
    assert_eq!(out(move |s| s.try_flat_map_values_with_key(times).to("out"), &ABC[..2]), wanted);
}

#[test]
fn filter_map_changes_the_key_and_leaves_out() {
    let even = |k: String, v: i64| (v % 2 == 0).then(|| (k.to_uppercase(), v));
    let (mut run, pairs) = piped(move |s| s.filter_map(even).to("out"), &ABC);
    assert_eq!(pairs, [some("B", 2)]);
    assert_eq!((run.sent[0].timestamp, run.dropped()), (1, 0));
    let grouped = |s: KStream<String, i64>| drop(s.filter_map(even).group_by_key().count("n"));
    let (run, _) = piped(grouped, &ABC);
    assert_eq!(run.on("app-n-repartition"), [some("B", 2)], "a changed key is moved");
}

#[test]
fn peek_and_for_each_see_each_record() {
    let seen: Arc<Mutex<Vec<(String, i64)>>> = Arc::default();
    let (peeked, ended) = (seen.clone(), seen.clone());
    let build = move |s: KStream<String, i64>| {
        let peek = move |k: &String, v: &i64| peeked.lock().unwrap().push((k.clone(), *v));
        s.peek(peek).for_each(move |k, v| ended.lock().unwrap().push((k, v)));
    };
    out(build, &ABC[..1]);
    assert_eq!(*seen.lock().unwrap(), [("a".to_owned(), 1), ("a".to_owned(), 1)]);
}

#[test]
fn an_error_of_a_function_that_may_fail_has_the_name_of_its_node() {
    let b = StreamsBuilder::new();
    let stream = b.stream::<String, i64>("in").named("mine");
    stream.try_flat_map_values_with_key(|_, _| Err::<[i64; 0], BoxError>("no".into())).to("out");
    let mut run = Run::new(&b.build().unwrap()).unwrap();
    let error = run.pipe("in", Some("k".to_owned()), Some(1_i64), 0).unwrap_err();
    let TaskError::Processor { node, source, .. } = error else { panic!("{error}") };
    assert_eq!((&*node, &*source.to_string()), ("mine", "no"));
}

// ---- Options ----

/// Numbers one more in bytes than they are.
fn plus_one() -> DynSerde<i64> {
    Arc::new(fn_serde(
        |v: &i64, out: &mut Vec<u8>| i64::serde().serialize(&(v + 1), out),
        |bytes: &[u8]| Ok(i64::serde().deserialize(bytes)? - 1),
    ))
}

#[test]
fn serdes_that_are_given_are_the_ones_that_are_used() {
    let key = String::serde;
    // Read as 1 less, written as it is.
    let b = StreamsBuilder::new();
    b.stream(Consumed::with("in", key(), plus_one())).to("out");
    let mut run = Run::new(&b.build().unwrap()).unwrap();
    run.pipe("in", Some("k".to_owned()), Some(5_i64), 0).unwrap();
    assert_eq!(run.on("out"), [some("k", 4)]);

    let one = [("k", 5)];
    assert_eq!(
        out(|s| s.to(Produced::with("out", String::serde(), plus_one())), &one),
        [some("k", 6)]
    );
    let chosen = |_: &Record<String, i64>, _: Option<&_>| "out";
    assert_eq!(
        out(move |s| s.to(Produced::chosen_with(chosen, String::serde(), plus_one())), &one),
        [some("k", 6)]
    );
    // Through a topic and back it is the same number; in the topic it is another.
    for (topic, repartitioned) in [
        ("again", Repartitioned::with("again", key(), plus_one())),
        ("KSTREAM-REPARTITION-0000000001", Repartitioned::serdes(key(), plus_one())),
    ] {
        let repartitioned = repartitioned.partitioner(|_, _, _| Some(0));
        let (run, pairs) = piped(move |s| s.repartition(repartitioned).to("out"), &one);
        assert_eq!(pairs, [some("k", 5)]);
        assert_eq!(run.on(&format!("app-{topic}-repartition")), [some("k", 6)]);
    }
    for (topic, grouped) in [
        ("group", Grouped::with("group", key(), plus_one())),
        ("n", Grouped::serdes(key(), plus_one())),
    ] {
        let count = |s: KStream<String, i64>| {
            s.map(|k, v| (k, v)).group_by_key().grouped(grouped).count("n");
        };
        let (run, _) = piped(count, &one);
        assert_eq!(run.on(&format!("app-{topic}-repartition")), [some("k", 6)]);
    }
}

#[test]
fn a_partitioner_chooses_and_a_name_names() {
    let b = StreamsBuilder::new();
    let stream = b.stream::<String, i64>(Consumed::new("in").named("source"));
    stream
        .to(Produced::new("out").partitioner(|_, v, _| Some(*v as i32)).named(Named::new("sink")));
    let topology = b.build().unwrap();
    let names: Vec<_> = Graph::of(&topology).nodes().iter().map(|node| &*node.name).collect();
    assert_eq!(names, ["source", "sink"]);
    let mut run = Run::new(&topology).unwrap();
    run.pipe("in", Some("k".to_owned()), Some(0_i64), 0).unwrap();
    let refused = run.pipe("in", Some("k".to_owned()), Some(1_i64), 0);
    assert!(refused.is_err(), "a topic of one partition has no partition 1");
}

#[test]
fn a_store_is_as_its_options_say() {
    let b = StreamsBuilder::new();
    let grouped = b.stream::<String, i64>("in").group_by_key();
    let options = Materialized::with("kept", String::serde(), i64::serde());
    grouped.count(options.clone().topic_setting("segment.ms", "600000"));
    grouped.count(Materialized::named("lost").logging_disabled());
    let uncached = Materialized::serdes(String::serde(), i64::serde()).caching_disabled();
    grouped.reduce(|a, v| a + v, uncached).to_stream().to("each");
    grouped.reduce(|a, v| a + v, "cached").to_stream().to("last");
    let topology = b.build().unwrap();
    let changelog = |name: &str| Graph::of(&topology).store(name).unwrap().changelog.clone();
    assert_eq!(changelog("kept").unwrap().topic_settings["segment.ms"], "600000");
    assert_eq!(changelog("lost"), None);
    assert_eq!(changelog("cached").unwrap().topic_settings.len(), 0);
    let mut run = Run::with_cache(&topology, 1 << 20).unwrap();
    for value in [1_i64, 2] {
        run.pipe("in", Some("k".to_owned()), Some(value), 0).unwrap();
    }
    assert_eq!(run.on("each"), [some("k", 1), some("k", 3)], "each update at once");
    run.flush().unwrap();
    assert_eq!(run.on("last"), [some("k", 3)], "one for each commit");
}

#[test]
fn what_is_public_can_be_looked_at() {
    let b = StreamsBuilder::new();
    let stream = b.stream::<String, i64>("in");
    let table = b.table::<String, i64>("table").materialized("store");
    let grouped = stream.group_by_key().grouped("group");
    let regrouped = table.group_by(|k, v| (k.clone(), *v));
    let split = stream.split();
    let store = table.store();
    for (shown, wanted) in [
        (format!("{stream:?}"), "KSTREAM-SOURCE-"),
        (format!("{table:?}"), "store"),
        (format!("{grouped:?}"), "group"),
        (format!("{regrouped:?}"), "KTABLE-SELECT-"),
        (format!("{split:?}"), "KSTREAM-BRANCH-"),
        (format!("{store:?}"), "store"),
        (format!("{b:?}"), "StreamsBuilder"),
        (format!("{:?}", Produced::<String, i64>::new("to-here")), "to-here"),
        (format!("{:?}", Consumed::<String, i64>::new("from-here")), "from-here"),
        (format!("{:?}", Materialized::<String, i64>::named("kept")), "kept"),
        (format!("{:?}", Repartitioned::<String, i64>::named("moved").partitions(7)), "7"),
    ] {
        assert!(shown.contains(wanted), "{shown}");
    }
}
