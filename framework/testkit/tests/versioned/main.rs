//! Tables with versions: what an update out of order does, what joins find as of a time, what waits for a
//! grace, and that no crash changes any of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod crashes;
mod joins;
mod stores;
mod tables;

use std::time::Duration;

use oncestream_core::TimestampMs;
use oncestream_core::commit::Guarantee;
use oncestream_core::state::Versioned;
use oncestream_operators::{KTable, Materialized, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::TopologyTestDriverBuilder;

type Text = Option<String>;
/// Value and time of what came out.
type Told = Vec<(Text, TimestampMs)>;

const HISTORY: Duration = Duration::from_millis(100);

fn builder(b: StreamsBuilder) -> TopologyTestDriverBuilder {
    let driver = TopologyTestDriver::builder(b.build().unwrap());
    driver.guarantee(Guarantee::ExactlyOnce).commit_interval_ms(0)
}

fn driver(b: StreamsBuilder) -> TopologyTestDriver {
    builder(b).build().unwrap()
}

fn versioned(b: &StreamsBuilder, topic: &str) -> KTable<String, String> {
    let store = Materialized::named(format!("{topic}-versions")).versioned(HISTORY);
    b.table::<String, String>(topic).materialized(store)
}

/// Pipes a value of the key `k`, or a null.
fn set(driver: &mut TopologyTestDriver, topic: &str, value: Option<&str>, time: TimestampMs) {
    let input = driver.input::<String, Text>(topic);
    driver.pipe(&input, "k".to_owned(), value.map(str::to_owned), time).unwrap();
}

fn told(driver: &TopologyTestDriver, topic: &str) -> Told {
    let records = driver.output::<String, Text>(topic).read_all().unwrap();
    records.into_iter().map(|r| (r.value, r.timestamp)).collect()
}

fn texts<const N: usize>(told: [(Option<&str>, TimestampMs); N]) -> Told {
    told.map(|(value, time)| (value.map(str::to_owned), time)).to_vec()
}

fn pair(left: Option<&String>, right: Option<&String>) -> String {
    let shown = |value: Option<&String>| value.map_or("-", |value| value.as_str()).to_owned();
    shown(left) + &shown(right)
}

fn as_of(driver: &TopologyTestDriver, store: &str, time: TimestampMs) -> Text {
    let store = driver.store_of_kind::<String, String, Versioned>(store).unwrap();
    store.get_as_of(&"k".to_owned(), time).unwrap().map(|found| found.value)
}
