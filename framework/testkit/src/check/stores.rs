//! The stores of an instance on disk, against the fold of the topics that they follow: their changelogs, or
//! the topics of their tables.
//!
//! The fold is made by the stores themselves, in memory, as a restore does it, and they say which of
//! its rows they show; so it knows no format, and holds for stores of any kind, also of those whose
//! rows expire.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use oncestream_broker::LogRecord;
use oncestream_core::graph::Graph;
use oncestream_core::state::{
    Backend, CHECKPOINTS, CacheBudget, Checkpoint, StoreInstance, WriteBatch,
};
use oncestream_core::task::{ChangelogId, OffsetMetadata, Replay, Task, TaskConfig};
use oncestream_core::{TaskId, TimestampMs, TopicPartition};
use oncestream_stores::{FjallBackend, FjallOptions, MemoryBackend};

use super::outputs::shown;
use super::stage::Stage;
use crate::driver::raw;

/// The bytes of a store.
pub(super) type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store of one partition, by its keyspace, and what it follows.
struct OfPartition {
    keyspace: String,
    topic: String,
    partition: i32,
}

/// How the stores of these state directories differ from what they follow, in words.
///
/// Each must be its topic up to its checkpoint, and of each partition one must be complete.
pub(super) fn differences(
    stage: &Stage<'_>,
    state_dirs: &[PathBuf],
) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut furthest: BTreeMap<String, i64> = BTreeMap::new();
    for state_dir in state_dirs {
        let data = state_dir.join(&stage.setup.name).join("stores");
        if !data.is_dir() {
            continue;
        }
        let backend = FjallBackend::open(&data, &FjallOptions::default())
            .map_err(|e| format!("the state directory cannot be opened: {e}"))?;
        let there = backend.keyspace_names();
        for store in stores(stage)? {
            if !there.contains(&store.keyspace) {
                continue;
            }
            if let Some(at) = compare(stage, &backend, &store, &mut found)? {
                let best = furthest.entry(store.keyspace).or_insert(at);
                *best = at.max(*best);
            }
        }
    }
    for OfPartition { keyspace, topic, partition } in stores(stage)? {
        let Some(last) = stage.readable(&topic, partition).last().map(|r| r.offset) else {
            continue;
        };
        let at = furthest.get(&keyspace).copied().unwrap_or(0);
        if at <= last {
            found.push(format!("store {keyspace} ends at {at}, and {topic} after {last}"));
        }
    }
    Ok(found)
}

/// Compares one store; gives its checkpoint.
fn compare(
    stage: &Stage<'_>,
    backend: &FjallBackend,
    store: &OfPartition,
    found: &mut Vec<String>,
) -> Result<Option<i64>, String> {
    let OfPartition { keyspace, topic, partition } = store;
    let told = |e: &dyn std::fmt::Display| format!("store {keyspace}: {e}");
    let mut checkpoint = None;
    backend
        .keyspace(CHECKPOINTS)
        .and_then(|all| {
            all.get(keyspace.as_bytes(), &mut |bytes| checkpoint = Checkpoint::read(bytes))
        })
        .map_err(|e| told(&e))?;
    // Without a checkpoint a store is stale: it is emptied before it is used.
    let Some(checkpoint) = checkpoint else { return Ok(None) };
    let end = stage.broker.view().partition(topic, *partition).map_or(0, |p| p.last_stable_offset);
    if checkpoint.offset > end {
        found.push(format!(
            "store {keyspace}: its checkpoint {} is past what is committed, {end}",
            checkpoint.offset
        ));
    }
    let mut records = stage.readable(topic, *partition);
    records.retain(|r| r.offset < checkpoint.offset);
    let (expected, actual) = folded_and_found(stage, store, &records, backend)?;
    for key in expected.keys().chain(actual.keys().filter(|key| !expected.contains_key(*key))) {
        let (should, is) = (expected.get(key), actual.get(key));
        if should != is {
            let text = |bytes: Option<&Vec<u8>>| bytes.map_or("nothing".to_owned(), |b| shown(b));
            found.push(format!(
                "store {keyspace}, key {}: {} instead of {} ({topic} up to {})",
                shown(key),
                text(is),
                text(should),
                checkpoint.offset
            ));
        }
    }
    Ok(Some(checkpoint.offset))
}

/// The stores that are not lost with their disk, one for each partition.
fn stores(stage: &Stage<'_>) -> Result<Vec<OfPartition>, String> {
    let mut found = Vec::new();
    for_each_task(stage, &MemoryBackend::new(), |task| {
        for instance in task.stores() {
            let kept = instance.state();
            let changelog = kept.changelog().map(|log| (&log.topic, log.partition));
            let source = instance.source().map(|of| (&of.topic, of.partition));
            if let Some((topic, partition)) = changelog.or(source) {
                let keyspace = kept.keyspace_name().to_string();
                found.push(OfPartition { keyspace, topic: topic.to_string(), partition });
            }
        }
    })?;
    Ok(found)
}

