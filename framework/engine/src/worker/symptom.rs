//! Turns a failure into a fact for the commit machine: the symptom that was seen, and its error.
//!
//! It looks at errors and clocks. It does nothing, and it decides nothing.

use std::time::Duration;

use oncestream_core::commit::{Age, ClientFailure, Symptom};
use oncestream_core::error::TaskError;
use oncestream_core::graph::Graph;

use super::tasks::Route;
use super::{Failure, Worker};
use crate::client_error::{ClientError, ClientFault as _};
use crate::error::StreamsError;
use crate::ports::{DeliveryFailure, GroupConsumer, Ports, WorkerProducer};
use crate::verdict::Step;

impl<P: Ports> Worker<P> {
    /// A client's error in the light of what the worker knows.
    fn client_failure(&self, error: &ClientError, step: Step) -> ClientFailure {
        let fatal = self.producer.as_ref().and_then(P::Producer::fatal);
        ClientFailure {
            verdict: error.judge(step, fatal.as_ref()),
            code: error.code(),
            is_outage: error.is_outage(),
            producer_is_dead: fatal.is_some(),
            age: self.transaction_age(),
            is_rejoining: self.consumer.is_rebalancing(),
        }
    }

    /// Whether the broker may have ended the transaction by its timeout.
    fn transaction_age(&self) -> Age {
        let timeout = self.shared.settings.transaction_timeout;
        let open_for = self.producer.as_ref().map_or(Duration::ZERO, P::Producer::open_for);
        if self.shared.settings.is_exactly_once() && open_for >= timeout {
            Age::Outlived { slow: self.times.worked() >= timeout }
        } else {
            Age::InTime
        }
    }

    pub(super) fn client_failed(&self, action: &str, error: ClientError, step: Step) -> Failure {
        let symptom = Symptom::Client(self.client_failure(&error, step));
        let action = format!("worker {}: {action}", self.index);
        Failure::new(symptom, StreamsError::client(action, error))
    }

    /// The first delivery that failed.
    pub(super) fn delivery_failed(&mut self) -> Option<Failure> {
        let producer = self.producer.as_ref()?;
        producer.poll();
        let failure = producer.failure()?;
        if let Some(refused) = self.refused_by_broker(&failure) {
            return Some(refused);
        }
        self.producer.as_mut()?.learn_failure(&failure);
        let failure = self.with_reason(failure);
        let symptom = Symptom::Client(self.client_failure(&failure.error, Step::Delivery));
        Some(Failure::new(symptom, self.produce_error(failure)))
    }

    /// Records that the client has thrown away tell no reason: what made it do so does.
    fn with_reason(&self, failure: DeliveryFailure) -> DeliveryFailure {
        match self.producer.as_ref().and_then(P::Producer::fatal) {
            Some(error) if failure.error.is_consequence() => DeliveryFailure { error, ..failure },
            _ => failure,
        }
    }

    /// The error for a record that cannot be produced. If it is a changelog's, the error names the store.
    fn produce_error(&self, failure: DeliveryFailure) -> StreamsError {
        let DeliveryFailure { topic, partition, timestamp, error: source, .. } = failure;
        let application_id = &self.shared.settings.application_id;
        let topology = &self.shared.topology;
        let names = topology.sub_topologies().iter().flat_map(|sub| &sub.stores);
        let store = names
            .filter_map(|name| topology.store(name))
            .find(|def| *Graph::changelog_topic(application_id, &def.name) == *topic);
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
    /// the tasks can process its records again and ask the production handler. `None` if there is no
    /// handler that might go on.
    fn refused_by_broker(&self, failure: &DeliveryFailure) -> Option<Failure> {
        let only_fails = self.shared.settings.handlers.production.only_fails();
        if !failure.is_refusal || only_fails {
            return None;
        }
        Some(Failure::new(Symptom::RecordsRefused, self.produce_error(failure.clone())))
    }

    pub(super) fn task_failed(&mut self, route: Route, source: TaskError) -> Failure {
        let error = StreamsError::Task { task: self.tasks.task_id(route), source };
        self.classify_task_error(error)
    }

    /// A user's or a serde's fault stops; a producer's is judged by what it said.
    pub(super) fn classify_task_error(&mut self, error: StreamsError) -> Failure {
        let mut symptom = Symptom::Fatal;
        if let StreamsError::Task { source, .. } = &error
            && damaged_store(source).is_some()
        {
            return Failure::new(Symptom::StoreDamaged, error);
        }
        if let StreamsError::Task { source: TaskError::Send { source, .. }, .. } = &error
            && let Some(kafka) = source.downcast_ref::<ClientError>()
        {
            // The failed delivery of an earlier record may have ended the task.
            let delivery = self.producer.as_ref().and_then(P::Producer::failure);
            // If not, it was refused when it was handed over, after all patience.
            let is_missing = delivery.is_none() && kafka.is_unknown_topic();
            if let Some(refused) = delivery.and_then(|failure| self.refused_by_broker(&failure)) {
                return refused;
            }
            if self.producer.as_ref().is_some_and(P::Producer::is_denied)
                && let Some(failure) = self.delivery_failed()
            {
                return failure;
            }
            if !is_missing {
                symptom = Symptom::Client(self.client_failure(kafka, Step::Delivery));
            }
        }
        if let StreamsError::Task { source: TaskError::WentBack { .. }, .. } = &error {
            symptom = Symptom::WentBack;
        }
        Failure::new(symptom, self.named(error))
    }

    /// A record that the client refuses at once gets the same error as one that the broker refuses.
    fn named(&self, error: StreamsError) -> StreamsError {
        let StreamsError::Task { task, source: TaskError::Send { topic, at, source } } = error
        else {
            return error;
        };
        match source.downcast::<ClientError>() {
            Ok(source) => self.produce_error(DeliveryFailure {
                topic,
                partition: -1,
                timestamp: -1,
                error: *source,
                is_refusal: false,
            }),
            Err(source) => {
                StreamsError::Task { task, source: TaskError::Send { topic, at, source } }
            }
        }
    }

    pub(super) fn last_record(&self) -> String {
        let last = self.last_taken.and_then(|(route, offset)| {
            let partition = self.tasks.partition_of(route)?;
            Some(format!("{partition} at offset {offset}"))
        });
        last.unwrap_or_else(|| format!("of worker {}", self.index))
    }
}

/// The store that an error says is damaged.
pub(super) fn damaged_store(error: &TaskError) -> Option<&str> {
    match error {
        TaskError::Backend { store, source } if source.damaged => Some(store),
        TaskError::Processor { source, .. } => {
            source.downcast_ref::<TaskError>().and_then(damaged_store)
        }
        _ => None,
    }
}
