//! The one way back from every failure, and what each failure means.
//!
//! Invariant: what is not committed is dropped with its tasks, and what is committed is where they
//! start again. Nothing is repaired in place.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use oncestream_core::TaskId;
use oncestream_core::commit::{Disposition, Fact};
use oncestream_core::error::TaskError;
use oncestream_core::graph::Topology;
use rdkafka::error::KafkaError;

use super::Worker;
use super::producing::{INIT_STEP, new_producer, transactional_id};
use super::tasks::Route;
use super::trouble::{Cause, Ending};
use crate::clients::{
    DeliveryFailure, Step, WorkerProducer, is_consequence, is_of_instance, is_unknown_topic, judge,
};
use crate::error::StreamsError;

/// A producer that fails for good so many times in a row, without a commit, stops the worker.
const MAX_FATAL: u32 = 5;
/// The longest pause before tasks that keep failing are started again.
const MAX_BACKOFF: Duration = Duration::from_secs(1);

impl Worker {
    /// One way back from every failure: nothing of the transaction stays, in Kafka or here.
    pub(super) fn abort_and_restart(&mut self) -> Result<Fact, StreamsError> {
        self.log_failure("aborting and starting the tasks again");
        if let Some(fact) = self.abort_transaction() {
            return Ok(fact);
        }
        self.restart_tasks()?;
        Ok(Fact::Done)
    }

    pub(super) fn replace_and_restart(&mut self) -> Result<Fact, StreamsError> {
        self.log_failure("replacing the producer and starting the tasks again");
        // Dropped first: two producers with one transactional id never live at a time.
        let lessons = self.producer.take().map(WorkerProducer::into_lessons);
        let Some(mut producer) = new_producer(&self.shared, self.index)? else {
            // On the way to the end none is needed: nothing is left to commit.
            self.drop_tasks();
            return Ok(Fact::Done);
        };
        if let Some(lessons) = lessons {
            producer.take_over(lessons);
        }
        self.producer = Some(producer);
        self.restart_tasks()?;
        Ok(Fact::Done)
    }

    pub(super) fn abort_and_drop(&mut self) -> Fact {
        self.log_failure("aborting: the partitions are gone");
        self.drop_tasks();
        self.abort_transaction().unwrap_or(Fact::Done)
    }

    /// Aborts the open transaction; a fact if that failed. At least once there is none, but
    /// records without an acknowledgement are waited for, or given up with their producer, so that
    /// none overtakes its repetition.
    pub(super) fn abort_transaction(&mut self) -> Option<Fact> {
        self.metrics.aborts.increment(1);
        let Some(producer) = &self.producer else {
            return Some(Fact::Failed(Disposition::OutcomeUnknown));
        };
        if !self.shared.config.is_exactly_once() {
            if !producer.await_deliveries(INIT_STEP) {
                // What it still holds is dropped with it; the tasks will send it again.
                return Some(Fact::Failed(Disposition::OutcomeUnknown));
            }
            drop(producer.take_changelogs());
            return None;
        }
        let timeout = self.call_timeout();
        if producer.purge(timeout) {
            tracing::info!(
                worker = self.index,
                "a record may still arrive: a new producer fences it"
            );
            return Some(Fact::Failed(Disposition::OutcomeUnknown));
        }
        match self.abort_in_steps(producer) {
            Ok(()) => None,
            Err(e) => Some(self.client_failed("aborting a transaction", e, Step::Transaction)),
        }
    }

    /// Aborts; gives up early once the application is to stop, for what is left open is fenced by
    /// the next start, or times out.
    fn abort_in_steps(&self, producer: &WorkerProducer) -> Result<(), KafkaError> {
        let deadline = Instant::now() + self.call_timeout();
        loop {
            match producer.abort(INIT_STEP) {
                // The same call may be resumed after a time-out.
                Err(KafkaError::Transaction(e))
                    if e.is_retriable()
                        && Instant::now() < deadline
                        && !self.shared.stop.load(Ordering::Acquire) => {}
                done => return done,
            }
        }
    }

    /// On the way to the end: what is open is aborted if that is possible. At least once, what was
    /// sent is given the time to arrive, dead letters above all.
    pub(super) fn abort_quietly(&mut self) {
        let Some(producer) = &self.producer else { return };
        if !self.shared.config.is_exactly_once() {
            producer.await_deliveries(INIT_STEP);
            return;
        }
        // This producer is not used again, so what still arrives finds no transaction.
        producer.purge(self.call_timeout());
        if let Err(error) = self.abort_in_steps(producer) {
            tracing::warn!(worker = self.index, %error, "the open transaction is left to its timeout");
        }
    }

    /// Drops the tasks and, unless they are being given up, starts them again from what is
    /// committed.
    pub(super) fn restart_tasks(&mut self) -> Result<(), StreamsError> {
        self.drop_tasks();
        // A rebalance that waits to be handled decides what is assigned.
        if self.revoking || self.consumer.is_rebalancing() {
            self.joined = false;
            return Ok(());
        }
        self.failures += 1;
        if self.failures > 1 {
            let backoff = Duration::from_millis(20 << self.failures.min(10)).min(MAX_BACKOFF);
            std::thread::sleep(backoff);
        }
        self.start_tasks()
    }

