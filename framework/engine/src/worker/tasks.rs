//! The tasks of a worker, and the way from a topic and partition to a task's input.

use std::sync::Arc;

use oncestream_core::graph::Graph;
use oncestream_core::task::{InputId, Readiness, Task};
use oncestream_core::{TaskId, TimestampMs, TopicPartition};

use crate::metrics::BufferMetrics;
use crate::ports::Subscription;

/// What the group consumer reads.
pub(super) fn subscription(topology: &Graph, application_id: &str) -> Subscription {
    let mut all = Subscription::default();
    for sub in topology.sub_topologies() {
        let named = topology.source_topics(sub);
        all.topics.extend(named.iter().map(|t| t.resolve(application_id)));
        all.patterns.extend(topology.source_patterns(sub).into_iter().map(|(_, pattern)| pattern));
    }
    all
}

/// Where a task stands in its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its stores follow their changelogs; its partitions are paused.
    Restoring,
    /// It processes.
    Running,
}

pub(super) struct Entry {
    pub(super) task: Task,
    pub(super) partitions: Vec<TopicPartition>,
    pub(super) phase: Phase,
    /// No input had a committed offset when the task was made.
    pub(super) offsets_missing: bool,
    /// Those of its suppressions, from the first commit on.
    pub(super) buffers: Vec<BufferMetrics>,
}

impl Entry {
    /// Tells metrics what a commit has done to the buffers of suppressions.
    pub(super) fn tell_buffers(&mut self) {
        let partition = self.task.id().partition;
        for (at, report) in self.task.take_buffers().enumerate() {
            if self.buffers.len() == at {
                self.buffers.push(BufferMetrics::new(&report.store, partition));
            }
            self.buffers[at].tell(&report);
        }
    }
}

/// A task's input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    entry: usize,
    pub(super) input: InputId,
}

struct TopicRoutes {
    topic: Arc<str>,
    by_partition: Vec<Option<Route>>,
}

/// All tasks of a worker.
#[derive(Default)]
pub(super) struct TaskSet {
    entries: Vec<Entry>,
    routes: Vec<TopicRoutes>,
    /// The topic of the last record: the next one is mostly of the same.
    last_topic: usize,
}

impl TaskSet {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    pub(super) fn find(&self, id: TaskId) -> Option<&Entry> {
        self.entries.iter().find(|e| e.task.id() == id)
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
        self.index();
    }

    /// Drops all tasks, and with them everything that is not committed.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.index();
    }

    /// Ends the users' processors of all tasks.
    pub(super) fn close(&mut self) {
        for entry in &mut self.entries {
            entry.task.close();
        }
    }

    fn index(&mut self) {
        self.routes.clear();
        self.last_topic = 0;
        for (at, entry) in self.entries.iter().enumerate() {
            for (input, p) in entry.task.inputs() {
                let known = self.routes.iter().position(|r| r.topic == p.topic);
                let routes = known.unwrap_or_else(|| {
                    let by_partition = Vec::new();
                    self.routes.push(TopicRoutes { topic: p.topic.clone(), by_partition });
                    self.routes.len() - 1
                });
                let by_partition = &mut self.routes[routes].by_partition;
                let partition = usize::try_from(p.partition).unwrap_or(0);
                if by_partition.len() <= partition {
                    by_partition.resize(partition + 1, None);
                }
                by_partition[partition] = Some(Route { entry: at, input });
            }
        }
    }

    /// The input of a record; `None` for a partition without a task.
    pub(super) fn route(&mut self, topic: &str, partition: i32) -> Option<Route> {
        if self.routes.get(self.last_topic).is_none_or(|r| &*r.topic != topic) {
            self.last_topic = self.routes.iter().position(|r| &*r.topic == topic)?;
        }
        let by_partition = &self.routes[self.last_topic].by_partition;
        *by_partition.get(usize::try_from(partition).ok()?)?
    }

    /// The task of a route, if it runs.
    pub(super) fn running(&mut self, route: Route) -> Option<&mut Task> {
        let entry = &mut self.entries[route.entry];
        (entry.phase == Phase::Running).then_some(&mut entry.task)
    }

    pub(super) fn task_id(&self, route: Route) -> TaskId {
        self.entries[route.entry].task.id()
    }

    /// The partition that a route stands for.
    pub(super) fn partition_of(&self, route: Route) -> Option<&TopicPartition> {
        let task = &self.entries.get(route.entry)?.task;
        task.inputs().find_map(|(input, partition)| (input == route.input).then_some(partition))
    }

    pub(super) fn running_entries(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().filter(|e| e.phase == Phase::Running)
    }

    pub(super) fn running_tasks(&mut self) -> impl Iterator<Item = &mut Task> {
        self.running_entries().map(|e| &mut e.task)
    }

    pub(super) fn all_running(&self) -> bool {
        self.entries.iter().all(|e| e.phase == Phase::Running)
    }

    /// Something to commit.
    pub(super) fn needs_commit(&self) -> bool {
        self.entries.iter().any(|e| e.task.needs_commit())
    }

    pub(super) fn uncommitted_bytes(&self) -> usize {
        self.entries.iter().map(|e| e.task.uncommitted_bytes()).sum()
    }

    /// Records wait in the queues of some running task.
    pub(super) fn has_waiting(&self) -> bool {
        self.entries
            .iter()
            .filter(|e| e.phase == Phase::Running)
            .any(|e| e.task.input_count() > 1 && e.task.inputs().any(|(i, _)| e.task.queued(i) > 0))
    }

    /// Records wait in the queues of some running task, and it may process one.
    pub(super) fn has_ready(&mut self, now_ms: TimestampMs) -> bool {
        self.running_tasks().any(|task| {
            task.input_count() > 1 && matches!(task.readiness(now_ms), Readiness::Ready { .. })
        })
    }

    /// The inputs of running tasks with several that have room in their queues, and how much.
    pub(super) fn inputs_with_room(&self) -> Vec<(Route, TopicPartition, usize)> {
        let mut with_room = Vec::new();
        for (at, entry) in self.entries.iter().enumerate() {
            if entry.phase != Phase::Running || entry.task.input_count() < 2 {
                continue;
            }
            for (input, partition) in entry.task.inputs() {
                let room = entry.task.room(input);
                if room > 0 {
                    with_room.push((Route { entry: at, input }, partition.clone(), room));
                }
            }
        }
        with_room
    }

    /// The inputs of tasks with several.
    pub(super) fn inputs_of_several(&self) -> Vec<TopicPartition> {
        let several = self.entries.iter().filter(|entry| entry.task.input_count() > 1);
        several.flat_map(|entry| entry.task.inputs().map(|(_, p)| p.clone())).collect()
    }
}
