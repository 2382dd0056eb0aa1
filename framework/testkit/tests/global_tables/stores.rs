//! Global stores, which a function maintains: it is called once for each record, whatever crashes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use oncestream_core::Record;
use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::graph::Topology;
use oncestream_core::handlers::{DropReason, LogAndContinue};
use oncestream_engine::StreamsError;
use oncestream_operators::processor::{
    GlobalStoreHandle, Processor, ProcessorContext, StoreHandle,
};
use oncestream_operators::{GlobalKTable, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::DriverError;

/// What the function was called with: partition, offset and amount.
type Calls = Arc<Mutex<Vec<(i32, i64, Option<i64>)>>>;

/// The sums of the amounts of each account, which no restore may add to twice. A null takes an account away.
fn topology(calls: &Calls) -> Topology {
    let b = StreamsBuilder::new();
    let calls = calls.clone();
    let sums: GlobalKTable<String, i64> =
        b.global_store("amounts", "sums", move |ctx, sums, record: Record<String, Option<i64>>| {
            let at = ctx.record_metadata().unwrap();
            assert_eq!(at.topic.as_ref(), "amounts");
            calls.lock().unwrap().push((at.partition, at.offset, record.value));
            match record.value {
                Some(amount) if amount < 0 => return Err("a negative amount".into()),
                Some(0) => ctx.drop_record(DropReason::NullValue),
                Some(amount) => drop(sums.update(&record.key, |sum| sum.unwrap_or(0) + amount)?),
                None => drop(sums.delete(&record.key)?),
            }
            Ok(())
        });
    b.stream::<String, String>("questions")
        .left_join_global(&sums, |_, account| Some(account.clone()), |_, sum| sum.copied())
        .to("answers");
    b.build().unwrap()
}

fn driver(calls: &Calls) -> TopologyTestDriver {
    TopologyTestDriver::builder(topology(calls)).partitions("amounts", 2).build().unwrap()
}

fn amount(
    driver: &mut TopologyTestDriver,
    account: &str,
    amount: impl Into<Option<i64>>,
) -> Result<(), DriverError> {
    let amounts = driver.input::<String, Option<i64>>("amounts");
    driver.pipe(&amounts, account.to_owned(), amount.into(), 7)
}

fn sums(driver: &TopologyTestDriver) -> BTreeMap<String, i64> {
    driver.store::<String, i64>("sums").unwrap().to_map().unwrap().into_iter().collect()
}

fn all<const N: usize>(sums: [(&str, i64); N]) -> BTreeMap<String, i64> {
    sums.map(|(account, sum)| (account.to_owned(), sum)).into()
}

#[test]
fn a_function_makes_the_store_and_streams_are_joined_with_it() {
    let mut driver = driver(&Calls::default());
    let questions = driver.input::<String, String>("questions");
    for (account, by) in [("a", Some(1)), ("b", Some(5)), ("a", Some(2)), ("b", None)] {
        amount(&mut driver, account, by).unwrap();
        driver.pipe(&questions, "q".to_owned(), account.to_owned(), 9).unwrap();
    }
    let answers = driver.output::<String, Option<i64>>("answers").read_all().unwrap();
    let told: Vec<_> = answers.iter().map(|answer| (answer.value, answer.timestamp)).collect();
    assert_eq!(told, [(Some(1), 9), (Some(5), 9), (Some(3), 9), (None, 9)]);
    assert_eq!(sums(&driver), all([("a", 3)]));
    let found = driver.store::<String, i64>("sums").unwrap();
    let found = found.get_with_timestamp(&"a".to_owned()).unwrap().unwrap();
    assert_eq!(found.timestamp, 7, "that of the record");
}

/// Forwards the sum of an account beside how often it was asked for.
struct Ask {
    sums: GlobalStoreHandle<String, i64>,
    asked: StoreHandle<String, i64>,
}

impl Processor for Ask {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = (i64, i64);

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<String, String>,
    ) -> Result<(), BoxError> {
        let asked = self.asked.update(&record.value, |asked| asked.unwrap_or(0) + 1)?;
        let sum = self.sums.get_with_timestamp(&record.value)?;
        let sum = sum.map_or((-1, 0), |sum| (sum.value, sum.timestamp));
        ctx.forward(Record::new(record.key, (sum.0, asked.unwrap_or(0)), sum.1))?;
        Ok(())
    }
}

