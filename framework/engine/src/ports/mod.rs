//! What a worker needs of the world: a member of a group, a producer, a reader of changelogs, the
//! cluster's topics, a place for stores, and a clock.
//!
//! A port does what it is asked, and decides nothing. Each invariant about a client library lives
//! beside the port on it.

mod changelog;
mod clock;
mod cluster;
mod consumer;
mod producer;
mod stores;

use std::sync::Arc;

pub use changelog::{ChangelogQueue, ChangelogReader, Fetched};
pub use clock::Clock;
pub use cluster::{Cluster, Group, GroupMember, Topics};
pub use consumer::{Committed, GroupConsumer, Message, Rebalance, Taken};
pub use producer::{DeliveryFailure, WorkerProducer};
pub use stores::Stores;

use crate::error::StreamsError;
use crate::participant::Participant;

/// What a group consumer reads: all of a topology's inputs.
#[derive(Clone, Debug, Default)]
pub struct Subscription {
    /// Topics by name, internal ones resolved.
    pub topics: Vec<Arc<str>>,
    /// Patterns that whole names of topics match, in the syntax of the crate `regex`.
    pub patterns: Vec<Arc<str>>,
}

/// One choice of all ports. Workers on threads of their own share it.
pub trait Ports {
    /// A generation of the group, as the broker checks it.
    type Generation: Clone;
    /// Reads inputs.
    type Consumer: GroupConsumer<Generation = Self::Generation>;
    /// Writes outputs.
    type Producer: WorkerProducer<Generation = Self::Generation>;
    /// Reads changelogs.
    type Changelogs: ChangelogReader;
    /// Knows topics and groups.
    type Cluster: Cluster;
    /// Tells the time.
    type Clock: Clock;

    /// Makes the consumer of a worker; it joins the group when it is polled.
    ///
    /// # Errors
    /// The client cannot be made, or cannot subscribe.
    fn consumer(
        &self,
        worker: usize,
        subscription: &Subscription,
    ) -> Result<Self::Consumer, StreamsError>;

    /// Makes the producer of a worker, with a transactional id under exactly once.
    ///
    /// # Errors
    /// The client cannot be made.
    fn producer(
        &self,
        worker: usize,
        transactional_id: Option<&str>,
    ) -> Result<Self::Producer, StreamsError>;

    /// Makes the reader of a worker's changelogs. It reads committed.
    ///
    /// # Errors
    /// The client cannot be made.
    fn changelogs(&self, worker: usize) -> Result<Self::Changelogs, StreamsError>;

    /// Makes the reader of the topics of global tables, for the whole instance. It reads committed, and
    /// [waits](ChangelogReader::wait) for records.
    ///
    /// # Errors
    /// The client cannot be made.
    fn globals(&self) -> Result<Self::Changelogs, StreamsError>;

    /// The cluster.
    fn cluster(&self) -> &Self::Cluster;

    /// The clock.
    fn clock(&self) -> &Self::Clock;

    /// The place for stores.
    fn stores(&self) -> &Arc<Stores>;

    /// The place for the stores of global tables, where tasks read them.
    fn global_stores(&self) -> &Arc<Stores> {
        self.stores()
    }

    /// What changes together with a worker's transactions beside its stores, in the order in which it
    /// is asked.
    fn participants(&self, worker: usize) -> Vec<Box<dyn Participant>> {
        let _ = worker;
        Vec::new()
    }
}
