//! `process_values` of a table: what a processor is told, what it may do, and who is asked if it fails. Its
//! results are compared with those of Kafka Streams in `conformance`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use oncestream_core::error::BoxError;
use oncestream_core::handlers::LogAndContinue;
use oncestream_core::task::PunctuationType;
use oncestream_operators::processor::{StoreHandle, TableProcessor, TableProcessorContext};
use oncestream_operators::{KTable, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;

/// Numbers the changes of a key, and forgets all numbers each minute of the clock. `bad` is refused.
struct Numbered {
    numbers: StoreHandle<String, i64>,
}

impl TableProcessor for Numbered {
    type Key = String;
    type ValueIn = String;
    type ValueOut = String;

    fn init(&mut self, ctx: &mut TableProcessorContext<'_, Self>) -> Result<(), BoxError> {
        ctx.schedule(Duration::from_secs(60), PunctuationType::WallClockTime, |this, _, _| {
            for entry in this.numbers.all() {
                this.numbers.delete(&entry?.0)?;
            }
            Ok(())
        });
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut TableProcessorContext<'_, Self>,
        key: &String,
        value: Option<String>,
    ) -> Result<Option<String>, BoxError> {
        let Some(value) = value else { return Ok(None) };
        if value == "bad" {
            return Err("a bad value".into());
        }
        let number = self.numbers.update(key, |number| number.unwrap_or(0) + 1)?;
        let at = ctx.record_metadata().map_or(-1, |at| at.offset);
        Ok(Some(format!("{value}, change {} at {at}", number.unwrap_or(0))))
    }
}

fn numbered(b: &StreamsBuilder) -> KTable<String, String> {
    let numbers = b.add_state_store("numbers");
    let table = b.table::<String, String>("in");
    table.process_values(&numbers, |numbers| Numbered { numbers })
}

fn driver(b: StreamsBuilder) -> TopologyTestDriver {
    let driver = TopologyTestDriver::builder(b.build().unwrap()).commit_interval_ms(0);
    driver.processing_exception_handler(LogAndContinue::default()).build().unwrap()
}

fn pipe(driver: &mut TopologyTestDriver, key: &str, value: &str) {
    let input = driver.input::<String, String>("in");
    driver.pipe(&input, key.to_owned(), value.to_owned(), 0).unwrap();
}

fn told(driver: &TopologyTestDriver) -> Vec<String> {
    let pairs = driver.output::<String, Option<String>>("out").read_pairs().unwrap();
    pairs.into_iter().map(|(_, value)| value.unwrap_or_default()).collect()
}

#[test]
fn a_processor_has_stores_schedules_and_the_record_in_hand() {
    for materialized in [false, true] {
        let b = StreamsBuilder::new();
        let table = numbered(&b);
        let table = if materialized { table.materialized("numbered") } else { table };
        table.to_stream().to("out");
        let mut driver = driver(b);
        pipe(&mut driver, "k", "a");
        pipe(&mut driver, "k", "b");
        driver.pass_time(60_000).unwrap();
        pipe(&mut driver, "k", "c");
        let input = driver.input::<String, String>("in");
        driver.pipe_null(&input, "k".to_owned(), 0).unwrap();
        let expected = ["a, change 1 at 0", "b, change 2 at 1", "c, change 1 at 2", ""];
        assert_eq!(told(&driver), expected, "materialized: {materialized}");
    }
}

#[test]
fn a_change_that_the_processor_fails_on_is_dropped_and_the_key_keeps_its_value() {
    let b = StreamsBuilder::new();
    let table = numbered(&b).materialized("numbered");
    table.to_stream().to("out");
    let mut driver = driver(b);
    pipe(&mut driver, "k", "a");
    pipe(&mut driver, "k", "bad");
    assert_eq!(driver.dropped_records(), 1);
    let store = driver.store::<String, String>("numbered").unwrap();
    assert_eq!(store.get(&"k".to_owned()).unwrap().as_deref(), Some("a, change 1 at 0"));
    assert_eq!(told(&driver), ["a, change 1 at 0"]);
}

#[test]
fn with_a_store_each_change_is_processed_once_although_old_values_are_needed() {
    let b = StreamsBuilder::new();
    let table = numbered(&b).materialized("numbered");
    let by_value = table.group_by(|key, value| (value.clone(), key.clone()));
    by_value.count("counts").to_stream().map_values(|n| n.map(|n| n.to_string())).to("out");
    let mut driver = driver(b);
    pipe(&mut driver, "k", "a");
    pipe(&mut driver, "k", "a");
    let numbers = driver.store::<String, i64>("numbers").unwrap();
    assert_eq!(numbers.get(&"k".to_owned()).unwrap(), Some(2));
    let counts = driver.store::<String, i64>("counts").unwrap().to_map().unwrap();
    let counted: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counted, [("a, change 2 at 1".to_owned(), 1)]);
}
