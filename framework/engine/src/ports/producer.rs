//! The port of a worker's producer, with its transaction, and what became of its records.

use std::collections::HashMap;
use std::time::Duration;

use oncestream_core::commit::CommitPermit;
use oncestream_core::task::{ChangelogId, Collector, Position};

use crate::client_error::ClientError;

/// The first record that could not be delivered.
#[derive(Clone, Debug)]
pub struct DeliveryFailure {
    /// Its topic.
    pub topic: String,
    /// Its partition; -1 where none was chosen.
    pub partition: i32,
    /// The time that is refused, in milliseconds; -1 where no time is.
    pub timestamp: i64,
    /// Why.
    pub error: ClientError,
    /// This record of a sink is at fault, or another in its batch.
    pub is_refusal: bool,
}

/// A producer, transactional under exactly once.
///
/// A record that cannot be handed over gives a [`ClientError`] in its box, or a
/// [`RecordRefused`](oncestream_core::task::RecordRefused) if the record is at fault.
pub trait WorkerProducer: Collector {
    /// A generation of the group, as the broker checks it.
    type Generation: Clone;
    /// What was learnt of records and topics that were refused.
    type Lessons;

    /// Settles what an earlier producer with this transactional id left open, and fences it. May be
    /// called again after a time-out, and goes on.
    ///
    /// # Errors
    /// The coordinator refuses it, or is away.
    fn init(&self, timeout: Duration) -> Result<(), ClientError>;

    /// Opens a transaction.
    ///
    /// # Errors
    /// The client cannot go on.
    fn begin(&mut self) -> Result<(), ClientError>;

    /// Adds offsets to the transaction.
    ///
    /// # Errors
    /// The coordinator refuses them, or the outcome is not known in time.
    fn send_offsets(
        &self,
        offsets: &[Position],
        group: &Self::Generation,
        timeout: Duration,
    ) -> Result<(), ClientError>;

    /// Commits. Taking the permit by value means: once per transaction, and only if all went well.
    ///
    /// # Errors
    /// It was refused, or the outcome is not known in time.
    fn commit(&self, permit: CommitPermit, timeout: Duration) -> Result<(), ClientError>;

    /// Gives up what has no acknowledgement yet; an abort would wait for it. True if a record of
    /// the open transaction may still arrive at the broker: it would be taken for one of the next
    /// transaction of this producer, so there must be none.
    fn purge(&self, timeout: Duration) -> bool;

    /// Aborts what is open. After [`Self::purge`], or it waits for acknowledgements.
    ///
    /// # Errors
    /// It was refused, or the outcome is not known in time.
    fn abort(&self, timeout: Duration) -> Result<(), ClientError>;

    /// For how long the broker may have had the transaction open; none if nothing was sent in it.
    fn open_for(&self) -> Duration;

    /// Serves acknowledgements without waiting.
    fn poll(&self);

    /// Sends what lingers, and waits until no record is without an acknowledgement or failure. False
    /// after `timeout`.
    fn await_deliveries(&self, timeout: Duration) -> bool;

    /// Serves a report of deliveries, or waits a moment for one.
    fn await_report(&self);

    /// The first failed delivery of the transaction.
    fn failure(&self) -> Option<DeliveryFailure>;

    /// Takes note of why a delivery failed, for the records that come next.
    fn learn_failure(&mut self, failure: &DeliveryFailure);

    /// Whether the transaction is lost because a topic may not be written to.
    fn is_denied(&self) -> bool;

    /// Takes in what the broker has refused since the last abort, so that the tasks may process
    /// their records again.
    fn learn_refused(&mut self);

    /// What goes over to the producer that replaces this one.
    fn into_lessons(self) -> Self::Lessons;

    /// Takes over what the producer before has learnt.
    fn take_over(&mut self, lessons: Self::Lessons);

    /// True once after a known refused record met its handler.
    fn take_refusal_applied(&mut self) -> bool;

    /// A commit succeeded.
    fn committed(&mut self);

    /// The changelog positions of the transaction that was just committed: the offset after the last
    /// record of each.
    fn take_changelogs(&self) -> HashMap<ChangelogId, i64>;

    /// The client's own fatal error.
    fn fatal(&self) -> Option<ClientError>;

    /// Records handed over since the last such call.
    fn take_sent(&mut self) -> u64;
}
