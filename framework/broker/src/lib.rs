//! An embedded broker that speaks Kafka's protocol, for tests and demos.
//!
//! It runs inside the process, starts in milliseconds, keeps everything in memory, and has what a
//! test of exactly once needs: idempotent producers, transactions with markers and the last stable
//! offset, consumer groups, fencing, and faults on demand. Any Kafka client can use it.
//!
//! It is judged by behaving as Apache Kafka 4.3.1 does, wherever it answers at all. It is no
//! replacement for Kafka: nothing is stored, nothing is replicated, and nobody is authenticated.
//!
//! ```
//! use oncestream_broker::{Action, Api, Broker, Fault};
//!
//! let broker = Broker::builder().start_blocking()?;
//! broker.create_topic("payments", 4)?;
//! // The first record is stored, but its acknowledgement is lost.
//! broker.faults().add(Fault::on(Api::Produce).topic("payments").then(Action::LoseAnswer));
//! // ... a client at broker.bootstrap_servers() produces ...
//! println!("{:#?}", broker.view().partition("payments", 0));
//! # Ok::<(), oncestream_broker::BrokerError>(())
//! ```
//!
//! A client that shares the process can do without sockets: [`LocalBroker`] takes requests by calls,
//! and its time goes by hand.
//!
//! # What is different from Apache Kafka
//!
//! - Nodes share their data, so a leader that moves has every record, and acknowledgements of one
//!   and of all replicas are the same.
//! - Offsets and transactions are not kept in topics of their own: `__consumer_offsets` and
//!   `__transaction_state` do not exist.
//! - Groups speak the classic protocol; the one of KIP-848 is not announced, and clients that ask
//!   for it are refused. Transactions are those of the first generation (`transaction.version` 1).
//! - There is no security, no quota, no tiered storage, no share group.
//! - `auto.create.topics.enable` is `false`, `group.initial.rebalance.delay.ms` is 0, and a
//!   session may be as short as 1 ms.

mod api;
mod broker;
#[cfg(test)]
mod client;
mod clock;
mod cluster;
mod error;
mod fault;
mod group;
mod local;
mod log;
mod server;
mod settings;
mod topics;
mod transaction;
mod view;

pub use broker::{Broker, BrokerBuilder};
pub use error::BrokerError;
pub use fault::{
    Action, AnswerBody, Api, BatchSent, Fault, FaultId, Faults, Fetched, RequestBody, RequestRecord,
};
pub use group::{CommittedOffset, GroupState, GroupView, MemberView};
pub use local::{ConnectionLost, LocalBroker, LocalConnection, PendingAnswer};
pub use log::{
    BatchProducer, ControlKind, LogRecord, NewRecord, ProducerView, ReadBatches, read_batches,
    write_batch,
};
pub use transaction::{TransactionState, TransactionView};
pub use view::{ClusterView, NodeView, PartitionView};