    pub(super) fn drop_tasks(&mut self) {
        self.restorer.cancel();
        self.tasks.clear();
        self.batch.clear();
        self.paused.clear();
        self.waiting.clear();
        self.uncommitted_starts.clear();
        self.held_starts.clear();
    }

    /// The first delivery that failed, as a fact.
    pub(super) fn delivery_failed(&mut self) -> Option<Fact> {
        let producer = self.producer.as_ref()?;
        producer.poll();
        let failure = producer.failure()?;
        if let Some(fact) = self.refused_by_broker(&failure) {
            return Some(fact);
        }
        self.producer.as_mut()?.learn_failure(&failure);
        let failure = self.with_reason(failure);
        let fact = self.judge(&failure.error, Step::Delivery);
        self.error = Some(self.produce_error(failure));
        Some(fact)
    }

    /// Records that the client has thrown away tell no reason: what made it do so does.
    fn with_reason(&self, failure: DeliveryFailure) -> DeliveryFailure {
        match self.producer.as_ref().and_then(WorkerProducer::fatal) {
            Some(code) if is_consequence(&failure.error) => {
                DeliveryFailure { error: KafkaError::MessageProduction(code), ..failure }
            }
            _ => failure,
        }
    }

    /// A record that cannot be produced, told with the store where it is a changelog's.
    fn produce_error(&self, failure: DeliveryFailure) -> StreamsError {
        let DeliveryFailure { topic, partition, timestamp, error: source, .. } = failure;
        let application_id = self.shared.config.application_id();
        let topology = &self.shared.topology;
        let names = topology.sub_topologies().iter().flat_map(|sub| &sub.stores);
        let store = names
            .filter_map(|name| topology.store(name))
            .find(|def| *Topology::changelog_topic(application_id, &def.name) == *topic);
        match store {
            Some(def) => StreamsError::Changelog {
                store: def.name.to_string(),
                topic,
                partition,
                timestamp,
                source: Box::new(source),
            },
            None => StreamsError::Produce { topic, partition, timestamp, source },
        }
    }

    /// A record that the broker refuses for good: the transaction is lost, but with what is learnt
    /// here the tasks can process its records again and ask the production handler. `None` if
    /// there is no other failure, or no handler that might go on.
    fn refused_by_broker(&mut self, failure: &DeliveryFailure) -> Option<Fact> {
        let only_fails = self.shared.config.error_handlers().production.only_fails();
        if !failure.is_refusal || only_fails {
            return None;
        }
        if !self.producer.as_mut()?.learn_refused() {
            return None;
        }
        self.error = Some(self.produce_error(failure.clone()));
        // It gets further each time: no pause.
        self.failures = 0;
        Some(Fact::Failed(Disposition::AbortTransaction))
    }

    pub(super) fn task_failed(&mut self, route: Route, source: TaskError) -> Fact {
        let error = StreamsError::Task { task: self.tasks.task_id(route), source };
        self.classify_task_error(error)
    }

    /// A user's or a serde's fault stops; a producer's is judged by what it said.
    pub(super) fn classify_task_error(&mut self, error: StreamsError) -> Fact {
        let mut fact = Fact::Failed(Disposition::Fatal);
        if let StreamsError::Task { task, source } = &error
            && let Some(store) = damaged_store(source).map(str::to_owned)
        {
            return self.rebuild_store(*task, &store, error);
        }
        if let StreamsError::Task { source: TaskError::Send { source, .. }, .. } = &error
            && let Some(kafka) = source.downcast_ref::<KafkaError>()
        {
            // The failed delivery of an earlier record may have ended the task.
            let delivery = self.producer.as_ref().and_then(WorkerProducer::failure);
            // If not, it was refused when it was handed over, after all patience.
            let is_missing = delivery.is_none() && is_unknown_topic(kafka);
            if let Some(fact) = delivery.and_then(|failure| self.refused_by_broker(&failure)) {
                return fact;
            }
            if self.producer.as_ref().is_some_and(WorkerProducer::is_denied)
                && let Some(fact) = self.delivery_failed()
            {
                return fact;
            }
            if !is_missing {
                fact = self.judge(kafka, Step::Delivery);
            }
        }
        if let StreamsError::Task { source: TaskError::WentBack { .. }, .. } = &error {
            // The tasks go on from the committed offset, wherever that leads by now.
            fact = self.restore_unless_repeated(Cause::WentBack);
        }
        self.error = Some(self.named(error));
        fact
    }

    /// The tasks start again, unless that has happened too often for this cause.
    pub(super) fn restore_unless_repeated(&mut self, cause: Cause) -> Fact {
        let goes_on = self.trouble.may_go_on(cause);
        Fact::Failed(if goes_on { Disposition::RestoreTask } else { Disposition::Fatal })
    }

