//! Why a record can never be produced, as far as that is known before a broker is asked.

use crate::topic_name::{NameFault, shown};

/// What is wrong with a record that a sink is about to write, or with where it is to go. The
/// production handler is asked, and is given this.
///
/// ```
/// use oncestream_core::error::Unproducible;
/// use oncestream_core::handlers::{ErrorHandlerContext, HandlerResponse};
/// use oncestream_core::task::Outgoing;
///
/// let handler = |_: &ErrorHandlerContext<'_>,
///                _: &Outgoing<'_>,
///                error: &(dyn std::error::Error + 'static)| {
///     match error.downcast_ref::<Unproducible>() {
///         Some(Unproducible::Timestamp { .. }) => HandlerResponse::resume(),
///         _ => HandlerResponse::fail(),
///     }
/// };
/// # fn takes(_: impl oncestream_core::handlers::ProductionExceptionHandler) {}
/// # takes(handler);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unproducible {
    /// The name that was chosen for its topic is none.
    #[error(
        "a record was to go to `{}`, which cannot be the name of a topic: {fault}; correct what chooses the topic",
        shown(topic)
    )]
    TopicName {
        /// The name.
        topic: String,
        /// What is wrong with it.
        fault: NameFault,
    },
    /// The partition that was chosen for it is none of its topic.
    #[error(
        "a record was to go to partition {partition} of topic {topic}, which has {partitions} partitions, counted from 0; correct what chooses the partition"
    )]
    Partition {
        /// The topic.
        topic: String,
        /// What was chosen.
        partition: i32,
        /// How many partitions the topic has.
        partitions: i32,
    },
    /// Its time cannot be sent: the client takes 0 for the present, and less is no time in Kafka.
    #[error(
        "a record for topic {topic} has timestamp {timestamp}, which cannot be sent, because librdkafka sends 0 as the present time and Kafka has no negative times; give the record a time of 1 ms or later"
    )]
    Timestamp {
        /// The topic.
        topic: String,
        /// The time, in milliseconds.
        timestamp: i64,
    },
}
