//! Which topic a serde is given, at each place where keys and values become bytes: the same as in Kafka
//! Streams (`data/SerdeTopics.java`). And what serdes do with headers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use oncestream_core::graph::Topology;
use oncestream_core::serde::{DynSerde, HasSerde, StringSerde, fn_serde_in};
use oncestream_core::{Header, Record};
use oncestream_operators::{
    Consumed, Grouped, Materialized, Produced, Repartitioned, StreamsBuilder, Topics,
};
use oncestream_testkit::TopologyTestDriver;

const KAFKA_STREAMS: &str = include_str!("data/serde_topics.txt");

type Noted = Arc<Mutex<BTreeSet<String>>>;

/// Text that notes where it is written and read.
fn text(noted: &Noted, who: &'static str) -> DynSerde<String> {
    let (writes, reads) = (noted.clone(), noted.clone());
    Arc::new(fn_serde_in(
        move |ctx, text: &String, out| {
            let line = format!("{who} writes the {} of {}", ctx.part(), ctx.topic());
            writes.lock().unwrap().insert(line);
            out.extend_from_slice(text.as_bytes());
            Ok(())
        },
        move |ctx, bytes| {
            let line = format!("{who} reads the {} of {}", ctx.part(), ctx.topic());
            reads.lock().unwrap().insert(line);
            Ok(String::from_utf8_lossy(bytes).into_owned())
        },
    ))
}

fn topology(noted: &Noted) -> Topology {
    let text = |who| text(noted, who);
    let b = StreamsBuilder::new();
    b.stream(Consumed::with(Topics::pattern("in-.*"), text("source"), text("source")))
        .select_key(|_, value| value.clone())
        .repartition(Repartitioned::with("wide", text("repartition"), text("repartition")))
        .group_by_key()
        .grouped(Grouped::serdes(text("group"), text("group")))
        .reduce(|all, value| all + &value, Materialized::with("sums", text("store"), text("store")))
        .to_stream()
        .map_values(Option::unwrap)
        .to(Produced::chosen_with(
            |r: &Record<String, String>, _| format!("chosen-{}", r.key),
            text("chosen"),
            text("chosen"),
        ));
    let entries = Materialized::with("entries", text("source"), text("source"));
    b.table(Consumed::with("table", text("source"), text("source")))
        .materialized(entries)
        .group_by(|key, value| (value.clone(), key.clone()))
        .grouped(Grouped::with("by-value", text("group"), text("group")))
        .reduce(
            |all, value| all + &value,
            |all, value| all.replace(&value, ""),
            Materialized::with("per-value", text("store"), text("store")).logging_disabled(),
        )
        .to_stream()
        .map_values(Option::unwrap)
        .to(Produced::with("out", text("sink"), text("sink")));
    b.build().unwrap()
}

#[test]
fn a_serde_is_given_the_topics_that_kafka_streams_gives() {
    let noted = Noted::default();
    let mut driver = TopologyTestDriver::builder(topology(&noted))
        .application_id("app")
        .partitions("in-1", 1)
        .partitions("chosen-x", 1)
        .cache_max_bytes(0)
        .build()
        .unwrap();
    let text = |who| text(&noted, who);
    let records =
        [("in-1", "a", "x"), ("in-1", "b", "x"), ("table", "k", "v"), ("table", "k", "w")];
    for (topic, key, value) in records {
        let input = driver.input_with(topic, text("input"), text("input"));
        driver.pipe(&input, key.to_owned(), value.to_owned(), 0).unwrap();
    }
    for (topic, count) in [("chosen-x", 2), ("out", 3)] {
        let mut output = driver.output_with(topic, text("output"), text("output"));
        assert_eq!(output.read_all().unwrap().len(), count, "{topic}");
    }
    // Stores read again what they have written once it is not in memory any more.
    driver.crash();
    driver.recover().unwrap();
    for store in ["sums", "entries", "per-value"] {
        driver.store::<String, String>(store).unwrap().all().unwrap();
    }
    let noted = noted.lock().unwrap();
    let expected: BTreeSet<String> = KAFKA_STREAMS.lines().map(str::to_owned).collect();
    assert_eq!(*noted, expected);
}

/// Numbers whose unit is in a header, where there can be one.
fn amount() -> DynSerde<String> {
    Arc::new(fn_serde_in(
        |ctx, amount: &String, out| {
            if let Some(headers) = ctx.headers_mut() {
                headers.remove("unit");
                headers.add("unit", b"EUR".to_vec());
            }
            out.extend_from_slice(amount.as_bytes());
            Ok(())
        },
        |ctx, bytes| {
            let unit = ctx.headers().last("unit").unwrap_or(b"?");
            Ok(format!("{} {}", String::from_utf8_lossy(bytes), String::from_utf8_lossy(unit)))
        },
    ))
}

#[test]
fn what_a_serializer_adds_to_the_headers_goes_to_its_topic_alone() {
    let b = StreamsBuilder::new();
    let amounts = b.stream(Consumed::with("in", String::serde(), amount()));
    amounts.to(Produced::with("first", String::serde(), amount()));
    amounts.to(Produced::with("plain", String::serde(), Arc::new(StringSerde)));
    let mut driver = TopologyTestDriver::builder(b.build().unwrap()).build().unwrap();
    let input = driver.input::<String, String>("in");
    let record = Record::new("k".to_owned(), "5".to_owned(), 0)
        .with_headers([Header::new("unit", b"USD".to_vec()), Header::new("trace", None)]);
    driver.pipe_record(&input, record.clone()).unwrap();
    let headers = |topic| format!("{:?}", driver.topic(topic)[0].headers);
    assert_eq!(headers("first"), r#"[trace=null, unit=b"EUR"]"#);
    assert_eq!(headers("plain"), r#"[unit=b"USD", trace=null]"#);
    let mut first = driver.output_with("first", String::serde(), amount());
    assert_eq!(first.read_record().unwrap().unwrap().value, "5 USD EUR");
    // An input of a test is written as a producer does it.
    let euros = driver.input_with("in", String::serde(), amount());
    driver.pipe_record(&euros, record).unwrap();
    assert_eq!(format!("{:?}", driver.topic("in")[1].headers), r#"[trace=null, unit=b"EUR"]"#);
}

#[test]
fn a_store_has_no_headers_to_add_to() {
    let b = StreamsBuilder::new();
    b.table(Consumed::with("in", String::serde(), amount()))
        .materialized(Materialized::with("amounts", String::serde(), amount()))
        .to_stream()
        .to(Produced::with("out", String::serde(), Option::<String>::serde()));
    let mut driver =
        TopologyTestDriver::builder(b.build().unwrap()).application_id("app").build().unwrap();
    let input = driver.input::<String, String>("in");
    driver.pipe(&input, "k".to_owned(), "5".to_owned(), 0).unwrap();
    assert!(driver.changelog("amounts")[0].headers.is_empty());
    driver.crash();
    driver.recover().unwrap();
    let read = driver.store::<String, String>("amounts").unwrap().get(&"k".to_owned()).unwrap();
    assert_eq!(read.unwrap(), "5 ? ?");
}
