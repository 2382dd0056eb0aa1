//! The one way back from every failure, carried out: abort or replace the producer, drop the tasks,
//! start them again from what is committed. The commit machine decides which way, and whether at all.
//!
//! Invariant: what is not committed is dropped with its tasks, and what is committed is where they
//! start again. Nothing is repaired in place.

use std::sync::atomic::Ordering;
use std::time::Duration;

use oncestream_core::commit::{Ending, Symptom};

use super::producing::{INIT_STEP, new_producer, transactional_id};
use super::sabotage::Bug;
use super::symptom::damaged_store;
use super::{Fact, Failure, Worker};
use crate::client_error::{ClientError, ClientFault as _};
use crate::error::StreamsError;
use crate::ports::{GroupConsumer, Ports, WorkerProducer};
use crate::verdict::Step;

impl<P: Ports> Worker<P> {
    /// Nothing of the transaction stays, in Kafka or here.
    pub(super) fn abort_and_restart(&mut self, pause: Duration) -> Result<Fact, StreamsError> {
        self.log_cause("aborting and starting the tasks again");
        let aborted = if Bug::NoAbort.is_planted() { Fact::Done } else { self.abort_transaction() };
        if matches!(aborted, Fact::Done) {
            self.restart_tasks(pause)?;
        }
        Ok(aborted)
    }

    pub(super) fn replace_and_restart(&mut self, pause: Duration) -> Result<Fact, StreamsError> {
        self.log_cause("replacing the producer and starting the tasks again");
        // Dropped first: two producers with one transactional id never live at a time.
        let lessons = self.producer.take().map(P::Producer::into_lessons);
        let Some(mut producer) = new_producer(&self.shared, self.index)? else {
            // On the way to the end none is needed: nothing is left to commit.
            self.drop_tasks();
            return Ok(Fact::Done);
        };
        if let Some(lessons) = lessons {
            producer.take_over(lessons);
        }
        self.producer = Some(producer);
        self.restart_tasks(pause)?;
        Ok(Fact::Done)
    }

    pub(super) fn abort_and_drop(&mut self) -> Fact {
        self.log_cause("aborting: the partitions are gone");
        self.drop_tasks();
        self.abort_transaction()
    }

    /// Finds out which records the broker refuses, so that the tasks can process theirs again and ask
    /// the production handler.
    pub(super) fn learn_refused(&mut self) -> Fact {
        match &mut self.producer {
            Some(producer) => {
                producer.learn_refused();
                Fact::Done
            }
            None => Fact::Failed(Failure::silent(Symptom::NoProducer)),
        }
    }

    /// Gives up the checkpoint of a damaged store, so that its task starts again with an empty store
    /// at the beginning of what it follows.
    pub(super) fn discard_damaged(&mut self) -> Fact {
        let damaged = match self.machine.cause() {
            Some(StreamsError::Task { task, source }) => {
                damaged_store(source).map(|store| (*task, store.to_owned()))
            }
            _ => None,
        };
        let Some((task, store)) = damaged else {
            return Fact::Failed(Failure::silent(Symptom::Fatal));
        };
        tracing::warn!(
            worker = self.index, %task, store, error = self.machine.cause().map(tracing::field::display),
            "a damaged store is rebuilt from its beginning"
        );
        match self.forget_checkpoint(task, &task.keyspace_name(&store)) {
            Ok(_) => Fact::Done,
            Err(error) => Fact::Failed(Failure::new(Symptom::Fatal, error)),
        }
    }

    /// Aborts the open transaction. At least once there is none, but records without an
    /// acknowledgement are waited for, or given up with their producer, so that none overtakes its
    /// repetition.
    fn abort_transaction(&mut self) -> Fact {
        self.metrics.aborts.increment(1);
        let in_doubt = || Fact::Failed(Failure::silent(Symptom::NoProducer));
        let Some(producer) = &self.producer else { return in_doubt() };
        if !self.shared.settings.is_exactly_once() {
            if !producer.await_deliveries(INIT_STEP) {
                // What it still holds is dropped with it; the tasks will send it again.
                return in_doubt();
            }
            drop(producer.take_changelogs());
            return Fact::Done;
        }
        if producer.purge(self.call_timeout()) {
            tracing::info!(
                worker = self.index,
                "a record may still arrive: a new producer fences it"
            );
            return in_doubt();
        }
        match self.abort_in_steps(producer) {
            Ok(()) => Fact::Done,
            Err(e) => {
                Fact::Failed(self.client_failed("aborting a transaction", e, Step::Transaction))
            }
        }
    }

    /// Aborts; gives up early once the application is to stop, for what is left open is fenced by
    /// the next start, or times out.
    fn abort_in_steps(&self, producer: &P::Producer) -> Result<(), ClientError> {
        let deadline = self.now() + self.call_timeout();
        loop {
            match producer.abort(INIT_STEP) {
                // The same call may be resumed after a time-out.
                Err(e)
                    if e.is_resumable()
                        && self.now() < deadline
                        && !self.shared.stop.load(Ordering::Acquire) => {}
                done => return done,
            }
        }
    }

    /// On the way to the end: what is open is aborted if that is possible. At least once, what was
    /// sent is given the time to arrive, dead letters above all.
    pub(super) fn abort_quietly(&mut self) {
        let Some(producer) = &self.producer else { return };
        if !self.shared.settings.is_exactly_once() {
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
    fn restart_tasks(&mut self, pause: Duration) -> Result<(), StreamsError> {
        self.drop_tasks();
        // A rebalance that waits to be handled decides what is assigned.
        if self.revoking || self.consumer.is_rebalancing() {
            self.joined = false;
            return Ok(());
        }
        self.sleep(pause);
        self.start_tasks()
    }

    pub(super) fn drop_tasks(&mut self) {
        self.restorer.cancel();
        self.tasks.clear();
        self.discard_prepared();
        self.waiting.clear();
        self.starts.clear();
    }

    fn log_cause(&self, then: &str) {
        match self.machine.cause() {
            Some(error) => tracing::warn!(worker = self.index, %error, "{then}"),
            None => tracing::warn!(worker = self.index, "{then}"),
        }
    }

    /// The error that a worker ends with.
    pub(super) fn stop_error(&mut self, ending: Ending) -> StreamsError {
        let fenced = || StreamsError::Fenced {
            transactional_id: transactional_id(&self.shared.settings, self.index),
        };
        match ending {
            Ending::AsItIs => self.machine.take_cause().unwrap_or_else(fenced),
            // What failed first is a consequence, and may name a record that is not at fault.
            Ending::Fenced => fenced(),
            Ending::Repeated(failures) => {
                let source = Box::new(self.machine.take_cause().unwrap_or_else(fenced));
                StreamsError::NoProgress { failures, source }
            }
            Ending::TooSlow => StreamsError::TooSlow {
                record: self.last_record(),
                timeout: self.shared.settings.transaction_timeout,
            },
        }
    }
}
