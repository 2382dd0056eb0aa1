//! A task with several inputs: whether it processes while one is empty, and in which order.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

use std::rc::Rc;
use std::sync::{Arc, Mutex};

use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::graph::{GraphBuilder, SourceTopics, TopicRef};

use oncestream_core::serde::HasSerde;
use oncestream_core::state::{Backend, BackendError, CacheBudget, Keyspace, WriteBatch};
use oncestream_core::task::{
    Activity, ChangelogId, Collector, Context, InputId, Node, OffsetMetadata, Outgoing, RawRecord,
    Readiness, SourceConfig, SourceInstance, Task, TaskConfig,
};
use oncestream_core::{Headers, Record, TaskId, TopicPartition};

/// The graph has no store.
#[derive(Debug)]
struct NoBackend;

impl Backend for NoBackend {
    fn keyspace(&self, name: &str) -> Result<Arc<dyn Keyspace>, BackendError> {
        unreachable!("{name}")
    }
    fn drop_keyspace(&self, _name: &str) -> Result<(), BackendError> {
        Ok(())
    }
    fn keyspace_names(&self) -> Vec<String> {
        Vec::new()
    }
    fn commit(&self, _batch: &WriteBatch) -> Result<(), BackendError> {
        Ok(())
    }
    fn persist(&self) -> Result<(), BackendError> {
        Ok(())
    }
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

/// Where the records came from that a task processed, in their order.
type Seen = Arc<Mutex<Vec<(String, i64)>>>;

/// A node that notes where records come from, and fails at one of a negative value.
struct Notes(Seen);

impl Node<String, i64> for Notes {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<String, i64>,
    ) -> Result<(), TaskError> {
        let from = ctx.record_metadata().expect("a record in hand");
        self.0.lock().unwrap().push((from.topic.to_string(), from.offset));
        match record.value {
            0.. => Ok(()),
            _ => {
                let (node, source) = ("notes".to_owned(), "negative".into());
                Err(TaskError::Processor { node, at: None, source })
            }
        }
    }
}

/// A task that reads partition 0 of `a`, `b` and `c`.
struct Inputs {
    task: Task,
    seen: Seen,
    now_ms: i64,
}

impl Inputs {
    fn new(topics: &[&str], max_task_idle_ms: i64) -> Self {
        let seen = Seen::default();
        let mut graph = GraphBuilder::default();
        let refs = topics.iter().map(|t| TopicRef::User((*t).into())).collect();
        let source = graph.add_source("in", SourceTopics::Topics(refs), |b, id| {
            let config = SourceConfig {
                key_serde: String::serde(),
                value_serde: i64::serde(),
                timestamp_extractor: None,
                drop_null_keys: false,
            };
            SourceInstance::new(b, id, config)
        });
        let notes = seen.clone();
        graph.add_processor::<String, i64, _>("notes", &[source], &[], move |_, _| {
            Ok(Box::new(Notes(notes.clone())))
        });
        let config = TaskConfig { max_task_idle_ms, ..TaskConfig::new("app") };
        let inputs: Vec<_> = topics.iter().map(|t| TopicPartition::new(*t, 0)).collect();
        let (topology, budget) = (graph.build().unwrap(), Rc::new(CacheBudget::new(0)));
        let id = TaskId::new(0, 0);
        let task = Task::new(&topology, id, &inputs, &config, &NoBackend, &budget, ChangelogId(0))
            .unwrap();
        Self { task, seen, now_ms: 1_000 }
    }

    fn input(&self, topic: &str) -> InputId {
        self.task.inputs().find(|(_, p)| &*p.topic == topic).unwrap().0
    }

    fn record(&mut self, topic: &str, offset: i64, timestamp: i64) {
        self.add(topic, offset, timestamp, 1).unwrap();
    }

    fn add(
        &mut self,
        topic: &str,
        offset: i64,
        timestamp: i64,
        value: i64,
    ) -> Result<(), TaskError> {
        let raw = RawRecord {
            offset,
            timestamp,
            key: Some(b"key"),
            value: Some(&value.to_be_bytes()),
            headers: Headers::default(),
            unreadable_headers: None,
        };
        self.task.add_record(self.input(topic), raw, self.now_ms, &mut Nowhere)
    }

    fn end(&mut self, topic: &str, offset: i64) {
        self.task.input_at_end(self.input(topic), offset, self.now_ms);
    }

    /// What it processes now, as topics.
    fn processed(&mut self) -> Vec<String> {
        self.seen.lock().unwrap().clear();
        self.task.process_ready(100, self.now_ms, &mut Nowhere).unwrap();
        self.seen.lock().unwrap().iter().map(|(topic, _)| topic.clone()).collect()
    }
}

#[test]
fn zero_waits_for_what_the_broker_has_and_not_longer() {
    let mut inputs = Inputs::new(&["a", "b", "c"], 0);
    inputs.record("a", 0, 50);
    assert_eq!(inputs.processed(), [""; 0], "nothing is known of b and c");
    inputs.end("b", 0);
    assert_eq!(inputs.task.readiness(inputs.now_ms), Readiness::Fetching, "nothing of c");
    inputs.now_ms += 3_600_000;
    assert_eq!(inputs.processed(), [""; 0]);
    inputs.record("c", 0, 20);
    assert_eq!(inputs.processed(), ["c"], "c may have more");
    inputs.end("c", 1);
    assert_eq!(inputs.processed(), ["a"]);
    assert_eq!(inputs.task.take_enforced(), 2, "b was given up for both");
    assert_eq!(inputs.task.readiness(inputs.now_ms), Readiness::Empty);
}