#[test]
fn a_processor_reads_it_beside_a_store_of_its_task() {
    let b = StreamsBuilder::new();
    let sums = b.global_store("amounts", "sums", |_, sums, record: Record<String, i64>| {
        sums.put(record.key, record.value)?;
        Ok(())
    });
    let asked = b.add_state_store("asked");
    b.stream::<String, String>("questions")
        .process((&sums, &asked), |(sums, asked)| Ask { sums, asked })
        .map_values(|(sum, asked)| format!("{sum} {asked}"))
        .to("answers");
    let builder = TopologyTestDriver::builder(b.build().unwrap()).partitions("amounts", 2);
    let mut driver = builder.build().unwrap();
    let amounts = driver.input::<String, i64>("amounts");
    let questions = driver.input::<String, String>("questions");
    for n in 0..3 {
        driver.pipe(&questions, "q".to_owned(), "a".to_owned(), 1).unwrap();
        driver.pipe(&amounts, "a".to_owned(), n, 7).unwrap();
    }
    let told = driver.output::<String, String>("answers").read_all().unwrap();
    let told: Vec<_> = told.iter().map(|told| (&*told.value, told.timestamp)).collect();
    assert_eq!(told, [("-1 1", 0), ("0 2", 7), ("1 3", 7)]);
}

#[test]
fn a_start_calls_it_for_what_is_new_and_a_lost_disk_for_all_in_the_order_of_offsets() {
    let calls = Calls::default();
    let mut driver = driver(&calls);
    for n in 1..=20 {
        amount(&mut driver, &format!("account {}", n % 5), n).unwrap();
    }
    let before = sums(&driver);
    let first = std::mem::take(&mut *calls.lock().unwrap());
    assert_eq!(first.len(), 20);

    driver.crash();
    driver.recover().unwrap();
    assert!(calls.lock().unwrap().is_empty(), "nothing is new");

    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    let again = std::mem::take(&mut *calls.lock().unwrap());
    for partition in 0..2 {
        let of = |calls: &[(i32, i64, Option<i64>)]| -> Vec<_> {
            calls.iter().filter(|call| call.0 == partition).copied().collect()
        };
        let (first, again) = (of(&first), of(&again));
        assert!(first.len() > 2 && first.is_sorted(), "{first:?}");
        assert_eq!(first, again);
    }
    assert_eq!(sums(&driver), before);
}

#[test]
fn each_record_is_added_once_whatever_step_crashes() {
    for step in 1.. {
        let mut driver = driver(&Calls::default());
        driver.crash_at_count(step);
        let mut crashed = false;
        for (account, by) in [("a", 1), ("b", 2), ("a", 4), ("b", 8), ("a", 16)] {
            match amount(&mut driver, account, by) {
                Ok(()) => {}
                Err(DriverError::Crashed { .. }) => {
                    crashed = true;
                    driver.recover().unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(sums(&driver), all([("a", 21), ("b", 10)]), "step {step}");
        if !crashed {
            assert!(step > 5, "{step}");
            break;
        }
    }
}

#[test]
fn null_keys_are_dropped_and_so_is_what_the_function_says() {
    let calls = Calls::default();
    let mut driver = driver(&calls);
    let raw = driver.input::<Option<String>, Option<i64>>("amounts");
    driver.pipe(&raw, None, Some(1), 0).unwrap();
    assert!(calls.lock().unwrap().is_empty());
    amount(&mut driver, "a", 0).unwrap();
    assert_eq!(driver.dropped_records(), 2);
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    assert_eq!(calls.lock().unwrap().len(), 2, "a restore drops null keys too");
    assert!(sums(&driver).is_empty());
}

#[test]
fn an_error_of_the_function_is_for_the_processing_handler_at_the_start_too() {
    let mut failing = driver(&Calls::default());
    amount(&mut failing, "a", 1).unwrap();
    let error = amount(&mut failing, "a", -1).unwrap_err();
    for error in [error, failing.recover().unwrap_err()] {
        let DriverError::Worker(error) = error else { panic!("{error}") };
        let StreamsError::GlobalTable { store, source } = *error else { panic!("{error}") };
        assert_eq!(store, "sums");
        assert!(matches!(*source, TaskError::Processor { .. }), "{source}");
    }

    let mut going_on = TopologyTestDriver::builder(topology(&Calls::default()))
        .processing_exception_handler(LogAndContinue::default())
        .build()
        .unwrap();
    for by in [1, -1, 2] {
        amount(&mut going_on, "a", by).unwrap();
    }
    assert_eq!(going_on.dropped_records(), 1);
    going_on.crash_and_lose_disk().unwrap();
    going_on.recover().unwrap();
    assert_eq!(sums(&going_on), all([("a", 3)]));
}
