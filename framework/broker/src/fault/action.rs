//! What a fault does to a request.

use std::time::Duration;

/// What happens to a request that a [`Fault`](crate::Fault) picks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The request is lost on its way: it is not applied, and the connection is closed.
    Disconnect,
    /// The same, but the connection stays open and silent until the client gives up.
    Drop,
    /// The request is applied, and the connection is closed before its answer: a lost
    /// acknowledgement.
    LoseAnswer,
    /// The same, but the connection stays open and silent until the client gives up.
    HoldAnswer,
    /// The request is applied after this time.
    Delay(Duration),
    /// The request is applied at once, and answered after this time.
    DelayAnswer(Duration),
    /// The request is applied when its fault is [removed](crate::Faults::remove), and not before.
    DelayUntilRemoved,
    /// The request is applied at once, and answered when its fault is removed.
    ///
    /// # Example
    ///
    /// ```
    /// use oncestream_broker::{Action, Api, Broker, Fault};
    ///
    /// let broker = Broker::builder().start_blocking()?;
    /// let fault = Fault::on(Api::JoinGroup).then(Action::DelayAnswerUntilRemoved);
    /// let joining = broker.faults().add(fault);
    /// // ... a consumer joins its group; whatever is to happen meanwhile happens ...
    /// broker.faults().remove(joining);
    /// # Ok::<(), oncestream_broker::BrokerError>(())
    /// ```
    DelayAnswerUntilRemoved,
    /// The request is not applied, and answered with this error code of Kafka's.
    Error(i16),
    /// The request is applied, and answered with this error code nevertheless, as in
    /// `NOT_ENOUGH_REPLICAS_AFTER_APPEND` (20) or `REQUEST_TIMED_OUT` (7).
    ErrorAfter(i16),
    /// The node is restarted before the request is applied: its state is kept, all its
    /// connections are lost, and so is the request.
    RestartNode,
    /// The partitions of the request get another leader and a new leader epoch; on a single node
    /// the leader stays, but the request is answered with `NOT_LEADER_OR_FOLLOWER`.
    MoveLeader,
    /// The group or transactional id of the request gets another coordinator; on a single node
    /// it stays, but the request is answered with `NOT_COORDINATOR`.
    MoveCoordinator,
    /// The member that sent the request is thrown out of its group, as if its session had timed
    /// out. Then the request is applied.
    ExpireMember,
    /// The transaction of the request's transactional id is aborted and its producer fenced, as
    /// if its timeout had passed. Then the request is applied.
    TimeOutTransaction,
    /// A `Fetch` is answered as by a replica that lags by so many records: a follower, or a new
    /// leader that does not know yet how far its followers are. Other requests are not disturbed.
    ///
    /// The high watermark, the last stable offset and the records are those of `records_ago` offsets
    /// before the end of each log, but not before its start; a batch lacks as a whole. Markers count:
    /// with 1, the marker at the end of a log lacks, and so its transaction is open as far as a
    /// reader of committed data can tell. A reader that has more already gets nothing, and waits for
    /// it no longer than its `max_wait_ms`. `ListOffsets` is asked of the leader, and tells the end
    /// there is.
    ///
    /// # Example
    ///
    /// ```
    /// use oncestream_broker::{Action, Api, Broker, Fault};
    ///
    /// let broker = Broker::builder().start_blocking()?;
    /// // The first three fetches of this consumer do not see the last transaction.
    /// let lag = Action::AnswerAsOf { records_ago: 1 };
    /// let fault = Fault::on(Api::Fetch).client_id("reader").times(3).then(lag);
    /// broker.faults().add(fault);
    /// # Ok::<(), oncestream_broker::BrokerError>(())
    /// ```
    AnswerAsOf {
        /// So many offsets before the end.
        records_ago: u64,
    },
}
