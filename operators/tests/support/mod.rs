//! Runs a topology on one partition, without a broker and without a disk: repartition topics loop
//! back, and stores live in the overlays of their tasks, which are never written anywhere. Caches are off unless asked for.
#![allow(dead_code)] // Each test file uses its part.

use std::collections::VecDeque;
use std::ops::Bound;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::graph::{Graph, Topology};
use oncestream_core::serde::HasSerde;
use oncestream_core::state::{Backend, BackendError, CacheBudget, Keyspace, PairIter, WriteBatch};
use oncestream_core::task::{
    BuildError, ChangelogId, Collector, Flushed, Outgoing, RawRecord, Task, TaskConfig,
};
use oncestream_core::{Headers, TaskId, TopicPartition};

pub(crate) const APPLICATION: &str = "app";

/// A backend that keeps nothing.
pub(crate) fn nowhere() -> impl Backend {
    Nothing
}

#[derive(Debug)]
struct Nothing;

impl Backend for Nothing {
    fn keyspace(&self, _name: &str) -> Result<Arc<dyn Keyspace>, BackendError> {
        Ok(Arc::new(Nothing))
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

impl Keyspace for Nothing {
    fn get(&self, _key: &[u8], _found: &mut dyn FnMut(&[u8])) -> Result<(), BackendError> {
        Ok(())
    }
    fn range<'a>(&'a self, _from: Bound<&[u8]>, _to: Bound<&[u8]>) -> PairIter<'a> {
        Box::new(std::iter::empty())
    }
    fn range_rev<'a>(&'a self, _from: Bound<&[u8]>, _to: Bound<&[u8]>) -> PairIter<'a> {
        Box::new(std::iter::empty())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) topic: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) timestamp: i64,
}

impl Sent {
    pub(crate) fn value<V: HasSerde>(&self) -> Option<V> {
        self.value.as_ref().map(|v| V::serde().deserialize(v).unwrap())
    }
    pub(crate) fn key<K: HasSerde>(&self) -> Option<K> {
        self.key.as_ref().map(|k| K::serde().deserialize(k).unwrap())
    }
}

#[derive(Default)]
struct Recorder(VecDeque<Sent>);

impl Collector for Recorder {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), BoxError> {
        self.0.push_back(Sent {
            topic: record.topic.to_owned(),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            timestamp: record.timestamp,
        });
        Ok(())
    }
    fn partition_count(&mut self, _topic: &str) -> Result<i32, BoxError> {
        Ok(1)
    }
}

pub(crate) struct Run {
    tasks: Vec<Task>,
    recorder: Recorder,
    /// Of the last record.
    pub(crate) offset: i64,
    /// All that was sent, also to repartition topics, in order.
    pub(crate) sent: Vec<Sent>,
}

impl Run {
    pub(crate) fn new(topology: &Topology) -> Result<Self, BuildError> {
        Self::with_cache(topology, 0)
    }

    pub(crate) fn with_cache(topology: &Topology, bytes: usize) -> Result<Self, BuildError> {
        let budget = Rc::new(CacheBudget::new(bytes));
        let config = TaskConfig::new(APPLICATION);
        let mut tasks = Vec::new();
        let graph = Graph::of(topology);
        for (at, sub) in graph.sub_topologies().iter().enumerate() {
            let inputs: Vec<TopicPartition> = graph
                .source_topics(sub)
                .iter()
                .map(|t| TopicPartition::new(t.resolve(APPLICATION), 0))
                .collect();
            tasks.push(Task::new(
                graph,
                TaskId::new(at, 0),
                &inputs,
                &config,
                &Nothing,
                &budget,
                ChangelogId(0),
            )?);
        }
        Ok(Self { tasks, recorder: Recorder::default(), offset: 0, sent: Vec::new() })
    }

    pub(crate) fn init(&mut self) -> Result<(), TaskError> {
        self.tasks.iter_mut().try_for_each(|t| t.init(0, &mut self.recorder))
    }

    /// The first half of a commit: caches emit, and what they emit is processed.
    pub(crate) fn flush(&mut self) -> Result<(), TaskError> {
        for at in 0..self.tasks.len() {
            let flushed = self.tasks[at].flush(&mut self.recorder, &mut WriteBatch::default())?;
            assert_eq!(flushed, Flushed::Done, "nothing here holds a record");
            self.settle()?;
        }
        Ok(())
    }

    pub(crate) fn wall_clock(&mut self, now_ms: i64) -> Result<(), TaskError> {
        for task in &mut self.tasks {
            task.punctuate_wall_clock(now_ms, &mut self.recorder)?;
        }
        self.settle()
    }

    pub(crate) fn pipe<K: HasSerde, V: HasSerde>(
        &mut self,
        topic: &str,
        key: Option<K>,
        value: Option<V>,
        timestamp: i64,
    ) -> Result<(), TaskError> {
        let bytes = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            out
        };
        let record = Sent {
            topic: topic.to_owned(),
            key: key.map(|k| bytes(&|out| K::serde().serialize(&k, out).unwrap())),
            value: value.map(|v| bytes(&|out| V::serde().serialize(&v, out).unwrap())),
            timestamp,
        };
        self.take(&record)?;
        self.settle()
    }

    fn settle(&mut self) -> Result<(), TaskError> {
        while let Some(record) = self.recorder.0.pop_front() {
            self.sent.push(record.clone());
            self.take(&record)?;
        }
        Ok(())
    }

    fn take(&mut self, record: &Sent) -> Result<(), TaskError> {
        self.offset += 1;
        for task in &mut self.tasks {
            let input = task.inputs().find(|(_, tp)| *tp.topic == *record.topic).map(|(id, _)| id);
            let Some(input) = input else { continue };
            let raw = RawRecord {
                offset: self.offset,
                timestamp: record.timestamp,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: Headers::default(),
                unreadable_headers: None,
            };
            task.add_record(input, raw, 0, &mut self.recorder)?;
            let inputs: Vec<_> = task.inputs().map(|(id, _)| id).collect();
            for input in inputs {
                task.input_at_end(input, self.offset + 1, 0);
            }
            task.process_ready(1, 0, &mut self.recorder)?;
        }
        Ok(())
    }

    pub(crate) fn dropped(&mut self) -> u64 {
        self.tasks.iter_mut().map(Task::take_dropped).sum()
    }

    /// What was sent to a topic, as keys and values.
    pub(crate) fn on<K: HasSerde, V: HasSerde>(&self, topic: &str) -> Vec<(Option<K>, Option<V>)> {
        self.sent.iter().filter(|s| s.topic == topic).map(|s| (s.key(), s.value())).collect()
    }
}
