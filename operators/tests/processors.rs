//! The Processor API: stores, schedules, children, and errors.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oncestream_core::error::{BoxError, TaskError, TopologyError};
use oncestream_core::task::{PunctuationType, ScheduleId};
use oncestream_core::{Record, TimestampMs};
use oncestream_operators::StreamsBuilder;
use oncestream_operators::processor::{
    FixedKeyProcessor, FixedKeyProcessorContext, FixedKeyRecord, Processor, ProcessorContext,
    ProcessorError, StoreHandle,
};
use support::Run;

/// Sums in a store, tells them at 10 ms of stream time once, and at each second of wall clock.
struct Sums {
    sums: StoreHandle<String, i64>,
    once: Option<ScheduleId>,
}

impl Sums {
    fn new(sums: StoreHandle<String, i64>) -> Self {
        Self { sums, once: None }
    }

    fn tell_once(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        timestamp: TimestampMs,
    ) -> Result<(), BoxError> {
        ctx.cancel(self.once.take().ok_or("it is called once")?);
        self.tell(ctx, timestamp)
    }

    fn tell(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        timestamp: TimestampMs,
    ) -> Result<(), BoxError> {
        assert!(ctx.record_metadata().is_none());
        for entry in self.sums.all() {
            let (key, sum) = entry?;
            ctx.forward_to("sink", Record::new(key, sum, timestamp))?;
        }
        Ok(())
    }
}

impl Processor for Sums {
    type KeyIn = String;
    type ValueIn = i64;
    type KeyOut = String;
    type ValueOut = i64;

    fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        let ten_ms = Duration::from_millis(10);
        self.once = Some(ctx.schedule(ten_ms, PunctuationType::StreamTime, Self::tell_once));
        ctx.schedule(Duration::from_secs(1), PunctuationType::WallClockTime, Self::tell);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        r: Record<String, i64>,
    ) -> Result<(), BoxError> {
        let at = ctx.record_metadata().ok_or("a record has an origin")?;
        assert_eq!(&*at.topic, "in");
        match r.value {
            0 => drop(self.sums.delete(&r.key)?),
            v => drop(self.sums.update(&r.key, |sum| sum.unwrap_or(0) + v)?),
        }
        Ok(())
    }
}

fn run(builder: StreamsBuilder) -> Run {
    Run::new(&builder.build().unwrap()).unwrap()
}

#[test]
fn a_processor_has_its_store_its_schedules_and_its_children() {
    let b = StreamsBuilder::new();
    let sums = b.add_state_store("sums");
    let sums = b.stream::<String, i64>("in").process(&sums, Sums::new);
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
    let b = StreamsBuilder::new();
    let sums = b.add_state_store("sums");
    let supplier = |sums| {
        MADE.fetch_add(1, Ordering::Relaxed);
        Sums::new(sums)
    };
    b.stream::<String, i64>("in").process(&sums, supplier).to("out");
    let topology = b.build().unwrap();
    let _tasks = (Run::new(&topology).unwrap(), Run::new(&topology).unwrap());
    assert_eq!(MADE.load(Ordering::Relaxed), 2);
}

#[test]
fn a_store_of_another_builder_or_of_one_that_is_built_is_refused() {
    for is_built in [false, true] {
        let b = StreamsBuilder::new();
        // It has a store of that name, too.
        let own = b.add_state_store("sums");
        let other = StreamsBuilder::new();
        let stranger = other.add_state_store::<String, i64, _>("sums");
        if is_built {
            drop(other.build());
        }
        b.stream::<String, i64>("in").named("p").process((&own, &stranger), |(s, _)| Sums::new(s));
        assert_eq!(b.build().unwrap_err(), TopologyError::ForeignHandle { node: "p".into() });
    }
}

#[test]
fn a_processor_may_use_six_stores_and_those_of_tables() {
    struct All {
        total: StoreHandle<String, i64>,
        others: Vec<StoreHandle<String, i64>>,
    }

    impl Processor for All {
        type KeyIn = String;
        type ValueIn = i64;
        type KeyOut = String;
        type ValueOut = i64;

        fn process(
            &mut self,
            ctx: &mut ProcessorContext<'_, Self>,
            r: Record<String, i64>,
        ) -> Result<(), BoxError> {
            let mut sum = self.total.get(&r.key)?.unwrap_or(0);
            for store in &self.others {
                sum += store.update(&r.key, |n| n.unwrap_or(0) + r.value)?.unwrap_or(0);
            }
            Ok(ctx.forward(r.with_value(sum))?)
        }
    }

    let b = StreamsBuilder::new();
    let stream = b.stream::<String, i64>("in");
    // It is there first, so it is counted first.
    let total = stream.group_by_key().aggregate(|| 0, |_, v, sum: i64| sum + 100 * v, "total");
    let [s1, s2, s3, s4, s5] = ["1", "2", "3", "4", "5"].map(|name| b.add_state_store(name));
    let supplier = |(total, s1, s2, s3, s4, s5)| All { total, others: vec![s1, s2, s3, s4, s5] };
    stream.process((&total.store(), &s1, &s2, &s3, &s4, &s5), supplier).to("out");
    let mut run = run(b);
    for _ in 0..2 {
        run.pipe("in", Some("k".to_owned()), Some(2_i64), 0).unwrap();
    }
    let out: Vec<_> = run.on::<String, i64>("out").into_iter().map(|(_, v)| v).collect();
    assert_eq!(out, [Some(200 + 10), Some(400 + 20)]);
}

