//! Nodes that keep records in work: what they hold is not committed, whatever order they release it
//! in and wherever the driver crashes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use oncestream_core::commit::Guarantee;
use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::graph::{Graph, GraphBuilder, SinkTopic, SourceTopics, TopicRef, Topology};
use oncestream_core::serde::HasSerde;
use oncestream_core::state::{CacheBudget, WriteBatch};
use oncestream_core::task::{
    ChangelogId, Collector, Context, Destination, Downstream, Flush, Flushed, Held, Node, Outgoing,
    RawRecord, Shared, Sink, SourceConfig, SourceInstance, Task, TaskConfig,
};
use oncestream_core::{Headers, Record, SubTopologyId, TaskId, TopicPartition};
use oncestream_stores::MemoryBackend;
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::DriverError;

/// What a node does about the records that it keeps.
#[derive(Clone, Copy)]
struct Manners {
    /// Are their offsets held?
    holds: bool,
    /// Does a flush wait for them, or leave them for the next commit?
    finishes: bool,
}

const PROPER: Manners = Manners { holds: true, finishes: true };
const LEAVES: Manners = Manners { holds: true, finishes: false };
const FORGETS: Manners = Manners { holds: false, finishes: false };

/// Keeps records, and forwards all but the oldest, the newest first, when it has three.
struct Backwards {
    manners: Manners,
    kept: Vec<(Option<Held>, Record<String, i64>)>,
    /// A flush was answered with "not yet".
    put_off: bool,
    out: Downstream<String, i64>,
}

impl Backwards {
    fn forward_last(&mut self, ctx: &mut Context<'_>) -> Result<(), TaskError> {
        let Some((held, record)) = self.kept.pop() else { return Ok(()) };
        self.out.forward(ctx, record)?;
        if let Some(held) = held {
            ctx.release(held);
        }
        Ok(())
    }
}

impl Node<String, i64> for Backwards {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<String, i64>,
    ) -> Result<(), TaskError> {
        let held = if self.manners.holds { ctx.hold() } else { None };
        self.kept.push((held, record));
        while self.kept.len() > 2 {
            self.forward_last(ctx)?;
            self.forward_last(ctx)?;
        }
        Ok(())
    }
}

impl Flush for Backwards {
    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<Flushed, TaskError> {
        if !self.manners.finishes || self.kept.is_empty() {
            self.put_off = false;
            return Ok(Flushed::Done);
        }
        if !std::mem::replace(&mut self.put_off, true) {
            return Ok(Flushed::NotYet);
        }
        self.forward_last(ctx)?;
        Ok(Flushed::NotYet)
    }
}

fn topology(manners: Manners) -> Topology {
    let mut graph = GraphBuilder::default();
    let topics = SourceTopics::Topics(vec![TopicRef::User("in".into())]);
    let source = graph.add_source("source", topics, |builder, id| {
        let config = SourceConfig {
            key_serde: String::serde(),
            value_serde: i64::serde(),
            timestamp_extractor: None,
            drop_null_keys: false,
        };
        SourceInstance::new(builder, id, config)
    });
    let backwards = graph.add_processor("backwards", &[source], &[], move |builder, id| {
        let out = builder.downstream(id)?;
        let node = Backwards { manners, kept: Vec::new(), put_off: false, out };
        let node = Rc::new(RefCell::new(node));
        builder.on_flush(id, node.clone());
        Ok(Box::new(Shared(node)) as Box<dyn Node<String, i64>>)
    });
    let topic = SinkTopic::Topic(TopicRef::User("out".into()));
    graph.add_sink("sink", topic, &[backwards], |builder, id| {
        let destination = Destination::Topic("out".into());
        let name = builder.node_name(id);
        Ok(Box::new(Sink::new(name, destination, String::serde(), i64::serde(), None))
            as Box<dyn Node<String, i64>>)
    });
    graph.build().unwrap().into_topology()
}

/// How often each of the inputs is in the output: `0` to `RECORDS`.
const RECORDS: i64 = 11;

struct Outcome {
    times: BTreeMap<i64, usize>,
    steps: u64,
}