/// What the stores would show that follow the changelogs to their ends, by topic and partition, at the
/// times that are committed. What a store has forgotten may be in a changelog or not: that depends on when
/// a commit came.
pub(super) fn changelogs(stage: &Stage<'_>) -> Result<Vec<((String, i32), Content)>, String> {
    let memory = MemoryBackend::new();
    let mut found = Vec::new();
    for_each_task(stage, &memory, |task| {
        for instance in task.stores() {
            let kept = instance.state().changelog().cloned();
            if let Some(changelog) = kept {
                instance.observe(observed(stage, instance, changelog.partition));
                let records = stage.readable(&changelog.topic, changelog.partition);
                let rows = fold(instance, &records, &memory);
                found.push(((changelog.topic.to_string(), changelog.partition), rows));
            }
        }
    })?;
    found.into_iter().map(|(of, rows)| Ok((of, rows?))).collect()
}

/// The time by which the values of a store expire, as it is committed; -1 for a store without one.
fn observed(stage: &Stage<'_>, store: &StoreInstance, partition: i32) -> TimestampMs {
    let name = format!("{}-observed", store.state().name());
    let view = stage.broker.view();
    let Some(group) = view.group(&stage.setup.name) else { return -1 };
    let of_task = group.offsets.iter().filter(|(_, of, _)| *of == partition);
    let texts = of_task.filter_map(|(_, _, committed)| committed.metadata.as_deref());
    let times = texts.filter_map(|text| OffsetMetadata::decode(text).times.get(&name).copied());
    times.max().unwrap_or(-1)
}

/// What a store must show, by what it follows, and what it shows.
fn folded_and_found(
    stage: &Stage<'_>,
    store: &OfPartition,
    records: &[LogRecord],
    backend: &FjallBackend,
) -> Result<(Content, Content), String> {
    let memory = MemoryBackend::new();
    let mut answer = Ok(None);
    for_each_task(stage, &memory, |task| {
        for instance in task.stores() {
            if **instance.state().keyspace_name() == *store.keyspace {
                let folded = match instance.source() {
                    Some(source) => replayed(stage, instance, source, records, &memory),
                    None => fold(instance, records, &memory),
                };
                answer = folded.and_then(|folded| Ok(Some((folded, content(instance, backend)?))));
            }
        }
    })?;
    answer?.ok_or_else(|| format!("store {}: no task has it", store.keyspace))
}

/// What a store shows that has followed these records of its changelog.
fn fold(
    store: &StoreInstance,
    changelog: &[LogRecord],
    memory: &MemoryBackend,
) -> Result<Content, String> {
    let mut batch = WriteBatch::default();
    for record in changelog {
        if let Some(key) = &record.key {
            // Without a time is how time 0 is written.
            let time = record.timestamp_ms.max(0);
            let restored = store.restore(key, record.value.as_deref(), time, &mut batch);
            restored.map_err(|e| e.to_string())?;
        }
    }
    memory.commit(&batch).map_err(|e| e.to_string())?;
    content(store, memory)
}

/// What a store shows that was made of these records of its table's topic.
fn replayed(
    stage: &Stage<'_>,
    store: &StoreInstance,
    source: &TopicPartition,
    records: &[LogRecord],
    memory: &MemoryBackend,
) -> Result<Content, String> {
    let told = |e: &dyn std::fmt::Display| format!("replaying {source}: {e}");
    let config = TaskConfig::new(&stage.setup.name);
    let name = store.state().name().clone();
    let id = TaskId::new(0, source.partition);
    let replay = Replay::new(Graph::of(&stage.topology), id, &name, source, &config, memory);
    let mut replay = replay.map_err(|e| told(&e))?.ok_or_else(|| told(&"it makes no store"))?;
    for record in records {
        replay.process(raw(record), record.timestamp_ms).map_err(|e| told(&e))?;
    }
    let mut batch = WriteBatch::default();
    replay.flush(&mut batch).map_err(|e| told(&e))?;
    memory.commit(&batch).map_err(|e| told(&e))?;
    content(store, memory)
}

fn content(store: &StoreInstance, backend: &dyn Backend) -> Result<Content, String> {
    let store = store.state();
    let keyspace = backend.keyspace(store.keyspace_name()).map_err(|e| e.to_string())?;
    Ok(store.shown(&*keyspace).map_err(|e| e.to_string())?.into_iter().collect())
}

/// Makes each task that has stores, without inputs.
fn for_each_task(
    stage: &Stage<'_>,
    backend: &MemoryBackend,
    mut f: impl FnMut(&Task),
) -> Result<(), String> {
    let config = TaskConfig::new(&stage.setup.name);
    let budget = Rc::new(CacheBudget::new(0));
    let graph = Graph::of(&stage.topology);
    for (at, sub) in graph.sub_topologies().iter().enumerate() {
        let partitions = stage.internal.changelogs.iter().filter(|changelog| {
            sub.stores
                .iter()
                .any(|store| Graph::changelog_topic(&stage.setup.name, store) == changelog.topic)
        });
        let partitions = partitions.map(|c| c.partitions).max();
        // The topics of tables are inputs.
        let mut stores = sub.stores.iter().filter_map(|store| graph.store(store));
        let follows_input = stores.any(|store| graph.source_topic_of(store).is_some());
        let of_inputs = follows_input.then_some(stage.setup.partitions);
        for partition in 0..partitions.max(of_inputs).unwrap_or(0) {
            let id = TaskId::new(at, partition);
            let first = ChangelogId(0);
            let task = Task::new(graph, id, &[], &config, backend, &budget, first)
                .map_err(|e| format!("task {id}: {e}"))?;
            f(&task);
        }
    }
    Ok(())
}