    /// A record that the client refuses at once is told like one that the broker refuses.
    fn named(&self, error: StreamsError) -> StreamsError {
        let StreamsError::Task { task, source: TaskError::Send { topic, source } } = error else {
            return error;
        };
        match source.downcast::<KafkaError>() {
            Ok(source) => self.produce_error(DeliveryFailure {
                topic,
                partition: -1,
                timestamp: -1,
                error: *source,
                is_refusal: false,
            }),
            Err(source) => StreamsError::Task { task, source: TaskError::Send { topic, source } },
        }
    }

    /// Damage that shows when a store is read: its checkpoint goes, so the task starts again with
    /// an empty store at the beginning of the changelog.
    fn rebuild_store(&mut self, task: TaskId, store: &str, error: StreamsError) -> Fact {
        tracing::warn!(worker = self.index, %task, store, %error, "a damaged store is rebuilt from its changelog");
        let forgotten = self.forget_checkpoint(task, &task.keyspace_name(store));
        match forgotten {
            Ok(_) => {
                self.error = Some(error);
                Fact::Failed(Disposition::RestoreTask)
            }
            Err(e) => {
                self.error = Some(e);
                Fact::Failed(Disposition::Fatal)
            }
        }
    }

    /// What to do about a client's error, in the light of what happened before.
    pub(super) fn judge(&mut self, error: &KafkaError, step: Step) -> Fact {
        let fatal = self.producer.as_ref().and_then(WorkerProducer::fatal);
        let mut found = judge(error, step, fatal).disposition();
        self.trouble.ending = Ending::AsItIs;
        if found == Disposition::Fenced && self.has_outlived() {
            // Its own time-out has ended the transaction, not a rival.
            let slow = self.trouble.worked >= self.shared.config.transaction_timeout();
            found = Disposition::Outlived { slow };
            if slow {
                self.trouble.ending = Ending::TooSlow;
            }
        }
        if found == Disposition::Fenced {
            self.trouble.ending = Ending::Fenced;
        }
        if is_of_instance(error) && self.consumer.is_rebalancing() {
            // No twin: the client itself has given the membership up, since it was not polled for
            // max.poll.interval.ms, and joins again.
            return Fact::Failed(Disposition::RestoreTask);
        }
        if fatal.is_some() && found == Disposition::OutcomeUnknown {
            self.fatal_producers += 1;
            if self.fatal_producers > MAX_FATAL {
                self.trouble.ending = Ending::Repeated(self.fatal_producers);
                found = Disposition::Fatal;
            }
        }
        let again = matches!(found, Disposition::AbortTransaction | Disposition::OutcomeUnknown);
        if again && !self.trouble.may_go_on_after(error) {
            found = Disposition::Fatal;
        }
        Fact::Failed(found)
    }

    /// Whether the broker may have ended the transaction by its timeout.
    fn has_outlived(&self) -> bool {
        let open_for = self.producer.as_ref().map_or(Duration::ZERO, WorkerProducer::open_for);
        self.shared.config.is_exactly_once() && open_for >= self.shared.config.transaction_timeout()
    }

    pub(super) fn client_failed(&mut self, action: &str, error: KafkaError, step: Step) -> Fact {
        let fact = self.judge(&error, step);
        self.error = Some(StreamsError::client(format!("worker {}: {action}", self.index), error));
        fact
    }

    pub(super) fn log_failure(&mut self, then: &str) {
        self.trouble.ending = Ending::AsItIs;
        match self.error.take() {
            Some(error) => {
                tracing::warn!(worker = self.index, %error, "{then}");
                self.trouble.told = Some(error);
            }
            None => tracing::warn!(worker = self.index, "{then}"),
        }
    }

    pub(super) fn stop_error(&mut self) -> StreamsError {
        let fenced = || StreamsError::Fenced {
            transactional_id: transactional_id(&self.shared, self.index),
        };
        let error = self.error.take().unwrap_or_else(fenced);
        match self.trouble.ending {
            Ending::AsItIs => error,
            // What failed first is a consequence, and may name a record that is not at fault.
            Ending::Fenced => fenced(),
            Ending::Repeated(failures) => {
                StreamsError::NoProgress { failures, source: Box::new(error) }
            }
            Ending::TooSlow => StreamsError::TooSlow {
                record: self.last_record(),
                timeout: self.shared.config.transaction_timeout(),
            },
        }
    }

    pub(super) fn last_record(&self) -> String {
        let last = self.trouble.last.and_then(|(route, offset)| {
            let partition = self.tasks.partition_of(route)?;
            Some(format!("{partition} at offset {offset}"))
        });
        last.unwrap_or_else(|| format!("of worker {}", self.index))
    }
}

/// The store that an error says is damaged.
fn damaged_store(error: &TaskError) -> Option<&str> {
    match error {
        TaskError::Backend { store, source } if source.damaged => Some(store),
        TaskError::Processor { source, .. } => {
            source.downcast_ref::<TaskError>().and_then(damaged_store)
        }
        _ => None,
    }
}
