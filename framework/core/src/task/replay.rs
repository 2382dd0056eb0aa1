//! Processes the records of a table's topic again, to make its store: [`Replay`].
//!
//! A task of its own does it: the source, the table's node, the store, and nothing below. So a record that
//! was left out when it came first, because it had no key or could not be read, is left out again, by the
//! same code. Handlers are asked again; their dead letters were written the first time.

use std::rc::Rc;

use super::TaskConfig;
use super::builder::BuildError;
use super::context::{ChangelogId, Collector, Outgoing};
use super::node::Flushed;
use super::run::{InputId, Task};
use super::source::RawRecord;
use crate::error::{BoxError, TaskError};
use crate::graph::Graph;
use crate::state::{Backend, CacheBudget, WriteBatch};
use crate::{TaskId, TopicPartition};

/// Makes the store of a table again from the topic that the table reads: see
/// [`Graph::replay`](crate::graph::Graph::replay).
///
/// It writes the keyspace that the store has in its own task, which must not process records meanwhile.
#[derive(Debug)]
pub struct Replay {
    task: Task,
    input: InputId,
}

impl Replay {
    /// What makes a store of a task again from a partition of its table's topic. `None` if the store does not
    /// follow from a topic.
    ///
    /// # Errors
    /// Those of [`Task::new`].
    pub fn new(
        topology: &Graph,
        of: TaskId,
        store: &str,
        partition: &TopicPartition,
        config: &TaskConfig,
        backend: &dyn Backend,
    ) -> Result<Option<Self>, BuildError> {
        let Some(alone) = topology.replay(store) else { return Ok(None) };
        let id = TaskId::new(0, partition.partition);
        let partitions = std::slice::from_ref(partition);
        let budget = Rc::new(CacheBudget::new(0));
        let mut task = Task::new(&alone, id, partitions, config, backend, &budget, ChangelogId(0))?;
        task.state.task = of;
        let input = task.inputs().next().map(|(input, _)| input);
        Ok(input.map(|input| Self { task, input }))
    }

    /// Processes one record. They come in their order, each once.
    ///
    /// # Errors
    /// A handler fails on it, or the backend does. The store is then to be made by another replay.
    pub fn process(&mut self, raw: RawRecord<'_>, now_ms: i64) -> Result<(), TaskError> {
        self.task.add_record(self.input, raw, now_ms, &mut NoOutput)
    }

    /// An estimate of the bytes that are not flushed yet.
    pub fn uncommitted_bytes(&self) -> usize {
        self.task.uncommitted_bytes()
    }

    /// Adds what the records have made to a batch.
    ///
    /// # Errors
    /// When a serde refuses.
    pub fn flush(&mut self, batch: &mut WriteBatch) -> Result<(), TaskError> {
        // A table's node holds nothing.
        self.task.flush(&mut NoOutput, batch).map(|_: Flushed| ())
    }

    /// How many records were left out.
    pub fn dropped(&self) -> u64 {
        self.task.dropped()
    }

    /// The batch of the last [`Self::flush`] is in the backend.
    pub fn applied(&mut self) {
        self.task.committed();
    }
}

/// What a replay writes to: nothing.
struct NoOutput;

impl Collector for NoOutput {
    fn send(&mut self, _record: &Outgoing<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    fn partition_count(&mut self, _topic: &str) -> Result<i32, BoxError> {
        Ok(i32::MAX)
    }
}
