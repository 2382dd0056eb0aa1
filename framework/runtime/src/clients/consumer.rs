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
use oncestream_core::task::{OffsetMetadata, RawRecord};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::{assignment, context, native, offsets};
use crate::config::ClientSettings;
use crate::metrics::record_lag;

/// The question wakes and not its answer, so little is waited for one.
const WAKE_TIMEOUT: Duration = Duration::from_millis(200);

/// What the group decided about this member.
#[derive(Debug)]
pub(crate) enum Rebalance {
    /// These partitions are its own from now on.
    Assign(Vec<TopicPartition>),
    /// These partitions must be given up; what was processed can still be committed.
    Revoke(Vec<TopicPartition>),
    /// These partitions are gone; nothing can be committed.
    Lost(Vec<TopicPartition>),
}

#[derive(Default)]
pub(crate) struct RebalanceContext {
    events: Mutex<VecDeque<Rebalance>>,
    /// The last rebalance was told, and still waits for the assign or unassign call.
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

/// A committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) metadata: OffsetMetadata,
    /// Written by an application like this one, and not by another consumer or by hand.
    pub(crate) is_own: bool,
    /// Written by a reset that has not come to its end.
    pub(crate) is_resetting: bool,
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
    let found = client.committed_offsets(list(partitions.iter()), timeout)?;
    let of = |p: &TopicPartition| {
        let Some(e) = found.find_partition(&p.topic, p.partition) else { return Ok(None) };
        e.error()?;
        Ok(match e.offset() {
            Offset::Offset(offset) => Some(Committed {
                offset,
                metadata: OffsetMetadata::decode(e.metadata()),
                is_own: OffsetMetadata::is_own(e.metadata()),
                is_resetting: OffsetMetadata::is_resetting(e.metadata()),
            }),
            _ => None,
        })
    };
    partitions.iter().map(of).collect()
}

/// The consumer that is a member of the application's group.
pub(crate) struct GroupConsumer {
    client: BaseConsumer<RebalanceContext>,
    generation: RefCell<Option<Arc<ConsumerGroupMetadata>>>,
}

impl GroupConsumer {
    /// Makes the client and subscribes; it joins the group when it is polled.
    pub(crate) fn subscribe(
        settings: &ClientSettings,
        topics: &[String],
    ) -> Result<Self, KafkaError> {
        let client: BaseConsumer<RebalanceContext> =
            context::create(settings, RebalanceContext::default())?;
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        client.subscribe(&topics)?;
        Ok(Self { client, generation: RefCell::default() })
    }

