//! The Processor API: stores, schedules, children, and errors.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oncestream_core::error::{BoxError, TaskError, TopologyError};
use oncestream_core::task::{PunctuationType, ScheduleId};
use oncestream_core::{Record, TimestampMs};
use oncestream_operators::processor::{Processor, ProcessorContext, ProcessorError, StoreHandle};
use oncestream_operators::{KStream, KeyValueStoreBuilder, StreamsBuilder};
use support::Run;

type Ctx<'a> = ProcessorContext<'a, String, i64>;

/// Sums in a store, tells them at 10 ms of stream time once, and at each second of wall clock.
#[derive(Default)]
struct Sums {
    store: Option<StoreHandle<String, i64>>,
    once: Option<ScheduleId>,
}

impl Processor<String, i64, String, i64> for Sums {
    fn init(&mut self, ctx: &mut Ctx<'_>) -> Result<(), BoxError> {
        self.store = Some(ctx.store("sums")?);
        self.once = Some(ctx.schedule(Duration::from_millis(10), PunctuationType::StreamTime));
        ctx.schedule(Duration::from_secs(1), PunctuationType::WallClockTime);
        Ok(())
    }

    fn process(&mut self, ctx: &mut Ctx<'_>, r: Record<String, i64>) -> Result<(), BoxError> {
        let store = self.store.as_ref().ok_or("no store")?;
        let at = ctx.record_metadata().ok_or("a record has an origin")?;
        assert_eq!(&*at.topic, "in");
        match r.value {
            0 => drop(store.delete(&r.key)?),
            v => store.put(r.key.clone(), store.get(&r.key)?.unwrap_or(0) + v)?,
        }
        Ok(())
    }

    fn punctuate(
        &mut self,
        ctx: &mut Ctx<'_>,
        schedule: ScheduleId,
        timestamp: TimestampMs,
    ) -> Result<(), BoxError> {
        assert!(ctx.record_metadata().is_none());
        let store = self.store.as_ref().ok_or("no store")?;
        for (key, sum) in store.all()? {
            ctx.forward_to("sink", Record::new(key, sum, timestamp))?;
        }
        if Some(schedule) == self.once {
            ctx.cancel(schedule);
        }
        Ok(())
    }
}

fn with_store() -> StreamsBuilder {
    let b = StreamsBuilder::new();
    b.add_state_store(KeyValueStoreBuilder::<String, i64>::named("sums"));
    b
}

fn run(builder: StreamsBuilder) -> Run {
    Run::new(&builder.build().unwrap()).unwrap()
}

#[test]
fn a_processor_has_its_store_its_schedules_and_its_children() {
    let b = with_store();
    let sums: KStream<String, i64> =
        b.stream::<String, i64>("in").process(Sums::default, &["sums"]);
    sums.to("other");
    sums.named("sink").to("out");
    let mut run = run(b);
    run.init().unwrap();
    // Stream-time schedules fire with the first record.
    for (key, value, time) in [("b", 1_i64, 5), ("a", 2, 50), ("b", 3, 60), ("a", 0, 70)] {
        run.pipe("in", Some(key.to_owned()), Some(value), time).unwrap();
    }
    let first = [(Some("b".to_owned()), Some(1_i64))];
    assert_eq!(run.on("out"), first, "fired once, then cancelled");
    run.wall_clock(999).unwrap();
    assert_eq!(run.on::<String, i64>("out").len(), 1);
    run.wall_clock(1_000).unwrap();
    let last = run.sent.last().unwrap();
    assert_eq!((last.key(), last.value()), (Some("b".to_owned()), Some(4_i64)));
    assert_eq!(last.timestamp, 1_000);
    assert!(run.on::<String, i64>("other").is_empty(), "forward_to picks one child");
}

#[test]
fn each_task_gets_a_processor_of_its_own() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let b = with_store();
    let supplier = || {
        MADE.fetch_add(1, Ordering::Relaxed);
        Sums::default()
    };
    b.stream::<String, i64>("in").process(supplier, &["sums"]).to("out");
    let topology = b.build().unwrap();
    let _tasks = (Run::new(&topology).unwrap(), Run::new(&topology).unwrap());
    assert_eq!(MADE.load(Ordering::Relaxed), 2);
}

#[test]
fn a_store_that_is_not_connected_or_of_other_types_is_a_typed_error() {
    let not_connected = with_store();
    not_connected.stream::<String, i64>("in").named("p").process(Sums::default, &[]).to("out");
    let other_types = StreamsBuilder::new();
    other_types.add_state_store(KeyValueStoreBuilder::<String, String>::named("sums"));
    other_types.stream::<String, i64>("in").named("p").process(Sums::default, &["sums"]).to("out");
    for builder in [not_connected, other_types] {
        let error = run(builder).init().unwrap_err();
        let TaskError::Processor { node, source } = error else { panic!("{error}") };
        assert_eq!(node, "p");
        let Some(TopologyError::StoreType { store, .. }) = source.downcast_ref() else {
            panic!("{source}")
        };
        assert_eq!(store, "sums");
    }
}

/// Forwards, and goes on whatever happens.
struct Careless(&'static str);

impl Processor<String, i64, String, i64> for Careless {
    fn process(&mut self, ctx: &mut Ctx<'_>, r: Record<String, i64>) -> Result<(), BoxError> {
        match self.0 {
            "fail" => Err("out of paper".into()),
            "stranger" => Ok(ctx.forward_to("stranger", r)?),
            _ => {
                let _ = ctx.forward(r);
                Ok(())
            }
        }
    }
}

fn failure(first: &'static str, second: &'static str) -> TaskError {
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("in")
        .named("first")
        .process(move || Careless(first), &[])
        .named("second")
        .process(move || Careless(second), &[])
        .named("sink")
        .to("out");
    let mut run = run(b);
    run.init().unwrap();
    run.pipe("in", Some("k".to_owned()), Some(1_i64), 0).unwrap_err()
}

#[test]
fn an_error_has_the_name_of_its_node() {
    let TaskError::Processor { node, source } = failure("fail", "forward") else { panic!() };
    assert_eq!((node.as_str(), source.to_string().as_str()), ("first", "out of paper"));
}

#[test]
fn an_error_downstream_is_not_lost_by_a_processor_that_goes_on() {
    let TaskError::Processor { node, .. } = failure("forward", "fail") else { panic!() };
    assert_eq!(node, "second");
}

#[test]
fn a_stranger_is_no_child() {
    let TaskError::Processor { source, .. } = failure("stranger", "forward") else { panic!() };
    let expected = ProcessorError::UnknownChild {
        node: "first".into(),
        child: "stranger".into(),
        children: vec!["second".into()],
    };
    assert_eq!(source.downcast_ref::<ProcessorError>(), Some(&expected));
}

#[test]
fn a_supplier_may_share_what_it_likes() {
    let shared = Arc::new(());
    let b = StreamsBuilder::new();
    let held = shared.clone();
    b.stream::<String, i64>("in")
        .process(move || Careless(if Arc::strong_count(&held) > 0 { "go" } else { "fail" }), &[])
        .to("out");
    let mut run = run(b);
    run.pipe("in", Some("k".to_owned()), Some(1_i64), 0).unwrap();
    assert_eq!(run.on::<String, i64>("out").len(), 1);
}