#[test]
fn all_inputs_with_records_wait_for_nothing_and_the_smallest_time_is_first() {
    for idle in [-1, 0, 50] {
        let mut inputs = Inputs::new(&["a", "b"], idle);
        for (offset, timestamp) in [(0, 10), (1, 40)] {
            inputs.record("a", offset, timestamp);
        }
        for (offset, timestamp) in [(0, 20), (1, 30)] {
            inputs.record("b", offset, timestamp);
        }
        inputs.end("a", 2);
        inputs.end("b", 2);
        let rest: &[&str] = if idle == 50 { &[] } else { &["a"] };
        assert_eq!(inputs.processed(), [&["a", "b", "b"], rest].concat(), "{idle}");
    }
}

#[test]
fn minus_one_waits_for_nothing() {
    let mut inputs = Inputs::new(&["a", "b"], -1);
    inputs.record("a", 0, 50);
    assert_eq!(inputs.processed(), ["a"]);
    assert_eq!(inputs.task.take_enforced(), 0);
}

#[test]
fn a_record_that_comes_in_ends_the_end() {
    let mut inputs = Inputs::new(&["a", "b"], 0);
    inputs.end("b", 0);
    inputs.record("b", 0, 10);
    inputs.record("a", 0, 50);
    assert_eq!(inputs.processed(), ["b"]);
    assert_eq!(inputs.task.readiness(inputs.now_ms), Readiness::Fetching, "b had one more");
    inputs.end("b", 0);
    assert_eq!(inputs.processed(), [""; 0], "told before the record, and late");
    // Markers lie between the record and the end.
    inputs.end("b", 3);
    assert_eq!(inputs.processed(), ["a"]);
}

#[test]
fn more_than_zero_waits_so_long_from_when_the_input_was_empty_at_its_end() {
    let mut inputs = Inputs::new(&["a", "b"], 50);
    inputs.record("a", 0, 50);
    inputs.end("b", 0);
    let until = Readiness::Idling { until_ms: inputs.now_ms + 50 };
    inputs.now_ms += 49;
    // Told again, as by a client that asks often: it is at its end since the first time.
    inputs.end("b", 0);
    assert_eq!(inputs.task.readiness(inputs.now_ms), until);
    assert_eq!(inputs.processed(), [""; 0]);
    inputs.now_ms += 1;
    assert_eq!(inputs.processed(), ["a"]);
    // Given up once, it is not waited for again until it had a record.
    inputs.record("a", 1, 60);
    inputs.end("a", 2);
    assert_eq!(inputs.processed(), ["a"]);
    inputs.now_ms += 1_000;
    inputs.record("b", 0, 70);
    inputs.end("b", 1);
    assert_eq!(inputs.processed(), ["b"], "a is empty for long");
    inputs.record("a", 2, 80);
    assert_eq!(inputs.processed(), [""; 0], "b is empty since now");
    inputs.now_ms += 50;
    assert_eq!(inputs.processed(), ["a"]);
}

#[test]
fn an_end_behind_waiting_records_counts_from_when_the_last_one_is_taken() {
    let mut inputs = Inputs::new(&["a", "b"], 50);
    inputs.record("b", 0, 10);
    inputs.end("b", 1);
    inputs.now_ms += 1_000;
    inputs.record("a", 0, 50);
    assert_eq!(inputs.processed(), ["b"]);
    let until_ms = inputs.now_ms + 50;
    assert_eq!(inputs.task.readiness(inputs.now_ms), Readiness::Idling { until_ms });
}

#[test]
fn a_clock_that_is_set_back_prolongs_no_wait() {
    let mut inputs = Inputs::new(&["a", "b"], 50);
    inputs.record("a", 0, 50);
    inputs.end("b", 0);
    inputs.now_ms = 100;
    assert_eq!(inputs.processed(), [""; 0]);
    inputs.now_ms = 150;
    assert_eq!(inputs.processed(), ["a"]);
}

#[test]
fn positions_follow_each_input_by_itself() {
    let mut inputs = Inputs::new(&["a", "b"], 0);
    let b = inputs.input("b");
    inputs.task.set_committed(b, Some(7), &OffsetMetadata::unknown());
    inputs.record("a", 3, 10);
    inputs.record("a", 4, 30);
    inputs.record("b", 7, 20);
    inputs.end("a", 5);
    inputs.end("b", 8);
    assert_eq!(inputs.task.process_ready(1, inputs.now_ms, &mut Nowhere).unwrap(), 1);
    let changed = |task: &Task| {
        task.positions().map(|p| (p.partition.topic.to_string(), p.offset)).collect::<Vec<_>>()
    };
    assert_eq!(changed(&inputs.task), [("a".to_owned(), 4)]);
    inputs.task.committed();
    assert_eq!(inputs.processed(), ["b", "a"]);
    assert_eq!(changed(&inputs.task), [("a".to_owned(), 5), ("b".to_owned(), 8)]);
}

#[test]
fn a_record_that_fails_is_known_by_its_place() {
    let mut inputs = Inputs::new(&["a", "b"], 0);
    inputs.end("b", 0);
    inputs.add("a", 9, 10, -1).unwrap();
    assert_eq!(inputs.task.activity(), None);
    inputs.task.process_ready(1, inputs.now_ms, &mut Nowhere).unwrap_err();
    let partition = TopicPartition::new("a", 0);
    assert_eq!(inputs.task.activity(), Some(Activity::Record { partition, offset: 9 }));
}