#[test]
fn the_store_of_a_table_without_one_is_made_or_refused() {
    let b = StreamsBuilder::new();
    let table = b.table::<String, i64>("in");
    assert_eq!(table.store().name(), "in-STATE-STORE-0000000000");
    assert_eq!(table.store().name(), "in-STATE-STORE-0000000000");
    assert_eq!(b.build().unwrap().store_names().len(), 1);

    let b = StreamsBuilder::new();
    let filtered = b.table::<String, i64>("in").named("some").filter(|_, v| *v > 0);
    filtered.store();
    assert_eq!(b.build().unwrap_err(), TopologyError::NoStore { node: "some".into() });
}

/// What a processor does with its store for a record.
type Act = fn(&StoreHandle<String, i64>, Record<String, i64>) -> Result<String, BoxError>;

struct Acting {
    act: Act,
    store: StoreHandle<String, i64>,
}

impl Processor for Acting {
    type KeyIn = String;
    type ValueIn = i64;
    type KeyOut = String;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        r: Record<String, i64>,
    ) -> Result<(), BoxError> {
        let told = (self.act)(&self.store, r.clone())?;
        Ok(ctx.forward(r.with_value(told))?)
    }
}

/// What is told for each of these records.
fn act(act: Act, records: &[(&str, i64)]) -> Result<Vec<String>, TaskError> {
    let b = StreamsBuilder::new();
    let store = b.add_state_store("store");
    b.stream::<String, i64>("in").process(&store, move |store| Acting { act, store }).to("out");
    let mut run = run(b);
    for (key, value) in records {
        run.pipe("in", Some((*key).to_owned()), Some(*value), 7)?;
    }
    let out = run.on::<String, String>("out").into_iter();
    Ok(out.map(|(_, told)| told.unwrap()).collect())
}

#[test]
fn an_update_reads_and_writes_at_once_and_none_deletes() {
    let update: Act = |store, r| {
        let new = store.update(&r.key, |old| match r.value {
            0 => None,
            v => Some(old.unwrap_or(100) + v),
        })?;
        assert_eq!(new, store.get(&r.key)?);
        let time = store.get_with_timestamp(&r.key)?.map(|found| found.timestamp);
        Ok(format!("{new:?} {time:?}"))
    };
    let told = act(update, &[("k", 1), ("k", 2), ("k", 0), ("k", 3)]).unwrap();
    assert_eq!(told, ["Some(101) Some(7)", "Some(103) Some(7)", "None None", "Some(103) Some(7)"]);
}

#[test]
fn a_store_that_is_used_within_its_own_update_is_an_error_that_names_it() {
    let within: Act = |store, r| {
        let other = store.clone();
        let mut inner = Ok(None);
        store.update(&r.key, |_| {
            inner = other.get(&r.key);
            Some(1)
        })?;
        Ok(format!("{:?}", inner?))
    };
    let error = act(within, &[("k", 1)]).unwrap_err();
    assert!(matches!(&error, TaskError::StoreInUse { store } if store == "store"), "{error}");
}

#[test]
fn entries_are_read_part_by_part_while_the_store_is_changed() {
    let walk: Act = |store, r| {
        let name = |n: i64| format!("{n:05}");
        for n in 0..1_000 {
            store.put(name(n), n)?;
        }
        let mut seen = Vec::new();
        for entry in store.all() {
            let (key, value) = entry?;
            assert_eq!(key, name(value));
            // Behind, at, and far ahead of what is read.
            store.delete(&name(value - 1))?;
            store.put(key, -1)?;
            store.delete(&name(value + 500))?;
            seen.push(value);
        }
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "each once, in order: {seen:?}");
        let (near, far) = seen.split_at(500);
        assert!(near.iter().copied().eq(0..500), "{near:?}");
        assert!(far.len() < 128, "what was deleted far ahead is not seen: {far:?}");
        let range = |from: &str, to: &str| -> Result<Vec<String>, TaskError> {
            store.range(&from.to_owned(), &to.to_owned()).map(|e| e.map(|(k, _)| k)).collect()
        };
        store.put(r.key, 1)?;
        assert_eq!(range("00499", "00500")?, ["00499"]);
        assert_eq!(range("00900", "k")?, ["k"]);
        assert!(range("k", "00499")?.is_empty());
        Ok("done".to_owned())
    };
    assert_eq!(act(walk, &[("k", 1)]).unwrap(), ["done"]);
}

