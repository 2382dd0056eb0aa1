//! What the engine's benches share: a task without Kafka, and its keys.

use std::hint::black_box;
use std::rc::Rc;

use oncestream::TaskId;
use oncestream::prelude::*;
use oncestream_core::TopicPartition;
use oncestream_core::graph::Graph;
use oncestream_core::state::{Backend, CacheBudget};
use oncestream_core::task::{
    ChangelogId, Collector, InputId, Outgoing, RawRecord, Task, TaskConfig,
};
use rand::prelude::*;

/// Kafka Streams' default for `statestore.cache.max.bytes`.
pub(crate) const DEFAULT_CACHE: usize = 10 << 20;
/// How many different keys there are.
pub(crate) const KEYS: usize = 1_000_000;

/// Takes what a task sends and looks at it, so that nothing is optimised away.
#[derive(Default)]
pub(crate) struct Counting {
    records: u64,
}

impl Collector for Counting {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), BoxError> {
        black_box((record.key, record.value));
        self.records += 1;
        Ok(())
    }

    fn partition_count(&mut self, _topic: &str) -> Result<i32, BoxError> {
        Ok(1)
    }
}

/// The one task of a topology that reads `in`.
pub(crate) fn task(topology: &Topology, backend: &dyn Backend, cache: usize) -> (Task, InputId) {
    let config = TaskConfig::new("bench");
    let budget = Rc::new(CacheBudget::new(cache));
    let inputs = [TopicPartition::new("in", 0)];
    let graph = Graph::of(topology);
    let task =
        Task::new(graph, TaskId::new(0, 0), &inputs, &config, backend, &budget, ChangelogId(0))
            .expect("the topology is sound");
    let input = task.inputs().map(|(id, _)| id).next().expect("one input");
    (task, input)
}

/// A record without headers.
pub(crate) fn raw<'a>(offset: i64, key: &'a [u8], value: &'a [u8]) -> RawRecord<'a> {
    RawRecord {
        offset,
        timestamp: offset,
        key: Some(key),
        value: Some(value),
        headers: Headers::default(),
        unreadable_headers: None,
    }
}

/// Keys by Zipf's law with s = 1, by inverting the harmonic sum.
pub(crate) fn zipf_keys(count: usize) -> Vec<String> {
    let mut rng = StdRng::seed_from_u64(7);
    let mut cumulative = Vec::with_capacity(KEYS);
    let mut sum = 0.0;
    for rank in 1..=KEYS {
        sum += 1.0 / rank as f64;
        cumulative.push(sum);
    }
    (0..count)
        .map(|_| {
            let at = rng.random::<f64>() * sum;
            format!("{:08}", cumulative.partition_point(|c| *c < at))
        })
        .collect()
}

/// Counts the records of each key.
pub(crate) fn count_topology() -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<String, Vec<u8>>("in").group_by_key().count("counts").to_stream().to("out");
    builder.build().expect("a topology")
}
