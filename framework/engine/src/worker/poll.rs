//! Intake: takes records from the consumer and hands them to their tasks. `inputs.rs` does it for tasks
//! with several inputs.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::commit::{Fact, Symptom};
use oncestream_core::error::TaskError;
use oncestream_core::graph::{NodeKind, SourceTopics};

use super::pace::Pace;
use super::tasks::Route;
use super::{Failure, Worker};
use crate::client_error::{ClientError, ClientFault as _};
use crate::error::StreamsError;
use crate::ports::{Clock, Cluster, GroupConsumer, Message, Ports, Topics};

/// How long the consumer is polled while a restore or an empty input is waited for.
const SHORT_WAIT: Duration = Duration::from_millis(2);

impl<P: Ports> Worker<P> {
    /// How long to wait for the first record: not at all while other work goes on, and shortly
    /// while it waits for something itself.
    fn poll_timeout(&mut self) -> Duration {
        let busy = std::mem::take(&mut self.busy);
        let is_starting = self.restorer.is_active() || !self.group.is_confirmed();
        if is_starting || self.tasks.has_waiting() {
            return if busy { Duration::ZERO } else { SHORT_WAIT };
        }
        let until_commit = self.times.next_commit().saturating_duration_since(self.now());
        let wait = self.shared.settings.poll.min(Duration::from_millis(100));
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
    fn is_passing(&self, error: &ClientError) -> bool {
        let is_named = |topic: &str| {
            let reader =
                self.shared.topology.reader_of(&self.shared.settings.application_id, topic);
            reader.is_none_or(|(_, node)| {
                let kind = &self.shared.topology.node(node).kind;
                !matches!(kind, NodeKind::Source(SourceTopics::Pattern(_)))
            })
        };
        let is_there = |there: Topics| {
            let assigned = self.assigned.iter();
            assigned.map(|p| &p.topic).all(|t| there.contains_key(t) || !is_named(t))
        };
        error.is_unsettled() && self.cluster().topics().map_or(true, is_there)
    }

    /// Takes records from the consumer, up to a bounded number, and processes them.
    pub(super) fn poll(&mut self) -> Result<(), StreamsError> {
        let mut timeout = self.poll_timeout();
        let mut now_ms = -1;
        let mut taken = 0_u64;
        let mut failed = None;
        let shared = Arc::clone(&self.shared);
        let (clock, most) = (shared.ports.clock(), shared.settings.records_per_turn);
        let mut pace = Pace::new(clock);
        let (mut processed, mut began) = (0, None);
        let room = self.machine.room();
        let consumer = Rc::clone(&self.consumer);
        while (taken as usize) < most && processed < room && !pace.is_past(self.times.next_commit())
        {
            let message = match consumer.poll(timeout) {
                None => break,
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    failed = self.read_failed(error)?;
                    break;
                }
            };
            if timeout > Duration::ZERO || now_ms < 0 {
                timeout = Duration::ZERO;
                now_ms = self.wall_clock_ms();
                began = began.or_else(|| Some(self.now()));
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
            let raw = message.record();
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
        let time = began.map_or(Duration::ZERO, |began| self.now() - began);
        self.times.add_work(time);
        let failed = failed.map(|failed| self.poll_failed(failed));
        match failed.or_else(|| self.delivery_failed()) {
            None => Ok(()),
            Some(failure) => self.report(Fact::Failed(failure)),
        }
    }

    /// What follows from an error of the consumer: nothing, because it will try again, or the tasks begin
    /// anew. Otherwise the error comes back.
    #[cold]
    pub(super) fn read_failed(&self, error: ClientError) -> Result<Option<Failed>, StreamsError> {
        if error.is_transient() || self.is_passing(&error) {
            tracing::warn!(worker = self.index, %error, "the consumer will try again");
            return Ok(None);
        }
        // A position that is not there: `positions` says where the tasks begin.
        if error.is_out_of_range() {
            return Ok(Some(Failed::Gone(error)));
        }
        Err(StreamsError::client("reading input topics", error))
    }

    #[cold]
    pub(super) fn poll_failed(&mut self, failed: Failed) -> Failure {
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

    /// Runs the wall-clock punctuations that are due.
    pub(super) fn punctuate(&mut self) -> Result<(), StreamsError> {
        let now_ms = self.wall_clock_ms();
        if !self.tasks.running_tasks().any(|t| t.is_punctuation_due(now_ms))
            || !self.ensure_open()?
        {
            return Ok(());
        }
        let began = self.now();
        let mut failed = None;
        if let Some(producer) = &mut self.producer {
            for task in self.tasks.running_tasks() {
                if let Err(source) = task.punctuate_wall_clock(now_ms, producer) {
                    failed = Some(StreamsError::Task { task: task.id(), source });
                    break;
                }
            }
        }
        self.times.add_work(self.shared.ports.clock().now() - began);
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
pub(super) enum Failed {
    /// The log has nothing at the position of an input.
    Gone(ClientError),
    Task(Route, TaskError),
    NotRunning(Route),
}
