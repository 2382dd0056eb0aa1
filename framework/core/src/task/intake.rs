//! Records in: with one input at once, with several by their times, one after another.

use super::activity::Doing;
use super::context::{Collector, Context, InHand};
use super::failed::SourceBytes;
use super::input::Input;
use super::readiness::{Readiness, decide};
use super::run::{InputId, Task};
use super::source::RawRecord;
use crate::TopicPartition;
use crate::error::TaskError;
use crate::record::{RecordMetadata, TimestampMs};

impl Task {
    /// Takes a record in. With one input it is processed at once, otherwise it waits in its
    /// queue for [`Self::process_ready`].
    ///
    /// # Errors
    /// Any; the task must then be dropped.
    pub fn add_record(
        &mut self,
        input: InputId,
        raw: RawRecord<'_>,
        now_ms: TimestampMs,
        collector: &mut dyn Collector,
    ) -> Result<(), TaskError> {
        let single = self.inputs.len() == 1;
        let offset = raw.offset;
        let at = &mut self.inputs[input.0];
        if let Err(taken) = at.take(offset) {
            return Err(self.went_back(input, offset, taken));
        }
        self.state.wall_clock_ms = now_ms;
        self.doing = Doing::Record(input, offset);
        let bytes = SourceBytes { key: raw.key, value: raw.value };
        let Input { partition, ledger, queue, .. } = at;
        let partition = &*partition;
        let record = Some(InHand { input, partition, offset, ledger, bytes });
        let mut ctx = Context { state: &mut self.state, collector, record };
        let named = |error: TaskError| error.for_record(|| at_offset(partition, offset));
        if single {
            queue.process(&mut ctx, raw).map_err(named)?;
            self.processed(collector)?;
        } else {
            queue.enqueue(&mut ctx, raw).map_err(named)?;
            // Dropped, and nothing before it waits: the position has moved on.
            self.dirty |= queue.len() == 0;
        }
        self.doing = Doing::Nothing;
        Ok(())
    }

    /// The client has given everything that the broker has of an input: there was nothing at this
    /// offset. A record that comes in later ends it.
    ///
    /// While the end of an empty input is not known, a task with several inputs processes nothing, but
    /// with a `max_task_idle_ms` below 0.
    pub fn input_at_end(&mut self, input: InputId, offset: i64, now_ms: TimestampMs) {
        if let Some(input) = self.inputs.get_mut(input.0) {
            input.at_end(offset, now_ms);
        }
    }

    /// After a record.
    fn processed(&mut self, collector: &mut dyn Collector) -> Result<(), TaskError> {
        self.dirty = true;
        self.settle();
        if !self.state.schedules.is_empty() {
            self.punctuate_stream_time(collector)?;
        }
        Ok(())
    }

    /// Tells the ledgers what nodes have released.
    pub(super) fn settle(&mut self) {
        for held in self.state.released.drain(..) {
            if let Some(input) = self.inputs.get_mut(held.input.0) {
                input.ledger.release(held.offset);
            }
        }
    }

    /// To process a record again would count it twice, and the lower position would be committed.
    #[cold]
    fn went_back(&self, input: InputId, offset: i64, taken: i64) -> TaskError {
        let partition = &self.inputs[input.0].partition;
        TaskError::WentBack {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            offset,
            taken,
        }
    }

    /// Processes up to `max` waiting records, the smallest timestamp first, and says how many.
    ///
    /// # Errors
    /// Any; the task must then be dropped.
    pub fn process_ready(
        &mut self,
        max: usize,
        now_ms: TimestampMs,
        collector: &mut dyn Collector,
    ) -> Result<usize, TaskError> {
        if self.inputs.len() < 2 {
            return Ok(0);
        }
        self.state.wall_clock_ms = now_ms;
        for done in 0..max {
            match self.readiness(now_ms) {
                Readiness::Ready { input, enforced } => {
                    self.enforced += u64::from(enforced);
                    self.process_head(input, collector)?;
                }
                Readiness::Empty => return Ok(done),
                waits @ (Readiness::Fetching | Readiness::Idling { .. }) => {
                    tracing::trace!(task = %self.id(), ?waits, "an empty input is waited for");
                    return Ok(done);
                }
            }
        }
        Ok(max)
    }

    /// Whether a task with several inputs may process, or what it waits for.
    pub fn readiness(&mut self, now_ms: TimestampMs) -> Readiness {
        let facts = self.inputs.iter_mut().map(|input| input.fact(now_ms));
        decide(facts, self.config.max_task_idle_ms, now_ms)
    }

    fn process_head(
        &mut self,
        id: InputId,
        collector: &mut dyn Collector,
    ) -> Result<(), TaskError> {
        let input = &mut self.inputs[id.0];
        let offset = input.queue.head().map_or(-1, |head| head.offset);
        self.doing = Doing::Record(id, offset);
        let Input { partition, ledger, queue, .. } = input;
        let bytes = SourceBytes::default();
        let partition = &*partition;
        let record = Some(InHand { input: id, partition, offset, ledger, bytes });
        let mut ctx = Context { state: &mut self.state, collector, record };
        let done = queue.process_head(&mut ctx);
        done.map_err(|error| error.for_record(|| at_offset(partition, offset)))?;
        input.emptied(self.state.wall_clock_ms);
        self.processed(collector)?;
        self.doing = Doing::Nothing;
        Ok(())
    }

    /// Whether an input has so many records waiting that its partition should be paused.
    pub fn is_full(&self, input: InputId) -> bool {
        self.queued(input) >= self.config.buffered_records_per_partition
    }

    /// How many records more may wait for an input.
    pub fn room(&self, input: InputId) -> usize {
        self.config.buffered_records_per_partition.saturating_sub(self.queued(input))
    }

    /// Whether so few records wait for an input that its partition may flow again.
    pub fn is_half_empty(&self, input: InputId) -> bool {
        self.queued(input) <= self.config.buffered_records_per_partition / 2
    }

    /// How many records wait for one input.
    pub fn queued(&self, input: InputId) -> usize {
        self.inputs[input.0].queue.len()
    }
}

fn at_offset(partition: &TopicPartition, offset: i64) -> RecordMetadata {
    let TopicPartition { topic, partition } = partition;
    RecordMetadata { topic: topic.clone(), partition: *partition, offset }
}
