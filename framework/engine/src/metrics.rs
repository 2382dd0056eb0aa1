//! The metrics of an application, through the `metrics` facade. Install any recorder to see them.
//!
//! Counters are added to once per poll or commit, never per record. The thread of the global tables counts
//! under the worker `global`.
//!
//! | name | kind | labels | what it tells |
//! |---|---|---|---|
//! | `oncestream_records_in_total` | counter | `worker` | records taken from input topics |
//! | `oncestream_records_out_total` | counter | `worker` | records handed to the producer, changelogs included |
//! | `oncestream_records_dropped_total` | counter | `worker` | records that a task dropped: null keys, late records, duplicates of `deduplicate`, handlers |
//! | `oncestream_enforced_processing_total` | counter | `worker` | records processed while another input of their task was at its end and empty for longer than `max.task.idle.ms` |
//! | `oncestream_commits_total` | counter | `worker` | commits that succeeded |
//! | `oncestream_aborts_total` | counter | `worker` | transactions aborted, or given up |
//! | `oncestream_commit_seconds` | histogram | `worker` | from the start of a flush to the stores applied |
//! | `oncestream_transaction_seconds` | histogram | `worker` | from the first record of a transaction to its commit |
//! | `oncestream_restored_records_total` | counter | `store`, `partition` | records read to restore a store |
//! | `oncestream_restore_remaining` | gauge | `store`, `partition` | offsets still to read |
//! | `oncestream_uncommitted_bytes` | gauge | `worker` | estimate of what stores hold and no commit has written |
//! | `oncestream_suppression_buffer_records` | gauge | `store`, `partition` | keys that wait in the buffer of a `suppress`, as of the last commit |
//! | `oncestream_suppression_buffer_bytes` | gauge | `store`, `partition` | their size, where `max_bytes` limits it; nobody counts it elsewhere |
//! | `oncestream_suppression_emitted_total` | counter | `store`, `partition` | results emitted out of the buffer of a `suppress` |
//! | `oncestream_records_lag` | gauge | `topic`, `partition` | records between the position and the end; every `consumer.statistics.interval.ms` (10 s) |
//! | `oncestream_tasks` | gauge | `worker` | tasks assigned |

use std::time::Duration;

use oncestream_core::task::BufferReport;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// The handles of one worker.
pub(crate) struct WorkerMetrics {
    pub(crate) records_in: Counter,
    pub(crate) records_out: Counter,
    pub(crate) records_dropped: Counter,
    pub(crate) enforced: Counter,
    pub(crate) commits: Counter,
    pub(crate) aborts: Counter,
    commit_seconds: Histogram,
    transaction_seconds: Histogram,
    pub(crate) uncommitted_bytes: Gauge,
    pub(crate) tasks: Gauge,
}

impl WorkerMetrics {
    pub(crate) fn new(worker: usize) -> Self {
        let worker = worker.to_string();
        Self {
            records_in: counter!("oncestream_records_in_total", "worker" => worker.clone()),
            records_out: counter!("oncestream_records_out_total", "worker" => worker.clone()),
            records_dropped: counter!("oncestream_records_dropped_total", "worker" => worker.clone()),
            enforced: counter!("oncestream_enforced_processing_total", "worker" => worker.clone()),
            commits: counter!("oncestream_commits_total", "worker" => worker.clone()),
            aborts: counter!("oncestream_aborts_total", "worker" => worker.clone()),
            commit_seconds: histogram!("oncestream_commit_seconds", "worker" => worker.clone()),
            transaction_seconds: histogram!("oncestream_transaction_seconds", "worker" => worker.clone()),
            uncommitted_bytes: gauge!("oncestream_uncommitted_bytes", "worker" => worker.clone()),
            tasks: gauge!("oncestream_tasks", "worker" => worker),
        }
    }

    pub(crate) fn committed(&self, commit: Duration, transaction: Duration) {
        self.commits.increment(1);
        self.commit_seconds.record(commit.as_secs_f64());
        self.transaction_seconds.record(transaction.as_secs_f64());
    }
}

/// The handles of the global tables of an instance.
pub(crate) struct GlobalMetrics {
    pub(crate) records_in: Counter,
    pub(crate) records_dropped: Counter,
}

impl GlobalMetrics {
    pub(crate) fn new() -> Self {
        Self {
            records_in: counter!("oncestream_records_in_total", "worker" => "global"),
            records_dropped: counter!("oncestream_records_dropped_total", "worker" => "global"),
        }
    }
}

/// The handles of one store that is being restored.
pub(crate) struct RestoreMetrics {
    pub(crate) records: Counter,
    pub(crate) remaining: Gauge,
}

impl RestoreMetrics {
    pub(crate) fn new(store: &str, partition: i32) -> Self {
        let (store, partition) = (store.to_owned(), partition.to_string());
        Self {
            records: counter!("oncestream_restored_records_total", "store" => store.clone(), "partition" => partition.clone()),
            remaining: gauge!("oncestream_restore_remaining", "store" => store, "partition" => partition),
        }
    }
}

/// The handles of the buffer of a suppression, in one task.
pub(crate) struct BufferMetrics {
    store: String,
    partition: String,
    emitted: Counter,
    records: Gauge,
    /// Made when somebody counts.
    bytes: Option<Gauge>,
}

impl BufferMetrics {
    pub(crate) fn new(store: &str, partition: i32) -> Self {
        let (store, partition) = (store.to_owned(), partition.to_string());
        Self {
            emitted: counter!("oncestream_suppression_emitted_total", "store" => store.clone(), "partition" => partition.clone()),
            records: gauge!("oncestream_suppression_buffer_records", "store" => store.clone(), "partition" => partition.clone()),
            bytes: None,
            store,
            partition,
        }
    }

    /// Tells what is committed.
    pub(crate) fn tell(&mut self, report: &BufferReport) {
        self.emitted.increment(report.emitted);
        let Some(held) = report.buffered else { return };
        self.records.set(held.records as f64);
        let Some(bytes) = held.bytes else { return };
        let Self { store, partition, .. } = self;
        let gauge = self.bytes.get_or_insert_with(|| {
            gauge!("oncestream_suppression_buffer_bytes", "store" => store.clone(), "partition" => partition.clone())
        });
        gauge.set(bytes as f64);
    }
}

/// What waits of a task that has gone is told by who has the task now.
impl Drop for BufferMetrics {
    fn drop(&mut self) {
        self.records.set(0.0);
        if let Some(bytes) = &self.bytes {
            bytes.set(0.0);
        }
    }
}

/// How far the position on an input partition is behind its end. For the port that knows.
#[doc(hidden)]
pub fn record_lag(topic: &str, partition: i32, records: i64) {
    let (topic, partition) = (topic.to_owned(), partition.to_string());
    gauge!("oncestream_records_lag", "topic" => topic, "partition" => partition)
        .set(records as f64);
}
