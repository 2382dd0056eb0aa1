//! The broker of one case: topics, inputs in waves, and whether all is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use oncestream_broker::{Broker, ClusterView, LogRecord};
use oncestream_core::graph::{Graph, InternalTopics, Topology};
use oncestream_core::partitioner::partition_for_key;

use super::settings::Setup;

/// The timestamp of the first record of each input.
const FIRST_MS: i64 = 1_700_000_000_000;

/// A record of a wave: key, value, timestamp.
type Fed<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, i64);

/// A broker with the topics of the application, and the inputs as far as they are fed.
pub(super) struct Stage<'a> {
    pub(super) setup: &'a Setup,
    pub(super) broker: Broker,
    pub(super) topology: Topology,
    pub(super) internal: InternalTopics,
    waves_fed: usize,
}

impl<'a> Stage<'a> {
    /// Starts a broker and makes the topics. Nothing is fed.
    pub(super) fn new(setup: &'a Setup, nodes: u16) -> Result<Self, String> {
        let told = |e: &dyn std::fmt::Display| format!("the embedded broker: {e}");
        let builder = Broker::builder().nodes(nodes).keep_requests(100_000);
        // What compaction takes away cannot be folded any more.
        let builder =
            builder.setting("log.cleaner.backoff.ms", "86400000").map_err(|e| told(&e))?;
        let broker = builder.start_blocking().map_err(|e| told(&e))?;
        let topology = (setup.topology)();
        let mut counts: BTreeMap<Arc<str>, i32> = BTreeMap::new();
        let named = setup.inputs.keys().chain(&setup.outputs).map(|topic| topic.as_str().into());
        let known = topology.source_topics().into_iter().chain(topology.sink_topics());
        counts.extend(known.chain(named).map(|topic| (topic, setup.partitions)));
        for topic in counts.keys() {
            let keep = [("retention.ms", "-1")];
            let partitions = usize::try_from(setup.partitions).unwrap_or(1);
            broker.create_topic_with(topic, partitions, keep).map_err(|e| told(&e))?;
        }
        let internal = Graph::of(&topology).internal_topics(&setup.name, &counts);
        let internal = internal.map_err(|e| e.to_string())?;
        Ok(Self { setup, broker, topology, internal, waves_fed: 0 })
    }

    /// Waves not fed yet.
    pub(super) fn waves_left(&self) -> usize {
        self.setup.waves - self.waves_fed
    }

    /// Waves that were fed.
    pub(super) fn waves_fed(&self) -> usize {
        self.waves_fed
    }

    /// Appends the next wave of each input. Topics of global tables are fed as a whole with the first one.
    pub(super) fn feed(&mut self) -> Result<(), String> {
        let (wave, waves) = (self.waves_fed, self.setup.waves);
        self.waves_fed += 1;
        for (topic, records) in &self.setup.inputs {
            let (from, to) = match (self.is_global(topic), wave) {
                (true, 0) => (0, records.len()),
                (true, _) => continue,
                (false, _) => (records.len() * wave / waves, records.len() * (wave + 1) / waves),
            };
            let mut batches: BTreeMap<i32, Vec<Fed<'_>>> = BTreeMap::new();
            for (at, record) in records.iter().enumerate().take(to).skip(from) {
                let partition = match &record.key {
                    Some(key) => partition_for_key(key, self.setup.partitions),
                    None => at as i32 % self.setup.partitions,
                };
                let fed = (record.key.as_deref(), record.value.as_deref(), FIRST_MS + at as i64);
                batches.entry(partition).or_default().push(fed);
            }
            for (partition, batch) in batches {
                self.broker.append(topic, partition, batch).map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    /// Whether a topic is that of a global table: each instance reads it, and commits no offsets of it.
    fn is_global(&self, topic: &str) -> bool {
        Graph::of(&self.topology).global_tables().iter().any(|table| *table.topic == *topic)
    }

    /// The inputs that tasks read.
    fn of_tasks(&self) -> impl Iterator<Item = &str> {
        self.setup.inputs.keys().map(String::as_str).filter(|topic| !self.is_global(topic))
    }

    /// Whether the application has told for each partition of its inputs where it begins.
    pub(super) fn has_begun(&self) -> bool {
        let view = self.broker.view();
        let committed = self.committed(&view);
        let told = |topic: &str, partition| committed.contains_key(&(topic, partition));
        let all = 0..self.setup.partitions;
        self.of_tasks().all(|topic| all.clone().all(|partition| told(topic, partition)))
    }

    /// Whether everything that was fed is committed, through all sub-topologies, and nothing is
    /// left open.
    pub(super) fn is_done(&self) -> bool {
        let view = self.broker.view();
        let committed = self.committed(&view);
        let end = |topic: &str, partition| {
            view.partition(topic, partition).map_or(0, |p| p.high_watermark)
        };
        let inputs_done = self.of_tasks().all(|topic| {
            (0..self.setup.partitions).all(|partition| {
                let at = committed.get(&(topic, partition)).copied().unwrap_or(0);
                at == end(topic, partition)
            })
        });
        inputs_done
            && view.partitions.iter().all(|p| p.last_stable_offset == p.high_watermark)
            && self.internal.repartitions.iter().all(|repartition| {
                (0..repartition.partitions).all(|partition| {
                    let at = committed.get(&(&*repartition.topic, partition)).copied();
                    let at = at.unwrap_or(0);
                    self.readable(&repartition.topic, partition)
                        .last()
                        .is_none_or(|last| last.offset < at)
                        && at <= end(&repartition.topic, partition)
                })
            })
    }

    /// The committed offsets of the application.
    pub(super) fn committed<'v>(&self, view: &'v ClusterView) -> BTreeMap<(&'v str, i32), i64> {
        let Some(group) = view.group(&self.setup.name) else { return BTreeMap::new() };
        let offsets = group.offsets.iter();
        offsets.map(|(topic, partition, o)| ((topic.as_str(), *partition), o.offset)).collect()
    }

    /// What a `read_committed` consumer sees of a partition.
    pub(super) fn readable(&self, topic: &str, partition: i32) -> Vec<LogRecord> {
        let view = self.broker.view();
        let stable = view.partition(topic, partition).map_or(0, |p| p.last_stable_offset);
        let mut records = self.broker.records(topic, partition);
        records.retain(|r| r.control.is_none() && !r.aborted && r.offset < stable);
        records
    }

    /// The user's topics that are written to.
    pub(super) fn outputs(&self) -> Vec<String> {
        let sinks = self.topology.sink_topics().into_iter().map(|topic| topic.to_string());
        let names: BTreeSet<String> = sinks.chain(self.setup.outputs.iter().cloned()).collect();
        names.into_iter().collect()
    }
}
