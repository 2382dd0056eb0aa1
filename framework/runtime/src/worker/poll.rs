//! Records in: from the consumer, from the queues of tasks with several inputs, and by the clock.

use std::time::{Duration, Instant};

use std::rc::Rc;

use oncestream_core::commit::{Fact, Symptom};
use oncestream_core::error::TaskError;
use oncestream_core::graph::{NodeKind, SourceTopics};
use oncestream_core::task::Task;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;

use super::tasks::Route;
use super::{Failure, Worker, wall_clock_ms};
use crate::clients::{WorkerProducer, is_out_of_range, is_transient, is_unsettled, raw_record};
use crate::error::StreamsError;
use crate::start::Topics;

/// At most so many records are processed before the commit and the restore are looked at.
const BATCH: usize = 500;
/// How long the consumer is polled while a restore or an empty input is waited for.
const SHORT_WAIT: Duration = Duration::from_millis(2);

impl Worker {
    /// How long to wait for the first record: not at all while other work goes on, and shortly
    /// while it waits for something itself.
    fn poll_timeout(&mut self) -> Duration {
        let busy = std::mem::take(&mut self.busy);
        let is_starting = self.restorer.is_active() || !self.group.is_confirmed();
        if is_starting || self.tasks.has_waiting() {
            return if busy { Duration::ZERO } else { SHORT_WAIT };
        }
        let until_commit = self.next_commit.saturating_duration_since(Instant::now());
        let wait = self.shared.config.poll().min(Duration::from_millis(100));
        // The client's clock has milliseconds; less would spin.
        if self.machine.is_open() {
            wait.min(until_commit.max(Duration::from_millis(1)))
        } else {
            wait
        }
    }

    /// A topic may look unknown for a moment while brokers come and go. It is unknown if a broker
    /// that is asked lists others without it. One that was read by a pattern may go: the group
    /// learns of it.
    fn is_passing(&self, error: &KafkaError) -> bool {
        let is_named = |topic: &str| {
            let reader = self.shared.topology.reader_of(self.shared.config.application_id(), topic);
            reader.is_none_or(|(_, node)| {
                let kind = &self.shared.topology.node(node).kind;
                !matches!(kind, NodeKind::Source(SourceTopics::Pattern(_)))
            })
        };
        let is_there = |there: Topics| {
            let assigned = self.assigned.iter();
            assigned.map(|p| &p.topic).all(|t| there.contains_key(t) || !is_named(t))
        };
        is_unsettled(error) && self.shared.admin.topics().map_or(true, is_there)
    }

    /// Takes up to [`BATCH`] records from the consumer and processes them.
    pub(super) fn poll(&mut self) -> Result<(), StreamsError> {
        let mut timeout = self.poll_timeout();
        let mut now_ms = -1;
        let mut taken = 0_u64;
        let mut failed = None;
        let mut pace = Pace::new();
        let (mut processed, mut began) = (0, None);
        let room = self.machine.room();
        let consumer = Rc::clone(&self.consumer);
        while (taken as usize) < BATCH && processed < room && !pace.is_past(self.next_commit) {
            let message = match consumer.poll(timeout) {
                None => break,
                Some(Ok(message)) => message,
                Some(Err(error)) if is_transient(&error) || self.is_passing(&error) => {
                    tracing::warn!(worker = self.index, %error, "the consumer will try again");
                    break;
                }
                // A position that is not there: the tasks begin anew, where `positions` says.
                Some(Err(error)) if is_out_of_range(&error) => {
                    failed = Some(Failed::Gone(error));
                    break;
                }
                Some(Err(error)) => {
                    return Err(StreamsError::client("reading input topics", error));
                }
            };
            if timeout > Duration::ZERO || now_ms < 0 {
                timeout = Duration::ZERO;
                now_ms = wall_clock_ms();
                began = began.or_else(|| Some(Instant::now()));
            }
            // Queued before its partition was given up.
            let Some(route) = self.tasks.route(message.topic(), message.partition()) else {
                continue;
            };
            if self.tasks.running(route).is_none() {
                failed = Some(Failed::NotRunning(route));
                break;
            }
            // A failure to begin starts the tasks again, and this record is read again.
            if !self.machine.is_open() && !self.ensure_open()? {
                break;
            }
            let (Some(task), Some(producer)) = (self.tasks.running(route), &mut self.producer)
            else {
                break;
            };
            let raw = raw_record(&message);
            self.last_taken = Some((route, raw.offset));
            processed += usize::from(task.input_count() == 1);
            if let Err(source) = task.add_record(route.input, raw, now_ms, producer) {
                failed = Some(Failed::Task(route, source));
                break;
            }
            taken += 1;
        }
        self.busy |= taken > 0;
        self.metrics.records_in.increment(taken);
        self.machine.processed(processed);
        self.worked += began.map_or(Duration::ZERO, |began| began.elapsed());
        let failed = failed.map(|failed| self.poll_failed(failed));
        match failed.or_else(|| self.delivery_failed()) {
            None => Ok(()),
            Some(failure) => self.report(Fact::Failed(failure)),
        }
    }

