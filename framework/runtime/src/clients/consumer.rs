//! The group consumer of a worker.
//!
//! A rebalance is not handled inside the client's callback, where the worker's tasks cannot be
//! reached, but queued there and handled right after the poll that brought it. librdkafka waits
//! for the assign or unassign call meanwhile, and the member keeps its generation, so that the
//! last commit before a revocation is still its own.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oncestream_core::TopicPartition;
use oncestream_core::task::Position;
use oncestream_engine::ClientError;
use oncestream_engine::metrics::record_lag;
use oncestream_engine::ports::{Committed, GroupConsumer, Rebalance, Taken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata,
};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::native::KafkaMessage;
use super::queues::{Bell, Queues};
use super::verdict::client_error;
use super::{assignment, context, lists, native, offsets};
use crate::config::ClientSettings;

/// How long an answer is waited for that does not matter: librdkafka's thread wakes up when the
/// request is sent.
const WAKE_TIMEOUT: Duration = Duration::from_millis(200);
/// So many events are served at most before the worker goes on: rebalances wait for it, too.
const MAX_EVENTS: usize = 100;

#[derive(Default)]
pub(crate) struct RebalanceContext {
    events: Mutex<VecDeque<Rebalance>>,
    /// librdkafka has reported the last rebalance, which still waits for the assign or unassign call.
    unanswered: AtomicBool,
    /// The consumer is being closed: nobody will handle events any more.
    closing: AtomicBool,
}

impl ClientContext for RebalanceContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        context::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        context::error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        for (topic, known) in &statistics.topics {
            for (partition, known) in &known.partitions {
                // The client's own lag knows no offsets that a transaction committed. What has
                // no position yet is before its first record.
                let position =
                    if known.app_offset >= 0 { known.app_offset } else { known.next_offset };
                if known.fetch_state == "active" && position >= 0 && known.ls_offset >= 0 {
                    record_lag(topic, *partition, (known.ls_offset - position).max(0));
                }
            }
        }
    }
}

impl ConsumerContext for RebalanceContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        err: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Acquire) {
            if let Err(e) = consumer.unassign() {
                tracing::warn!(error = %e, "cannot give partitions up while closing");
            }
            return;
        }
        let list = partitions
            .elements()
            .iter()
            .map(|e| TopicPartition::new(e.topic(), e.partition()))
            .collect();
        let event = if err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            Rebalance::Assign(list)
        } else if consumer.assignment_lost() {
            Rebalance::Lost(list)
        } else {
            Rebalance::Revoke(list)
        };
        self.unanswered.store(true, Ordering::Release);
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
    }
}

/// What is committed for partitions, in their order; stable, if the client reads committed.
pub(super) fn committed<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> Result<Vec<Option<Committed>>, KafkaError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let found = client.committed_offsets(lists::of_partitions(partitions), timeout)?;
    let of = |p: &TopicPartition| {
        let Some(e) = found.find_partition(&p.topic, p.partition) else { return Ok(None) };
        e.error()?;
        Ok(match e.offset() {
            Offset::Offset(offset) => Some(Committed::new(offset, e.metadata())),
            _ => None,
        })
    };
    partitions.iter().map(of).collect()
}

/// A generation of the group, as the client library has it.
pub(crate) type Generation = Arc<ConsumerGroupMetadata>;

/// The consumer that is a member of the application's group.
pub(crate) struct KafkaConsumer {
    /// Before the client: the last one that keeps it is this, and closes it.
    queues: RefCell<Queues<RebalanceContext>>,
    client: Arc<BaseConsumer<RebalanceContext>>,
    client_id: String,
    /// Rings when one of the client's queues gets something.
    bell: Arc<Bell>,
}

impl KafkaConsumer {
    /// Makes the client and subscribes; it joins the group when it is polled.
    pub(crate) fn subscribe(
        settings: &ClientSettings,
        topics: &[String],
    ) -> Result<Self, KafkaError> {
        let mut client: BaseConsumer<RebalanceContext> =
            context::create(settings, RebalanceContext::default())?;
        let bell = Arc::new(Bell::default());
        let ringing = Arc::clone(&bell);
        client.set_nonempty_callback(move || ringing.ring());
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        client.subscribe(&topics)?;
        let client_id = settings.get("client.id").unwrap_or_default().to_owned();
        let client = Arc::new(client);
        let queues = RefCell::new(Queues::new(&client, Arc::clone(&bell))?);
        Ok(Self { queues, client, client_id, bell })
    }

    /// What is in the client's own queue. One poll serves one event: what is no error may have others
    /// behind it.
    fn poll_own(&self) -> Option<Result<BorrowedMessage<'_>, KafkaError>> {
        for _ in 0..MAX_EVENTS {
            let polled = self.client.poll(Duration::ZERO);
            if polled.is_some() || native::queued(self.client.client()) == 0 {
                return polled;
            }
        }
        None
    }

    /// What is at hand: first what was taken already, then events, then what was fetched.
    fn at_hand(&self) -> Option<Result<KafkaMessage<'_>, KafkaError>> {
        let mut queues = self.queues.borrow_mut();
        if queues.is_drained()
            && let Some(polled) = self.poll_own()
        {
            return Some(polled.map(KafkaMessage::from));
        }
        queues.next(&self.client)
    }

    fn answered(&self) {
        self.client.context().unanswered.store(false, Ordering::Release);
    }
}

