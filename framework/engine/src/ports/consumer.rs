//! The port on the consumer, which is a member of the application's group.

use std::time::Duration;

use oncestream_core::TopicPartition;
use oncestream_core::task::{OffsetMetadata, Position, RawRecord};

use crate::client_error::ClientError;

/// What the group decided about this member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebalance {
    /// These partitions are its own from now on.
    Assign(Vec<TopicPartition>),
    /// These partitions must be given up; what was processed can still be committed.
    Revoke(Vec<TopicPartition>),
    /// These partitions are gone; nothing can be committed.
    Lost(Vec<TopicPartition>),
}

/// One thing of a partition that is taken apart.
#[derive(Debug)]
pub enum Taken<'a> {
    /// A record.
    Record(RawRecord<'a>),
    /// Behind all that was taken: there was nothing at this offset yet, as far as the broker knew that
    /// was asked.
    End {
        /// The offset.
        offset: i64,
    },
    /// The partition cannot be read.
    Failed(ClientError),
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The offset of the next record to process.
    pub offset: i64,
    /// What travels with it.
    pub metadata: OffsetMetadata,
    /// Written by an application like this one, and not by another consumer or by hand.
    pub is_own: bool,
    /// Written by a reset that has not come to its end.
    pub is_resetting: bool,
}

impl Committed {
    /// An offset with the text that was committed beside it.
    pub fn new(offset: i64, text: &str) -> Self {
        Self {
            offset,
            metadata: OffsetMetadata::decode(text),
            is_own: OffsetMetadata::is_own(text),
            is_resetting: OffsetMetadata::is_resetting(text),
        }
    }
}

/// A record where the client has it.
pub trait Message {
    /// Its topic.
    fn topic(&self) -> &str;
    /// Its partition.
    fn partition(&self) -> i32;
    /// The record, borrowed.
    fn record(&self) -> RawRecord<'_>;
}

/// A member of the group. It reads committed under exactly once.
///
/// A rebalance is queued, so that it does not interrupt the work on a record. Until the worker answers it
/// with [`assign`](Self::assign) or [`unassign`](Self::unassign), the member keeps its generation. So the
/// broker still accepts the last commit before a revocation.
pub trait GroupConsumer {
    /// A generation of the group, as the broker checks it.
    type Generation: Clone;
    /// A record of this client.
    type Message<'a>: Message
    where
        Self: 'a;

    /// The next record, or an error of the client. A rebalance may be queued meanwhile. It returns
    /// early, with nothing, once there is something of a partition that is taken apart.
    fn poll(&self, timeout: Duration) -> Option<Result<Self::Message<'_>, ClientError>>;

    /// Reads these partitions apart from now on, and no others. [`poll`](Self::poll) returns nothing of
    /// them. [`take`](Self::take) reads each by itself, and reports where it ends. What nobody takes stays
    /// with the client, which stops fetching when its queue is full.
    ///
    /// To be followed by [`assign`](Self::assign); what was apart before stays so until then.
    ///
    /// # Errors
    /// The client refuses it.
    fn take_apart(&self, partitions: &[TopicPartition]) -> Result<(), ClientError>;

    /// Gives what is at hand of a partition that is apart, up to so many things, and waits for nothing;
    /// says how much that was. What comes after an error of `each` stays.
    ///
    /// # Errors
    /// That of `each`.
    fn take<E>(
        &self,
        partition: &TopicPartition,
        max: usize,
        each: impl FnMut(Taken<'_>) -> Result<(), E>,
    ) -> Result<usize, E>;

    /// The oldest rebalance not handled yet.
    fn next_rebalance(&self) -> Option<Rebalance>;

    /// The newest generation that the client has joined; none without a member's id, because no broker
    /// would check it. It may be newer than the generation of the last rebalance that was returned.
    fn newest_generation(&self) -> Option<Self::Generation>;

    /// The id that the group's coordinator gave to this member.
    fn member_id(&self) -> Option<String>;

    /// What the member names itself.
    fn client_id(&self) -> String;

    /// What is committed for partitions, in their order; stable: a pending transaction's offsets are
    /// waited for.
    ///
    /// # Errors
    /// The coordinator is away, or a transaction is open on an offset for longer than `timeout`.
    fn committed(
        &self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<Option<Committed>>, ClientError>;

    /// Takes partitions at the given offsets. What was fetched for them before is void.
    ///
    /// # Errors
    /// The client refuses it.
    fn assign(&self, positions: &[(TopicPartition, i64)]) -> Result<(), ClientError>;

    /// Gives all partitions up.
    ///
    /// # Errors
    /// The client refuses it.
    fn unassign(&self) -> Result<(), ClientError>;

    /// Whether the assignment is gone, or changes with an event that was not handled yet.
    fn is_rebalancing(&self) -> bool;

    /// Stops reading partitions. Call it right after [`assign`](Self::assign), before something of them was
    /// polled: a client that reads ahead takes that for done, and goes on behind it when they are resumed.
    ///
    /// # Errors
    /// The client refuses it.
    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), ClientError>;

    /// Reads partitions again.
    ///
    /// # Errors
    /// The client refuses it.
    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), ClientError>;

    /// Lets partitions that were just resumed be read at once.
    fn wake(&self, resumed: &[TopicPartition]);

    /// The end of a partition as this consumer sees it: if it reads committed, the last stable
    /// offset.
    ///
    /// # Errors
    /// The leader does not answer in time.
    fn end_offset(&self, partition: &TopicPartition, timeout: Duration)
    -> Result<i64, ClientError>;

    /// Asks for all topics now, and not when the next refresh is due, and does not wait for the
    /// answer. If those it is subscribed to have changed, the client joins the group again.
    fn look_for_topics(&self);

    /// Commits positions to the group, outside any transaction, and waits for the answer.
    ///
    /// # Errors
    /// The coordinator refuses them, or is away.
    fn commit(&self, positions: &[Position]) -> Result<(), ClientError>;
}