#[test]
fn entries_of_a_whole_number_of_parts_end() {
    for many in [0_i64, 1, 127, 128, 129, 256] {
        let b = StreamsBuilder::new();
        let store = b.add_state_store("store");
        let count: Act = |store, r| {
            for n in 0..r.value {
                store.put(format!("{n:05}"), n)?;
            }
            Ok(store.all().count().to_string())
        };
        b.stream::<String, i64>("in")
            .process(&store, move |store| Acting { act: count, store })
            .to("out");
        let mut run = run(b);
        run.pipe("in", Some("k".to_owned()), Some(many), 0).unwrap();
        let told = run.on::<String, String>("out");
        assert_eq!(told, [(Some("k".to_owned()), Some(many.to_string()))]);
    }
}

/// Forwards, and goes on whatever happens.
struct Careless(&'static str);

impl Processor for Careless {
    type KeyIn = String;
    type ValueIn = i64;
    type KeyOut = String;
    type ValueOut = i64;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        r: Record<String, i64>,
    ) -> Result<(), BoxError> {
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
        .process((), move |()| Careless(first))
        .named("second")
        .process((), move |()| Careless(second))
        .named("sink")
        .to("out");
    let mut run = run(b);
    run.init().unwrap();
    run.pipe("in", Some("k".to_owned()), Some(1_i64), 0).unwrap_err()
}

#[test]
fn an_error_has_the_name_of_its_node() {
    let error = failure("fail", "forward");
    let text = "processor first failed for the record in in-0 at offset 1: out of paper";
    assert_eq!(error.to_string(), text);
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
        .process((), move |()| Careless(if Arc::strong_count(&held) > 0 { "go" } else { "fail" }))
        .to("out");
    let mut run = run(b);
    run.pipe("in", Some("k".to_owned()), Some(1_i64), 0).unwrap();
    assert_eq!(run.on::<String, i64>("out").len(), 1);
}

/// A schedule of a processor that keeps its key, and one that is cancelled before it fires.
#[test]
fn a_processor_with_a_fixed_key_has_schedules_of_its_own() {
    #[derive(Default)]
    struct Last {
        record: Option<FixedKeyRecord<String, i64>>,
        never: Option<ScheduleId>,
    }

    impl Last {
        fn tell(
            &mut self,
            ctx: &mut FixedKeyProcessorContext<'_, Self>,
            timestamp: TimestampMs,
        ) -> Result<(), BoxError> {
            if let Some(mut record) = self.record.take() {
                record.timestamp = timestamp;
                ctx.forward_to("sink", record)?;
            }
            Ok(())
        }
    }

    impl FixedKeyProcessor for Last {
        type Key = String;
        type ValueIn = i64;
        type ValueOut = i64;

        fn init(&mut self, ctx: &mut FixedKeyProcessorContext<'_, Self>) -> Result<(), BoxError> {
            let second = Duration::from_secs(1);
            ctx.schedule(second, PunctuationType::WallClockTime, Self::tell);
            let never = |_: &mut Self, _: &mut FixedKeyProcessorContext<'_, Self>, _| panic!();
            self.never = Some(ctx.schedule(second, PunctuationType::WallClockTime, never));
            Ok(())
        }

        fn process(
            &mut self,
            ctx: &mut FixedKeyProcessorContext<'_, Self>,
            record: FixedKeyRecord<String, i64>,
        ) -> Result<(), BoxError> {
            if let Some(never) = self.never.take() {
                ctx.cancel(never);
            }
            self.record = Some(record);
            ctx.request_commit();
            assert_eq!((ctx.stream_time(), ctx.current_system_time_ms()), (5, 0));
            assert_eq!(ctx.task_id().to_string(), "0_0");
            Ok(())
        }
    }

    let b = StreamsBuilder::new();
    let last = b.stream::<String, i64>("in").process_values((), |()| Last::default());
    last.named("sink").to("out");
    let mut run = run(b);
    run.init().unwrap();
    run.pipe("in", Some("k".to_owned()), Some(3_i64), 5).unwrap();
    run.wall_clock(1_000).unwrap();
    run.wall_clock(2_000).unwrap();
    assert_eq!(run.on("out"), [(Some("k".to_owned()), Some(3_i64))]);
    assert_eq!(run.sent[0].timestamp, 1_000);
}