    #[cold]
    fn poll_failed(&mut self, failed: Failed) -> Failure {
        match failed {
            Failed::Gone(error) => {
                let error = StreamsError::client("reading input topics", error);
                Failure::new(Symptom::PositionGone, error)
            }
            Failed::Task(route, source) => self.task_failed(route, source),
            // Its partitions are paused, so this is a fault of ours or of the client. To drop the
            // record would lose it; what is committed is where it is read again.
            Failed::NotRunning(route) => {
                let task = self.tasks.task_id(route);
                tracing::error!(worker = self.index, %task, "a record came before its task runs");
                Failure::silent(Symptom::NotRunning)
            }
        }
    }

    /// Processes the records that wait in tasks with several inputs, and pauses partitions whose
    /// queue is full.
    pub(super) fn process_waiting(&mut self) -> Result<(), StreamsError> {
        if !self.tasks.has_waiting() || !self.ensure_open()? {
            return Ok(());
        }
        let now_ms = wall_clock_ms();
        let began = Instant::now();
        let mut failed = None;
        if let Some(producer) = &mut self.producer {
            for task in self.tasks.running_tasks() {
                let _span = tracing::debug_span!("task", id = %task.id()).entered();
                let most = BATCH.min(self.machine.room());
                match process_ready(task, now_ms, most, self.next_commit, producer) {
                    Ok(done) => {
                        self.busy |= done > 0;
                        self.machine.processed(done);
                    }
                    Err(source) => {
                        failed = Some(StreamsError::Task { task: task.id(), source });
                        break;
                    }
                }
            }
        }
        self.worked += began.elapsed();
        if let Some(error) = failed {
            let failure = self.classify_task_error(error);
            return self.report(Fact::Failed(failure));
        }
        let (full, ready) = self.tasks.back_pressure(&self.paused);
        let failed = |e| StreamsError::client("pausing partitions", e);
        self.consumer.pause(full.iter()).map_err(failed)?;
        self.consumer.resume(ready.iter()).map_err(failed)?;
        self.paused.extend(full);
        for partition in ready {
            self.paused.remove(&partition);
        }
        Ok(())
    }

    /// Runs the wall-clock punctuations that are due.
    pub(super) fn punctuate(&mut self) -> Result<(), StreamsError> {
        let now_ms = wall_clock_ms();
        if !self.tasks.running_tasks().any(|t| t.is_punctuation_due(now_ms))
            || !self.ensure_open()?
        {
            return Ok(());
        }
        let began = Instant::now();
        let mut failed = None;
        if let Some(producer) = &mut self.producer {
            for task in self.tasks.running_tasks() {
                if let Err(source) = task.punctuate_wall_clock(now_ms, producer) {
                    failed = Some(StreamsError::Task { task: task.id(), source });
                    break;
                }
            }
        }
        self.worked += began.elapsed();
        match failed {
            None => Ok(()),
            Some(error) => {
                let failure = self.classify_task_error(error);
                self.report(Fact::Failed(failure))
            }
        }
    }
}

/// Why records are taken no further.
enum Failed {
    /// The log has nothing at the position of an input.
    Gone(KafkaError),
    Task(Route, TaskError),
    NotRunning(Route),
}

/// Processes waiting records of one task, up to so many or until a commit is due.
fn process_ready(
    task: &mut Task,
    now_ms: i64,
    most: usize,
    next_commit: Instant,
    producer: &mut WorkerProducer,
) -> Result<usize, TaskError> {
    let mut done = 0;
    let mut pace = Pace::new();
    while done < most && !pace.is_past(next_commit) {
        if task.process_ready(1, now_ms, producer)? == 0 {
            break;
        }
        done += 1;
    }
    Ok(done)
}

/// Looks at the clock now and then: seldom while records are quick, at each record while they
/// are slow, so that slow records do not make a batch outlive its transaction.
struct Pace {
    every: u32,
    left: u32,
    first: bool,
    looked: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { every: 1, left: 1, first: true, looked: Instant::now() }
    }

    /// Whether `deadline` was over at the last look.
    fn is_past(&mut self, deadline: Instant) -> bool {
        self.left -= 1;
        if self.left > 0 {
            return false;
        }
        let now = Instant::now();
        let quick = now.duration_since(self.looked) < Duration::from_millis(1);
        self.every = if quick { (self.every * 2).min(64) } else { 1 };
        self.left = self.every;
        self.looked = now;
        // The first look is before the first record: one is always processed.
        !std::mem::take(&mut self.first) && now >= deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many records a batch takes whose deadline is over when it begins.
    fn taken(mut process: impl FnMut(&mut Pace)) -> usize {
        let (mut pace, deadline) = (Pace::new(), Instant::now());
        let mut taken = 0;
        while taken < 1000 && !pace.is_past(deadline) {
            process(&mut pace);
            taken += 1;
        }
        taken
    }

    #[test]
    fn a_late_batch_of_quick_records_ends_soon_and_one_of_slow_records_after_the_first() {
        let quick = taken(|_| {});
        assert!((1..=64).contains(&quick), "{quick}");
        let slow = taken(|pace| pace.looked -= Duration::from_millis(5));
        assert!((1..=3).contains(&slow), "{slow}");
    }

    #[test]
    fn a_batch_goes_on_until_its_deadline() {
        let (mut pace, deadline) = (Pace::new(), Instant::now() + Duration::from_secs(3600));
        assert!((0..10_000).all(|_| !pace.is_past(deadline)));
    }
}