/// Pipes all records, with a commit after every fifth and a crash at the n-th step, if any.
fn run(manners: Manners, guarantee: Guarantee, crash: Option<u64>) -> Outcome {
    let mut driver = TopologyTestDriver::builder(topology(manners))
        .guarantee(guarantee)
        .commit_interval_ms(1_000)
        .build()
        .unwrap();
    if let Some(step) = crash {
        driver.crash_at_count(step);
    }
    let mut call = |f: &mut dyn FnMut(&mut TopologyTestDriver) -> Result<(), DriverError>| {
        if let Err(error) = f(&mut driver) {
            assert!(matches!(error, DriverError::Crashed { .. }), "{error}");
            driver.recover().unwrap();
            return true;
        }
        false
    };
    for number in 0..RECORDS {
        call(&mut |d| {
            let input = d.input("in");
            d.pipe(&input, "key".to_owned(), number, number)
        });
        if number % 5 == 4 {
            call(&mut |d| d.commit());
        }
    }
    while call(&mut TopologyTestDriver::commit_all) {}
    let steps = driver.commit_steps();
    // What was only kept in memory must not count.
    driver.recover().unwrap();
    driver.commit_all().unwrap();
    let mut times: BTreeMap<i64, usize> = (0..RECORDS).map(|number| (number, 0)).collect();
    for record in driver.output::<String, i64>("out").read_all().unwrap() {
        *times.entry(record.value).or_default() += 1;
    }
    Outcome { times, steps }
}

#[test]
fn records_released_out_of_order_are_exact_through_a_crash_at_each_step() {
    let whole = run(PROPER, Guarantee::ExactlyOnce, None);
    assert!(whole.times.values().all(|times| *times == 1), "{:?}", whole.times);
    assert!(whole.steps > 10, "{}", whole.steps);
    for step in 1..=whole.steps {
        let times = run(PROPER, Guarantee::ExactlyOnce, Some(step)).times;
        assert!(times.values().all(|times| *times == 1), "step {step}: {times:?}");
    }
}

#[test]
fn at_least_once_records_that_are_left_for_the_next_commit_are_not_lost() {
    let whole = run(LEAVES, Guarantee::AtLeastOnce, None);
    for step in 1..=whole.steps {
        let times = run(LEAVES, Guarantee::AtLeastOnce, Some(step)).times;
        // The last two are still kept at the end, and not committed.
        let lost: Vec<_> = times.iter().filter(|(_, times)| **times == 0).collect();
        assert!(lost.len() <= 1, "step {step}: {times:?}");
    }
}

/// The control: it is the hold that keeps records from being lost.
#[test]
fn records_that_are_kept_and_not_held_are_lost() {
    let whole = run(FORGETS, Guarantee::AtLeastOnce, None);
    let lost: usize = (1..=whole.steps)
        .map(|step| run(FORGETS, Guarantee::AtLeastOnce, Some(step)).times)
        .map(|times| times.values().filter(|times| **times == 0).count())
        .max()
        .unwrap();
    assert!(lost > 1, "{lost}");
}

struct Nowhere;

impl Collector for Nowhere {
    fn send(&mut self, _record: &Outgoing<'_>) -> Result<(), BoxError> {
        Ok(())
    }
    fn partition_count(&mut self, _topic: &str) -> Result<i32, BoxError> {
        Ok(1)
    }
}

/// A task with a node that says it is done while it holds records, after it took `count` of them.
fn holding_task(guarantee: Guarantee, count: i64) -> Task {
    let backend = MemoryBackend::new();
    let config = TaskConfig { guarantee, ..TaskConfig::new("app") };
    let id = TaskId { sub_topology: SubTopologyId(0), partition: 0 };
    let inputs = [TopicPartition::new("in", 0)];
    let budget = Rc::new(CacheBudget::new(0));
    let topology = topology(LEAVES);
    let mut task =
        Task::new(Graph::of(&topology), id, &inputs, &config, &backend, &budget, ChangelogId(0))
            .unwrap();
    let input = task.inputs().next().unwrap().0;
    for offset in 0..count {
        let raw = RawRecord {
            offset,
            timestamp: 0,
            key: Some(b"key"),
            value: Some(&[0; 8]),
            headers: Headers::default(),
            unreadable_headers: None,
        };
        task.add_record(input, raw, 0, &mut Nowhere).unwrap();
    }
    task
}

#[test]
fn exactly_once_nothing_is_flushed_while_a_record_is_held() {
    let mut task = holding_task(Guarantee::ExactlyOnce, 4);
    let mut batch = WriteBatch::default();
    assert_eq!(task.flush(&mut Nowhere, &mut batch).unwrap(), Flushed::NotYet);
}

#[test]
fn the_position_is_that_of_the_oldest_record_in_work() {
    // Of four records the node has forwarded two: the oldest is held, and so is the fourth.
    let mut task = holding_task(Guarantee::AtLeastOnce, 4);
    let mut batch = WriteBatch::default();
    assert_eq!(task.flush(&mut Nowhere, &mut batch).unwrap(), Flushed::Done);
    let positions: Vec<_> = task.positions().map(|position| position.offset).collect();
    assert_eq!(positions, [0]);
    task.committed();
    assert_eq!(task.positions().count(), 0, "nothing has changed since");
}