    /// The next record, or an error of the client. A rebalance may be queued meanwhile.
    pub(crate) fn poll(
        &self,
        timeout: Duration,
    ) -> Option<Result<BorrowedMessage<'_>, KafkaError>> {
        self.client.poll(timeout)
    }

    /// The oldest rebalance not handled yet.
    pub(crate) fn next_rebalance(&self) -> Option<Rebalance> {
        self.client.context().events.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// The newest generation that the client has joined. It need not be the one that gave this
    /// member what was told last: see [`GroupConsumer::confirm`].
    pub(crate) fn newest_generation(&self) -> Option<ConsumerGroupMetadata> {
        // Without a member's id nobody would check it.
        self.client.group_metadata().filter(|_| self.member_id().is_some())
    }

    /// Takes note of the generation that gave this member its partitions; none is known after an
    /// assignment, until its coordinator has told.
    ///
    /// While an assignment waits for its answer, librdkafka 2.12 joins the group again if the topics
    /// of its subscription change, and tells no revocation before the next assignment
    /// (`rd_kafka_cgrp_revoke_all_rejoin`). So what is told may be of one generation and the client
    /// in the next.
    pub(crate) fn confirm(&self, generation: Option<ConsumerGroupMetadata>) {
        *self.generation.borrow_mut() = generation.map(Arc::new);
    }

    /// The group metadata of the generation that gave this member its partitions. The client may
    /// have joined another one since; the broker refuses what comes with this one then.
    pub(crate) fn group_metadata(&self) -> Option<Arc<ConsumerGroupMetadata>> {
        self.generation.borrow().clone()
    }

    /// The id that the group's coordinator gave to this member.
    pub(crate) fn member_id(&self) -> Option<String> {
        native::member_id(self.client.client())
    }

    /// What is committed for partitions, stable: a pending transaction's offsets are waited for.
    pub(crate) fn committed(
        &self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<Option<Committed>>, KafkaError> {
        committed(&self.client, partitions, timeout)
    }

    /// Takes partitions at the given offsets. What was fetched for them before is void.
    pub(crate) fn assign(&self, positions: &[(TopicPartition, i64)]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (p, offset) in positions {
            list.add_partition_offset(&p.topic, p.partition, Offset::Offset(*offset))?;
        }
        self.answered();
        assignment::assign(&self.client, &list)
    }

    /// Gives all partitions up.
    pub(crate) fn unassign(&self) -> Result<(), KafkaError> {
        self.answered();
        assignment::unassign(&self.client)
    }

    fn answered(&self) {
        self.client.context().unanswered.store(false, Ordering::Release);
    }

    /// Whether the assignment is gone, or changes with an event that was not handled yet.
    pub(crate) fn is_rebalancing(&self) -> bool {
        let events = self.client.context().events.lock().unwrap_or_else(PoisonError::into_inner);
        !events.is_empty() || self.client.assignment_lost()
    }

    pub(crate) fn pause<'a>(
        &self,
        partitions: impl Iterator<Item = &'a TopicPartition>,
    ) -> Result<(), KafkaError> {
        let list = list(partitions);
        if list.count() == 0 { Ok(()) } else { self.client.pause(&list) }
    }

    pub(crate) fn resume<'a>(
        &self,
        partitions: impl Iterator<Item = &'a TopicPartition>,
    ) -> Result<(), KafkaError> {
        let list = list(partitions);
        if list.count() == 0 { Ok(()) } else { self.client.resume(&list) }
    }

    /// Lets partitions that were just resumed be read at once.
    ///
    /// librdkafka 2.12 wakes the thread of a broker when a partition gets a position, but not when
    /// it is resumed: that thread sleeps on, for up to a second. A question to the leaders wakes
    /// theirs. Nothing else hangs on the answer.
    pub(crate) fn wake<'a>(&self, resumed: impl Iterator<Item = &'a TopicPartition>) {
        let mut list = list(resumed);
        if list.count() == 0 {
            return;
        }
        let asked = list
            .set_all_offsets(Offset::End)
            .and_then(|()| self.client.offsets_for_times(list, WAKE_TIMEOUT));
        if let Err(error) = asked {
            tracing::debug!(%error, "resumed partitions are read a little later");
        }
    }

    /// The end of a partition as this consumer sees it: if it reads committed, the last stable
    /// offset.
    pub(crate) fn end_offset(
        &self,
        partition: &TopicPartition,
        timeout: Duration,
    ) -> Result<i64, KafkaError> {
        offsets::end_offset(&self.client, partition, timeout)
    }

    /// Asks for all topics now, and not when the next refresh is due. If those it is subscribed to
    /// have changed, the client joins the group again; it takes in the answer by itself, so it is
    /// not waited for.
    pub(crate) fn look_for_topics(&self) {
        if let Err(error) = self.client.fetch_metadata(None, WAKE_TIMEOUT) {
            tracing::debug!(%error, "the topics of the subscription are not known");
        }
    }

    /// Commits positions to the group, outside any transaction, and waits for the answer.
    pub(crate) fn commit(&self, positions: &TopicPartitionList) -> Result<(), KafkaError> {
        self.client.commit(positions, rdkafka::consumer::CommitMode::Sync)
    }
}

impl Drop for GroupConsumer {
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

fn list<'a>(partitions: impl Iterator<Item = &'a TopicPartition>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for p in partitions {
        list.add_partition(&p.topic, p.partition);
    }
    list
}

/// A record of the client's, borrowed, as the engine takes it.
pub(crate) fn raw_record<'a>(message: &'a BorrowedMessage<'_>) -> RawRecord<'a> {
    let (headers, unreadable_headers) = native::headers(message);
    RawRecord {
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().unwrap_or(-1),
        key: message.key(),
        value: message.payload(),
        headers,
        unreadable_headers,
    }
}