impl GroupConsumer for KafkaConsumer {
    type Generation = Generation;
    type Message<'a> = KafkaMessage<'a>;

    fn poll(&self, timeout: Duration) -> Option<Result<KafkaMessage<'_>, ClientError>> {
        let polled = self.at_hand().or_else(|| {
            if timeout.is_zero() {
                return None;
            }
            // A wait inside the client would miss what comes to the other queues.
            self.bell.wait(timeout);
            self.at_hand()
        });
        Some(polled?.map_err(client_error))
    }

    fn take_apart(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.queues.borrow_mut().set_apart(&self.client, partitions).map_err(client_error)
    }

    fn take<E>(
        &self,
        partition: &TopicPartition,
        max: usize,
        each: impl FnMut(Taken<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        self.queues.borrow_mut().take(partition, max, each)
    }

    fn next_rebalance(&self) -> Option<Rebalance> {
        self.client.context().events.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// While an assignment waits for its answer, librdkafka 2.12 joins the group again if the topics
    /// of its subscription change, and reports no revocation before the next assignment
    /// (`rd_kafka_cgrp_revoke_all_rejoin`). So the assignment that it has reported may be of one
    /// generation, and the client in the next.
    fn newest_generation(&self) -> Option<Generation> {
        // Without a member's id nobody would check it.
        self.client.group_metadata().filter(|_| self.member_id().is_some()).map(Arc::new)
    }

    fn member_id(&self) -> Option<String> {
        native::member_id(self.client.client())
    }

    fn client_id(&self) -> String {
        self.client_id.clone()
    }

    fn committed(
        &self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<Option<Committed>>, ClientError> {
        committed(&self.client, partitions, timeout).map_err(client_error)
    }

    fn assign(&self, positions: &[(TopicPartition, i64)]) -> Result<(), ClientError> {
        let list = lists::at_offsets(positions).map_err(client_error)?;
        self.answered();
        let mut queues = self.queues.borrow_mut();
        queues.assign(&self.client, positions).map_err(client_error)?;
        assignment::assign(&self.client, &list).map_err(client_error)?;
        queues.assigned();
        Ok(())
    }

    fn unassign(&self) -> Result<(), ClientError> {
        self.answered();
        self.queues.borrow_mut().unassigned();
        assignment::unassign(&self.client).map_err(client_error)
    }

    fn is_rebalancing(&self) -> bool {
        let events = self.client.context().events.lock().unwrap_or_else(PoisonError::into_inner);
        !events.is_empty() || self.client.assignment_lost()
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.client.pause(&lists::of_partitions(partitions)).map_err(client_error)
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.client.resume(&lists::of_partitions(partitions)).map_err(client_error)
    }

    /// librdkafka 2.12 wakes the thread of a broker when a partition gets a position, but not when
    /// it is resumed: that thread sleeps on, for up to a second. A question to the leaders wakes
    /// theirs. Nothing else hangs on the answer.
    fn wake(&self, resumed: &[TopicPartition]) {
        if resumed.is_empty() {
            return;
        }
        let mut list = lists::of_partitions(resumed);
        let asked = list
            .set_all_offsets(Offset::End)
            .and_then(|()| self.client.offsets_for_times(list, WAKE_TIMEOUT));
        if let Err(error) = asked {
            tracing::debug!(%error, "resumed partitions are read a little later");
        }
    }

    fn end_offset(
        &self,
        partition: &TopicPartition,
        timeout: Duration,
    ) -> Result<i64, ClientError> {
        offsets::end_offset(&self.client, partition, timeout).map_err(client_error)
    }

    /// The client takes in the answer by itself, so it is not waited for.
    fn look_for_topics(&self) {
        if let Err(error) = self.client.fetch_metadata(None, WAKE_TIMEOUT) {
            tracing::debug!(%error, "the topics of the subscription are not known");
        }
    }

    fn commit(&self, positions: &[Position]) -> Result<(), ClientError> {
        lists::of_positions(positions)
            .and_then(|list| self.client.commit(&list, CommitMode::Sync))
            .map_err(client_error)
    }
}

impl Drop for KafkaConsumer {
    fn drop(&mut self) {
        // The client's own close polls until the group has let it go. It never does if a
        // rebalance that was told still waits for its answer. One that was not told yet is told
        // during the close and answered there: an answer ahead of it would let the group go while
        // the second waits for a reply that nobody gives any more.
        self.client.context().closing.store(true, Ordering::Release);
        if self.client.context().unanswered.load(Ordering::Acquire)
            && let Err(error) = self.unassign()
        {
            tracing::debug!(%error, "giving partitions up while closing");
        }
    }
}
