//! The broker as its user holds it: start, look, disturb, stop.

mod builder;
#[cfg(test)]
mod tests;

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use tokio::sync::oneshot;

pub use builder::BrokerBuilder;

use crate::cluster::CoordinatorOf;
use crate::error::BrokerError;
use crate::fault::{Faults, RequestRecord};
use crate::log::{LogRecord, ProducerView};
use crate::server::{self, Shared};
use crate::view::ClusterView;

/// A broker inside this process. It stops when it is dropped; all it holds goes with it.
///
/// It has a thread of its own, so it may be used from async and from blocking code alike, and
/// many of them may live in one process.
///
/// # Example
///
/// ```
/// use oncestream_broker::Broker;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), oncestream_broker::BrokerError> {
/// let broker = Broker::builder().start().await?;
/// broker.create_topic("lines", 4)?;
/// println!("bootstrap.servers={}", broker.bootstrap_servers());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Broker {
    shared: Arc<Shared>,
    bootstrap_servers: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Broker {
    /// A broker with options.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::new()
    }

    /// Starts the thread that serves these listeners, one for each node.
    fn run(shared: Shared, listeners: Vec<TcpListener>) -> Result<Self, BrokerError> {
        let shared = Arc::new(shared);
        let addresses: Vec<String> = {
            let cluster = shared.cluster();
            cluster.nodes.iter().map(|node| format!("{}:{}", node.host, node.port)).collect()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| BrokerError::Thread { source })?;
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let serve = async move {
            for (node, listener) in (1..).zip(listeners) {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => {
                        tokio::spawn(server::listen(Arc::clone(&serving), node, listener));
                    }
                    Err(error) => tracing::error!(node, %error, "this node cannot listen"),
                }
            }
            tokio::spawn(server::keep_time(serving));
            // Ends when the broker is dropped, too.
            let _ = stopped.await;
        };
        let thread = std::thread::Builder::new()
            .name("oncestream-broker".to_owned())
            .spawn(move || runtime.block_on(serve))
            .map_err(|source| BrokerError::Thread { source })?;
        Ok(Self {
            shared,
            bootstrap_servers: addresses.join(","),
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The addresses of all nodes, `host:port` with commas between: a client's
    /// `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Creates a topic with Kafka's default settings.
    ///
    /// # Errors
    ///
    /// When the name is taken or no topic may have it.
    pub fn create_topic(&self, topic: &str, partitions: usize) -> Result<(), BrokerError> {
        self.create_topic_with(topic, partitions, [])
    }

    /// Creates a topic with settings, under Kafka's names.
    ///
    /// # Errors
    ///
    /// When the name is taken, no topic may have it, or a setting is wrong.
    pub fn create_topic_with<'a>(
        &self,
        topic: &str,
        partitions: usize,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), BrokerError> {
        self.shared.cluster().create_topic_with(topic, partitions, settings)
    }

    /// The plan of faults.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The log of requests, oldest first: the last 10,000, or as many as
    /// [`BrokerBuilder::keep_requests`] tells.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.faults.requests()
    }

    /// How many requests the broker has taken, or has taken since the log was emptied.
    pub fn request_count(&self) -> u64 {
        self.shared.faults.request_count()
    }

    /// Empties the log of requests, and counts them from 1 again.
    pub fn forget_requests(&self) {
        self.shared.faults.forget_requests();
    }

    /// The cluster at this moment.
    pub fn view(&self) -> ClusterView {
        ClusterView::of(&self.shared.cluster())
    }

    /// The records of a partition in the order of their offsets, control records and those of
    /// aborted transactions among them. Empty if there is no such partition.
    pub fn records(&self, topic: &str, partition: i32) -> Vec<LogRecord> {
        let cluster = self.shared.cluster();
        cluster.partition(topic, partition).map_or_else(Vec::new, |found| found.log.records())
    }

    /// Appends records to a partition without a client: key, value and timestamp in milliseconds
    /// of each. They are plain records, of no producer and no transaction.
    ///
    /// ```
    /// use oncestream_broker::Broker;
    ///
    /// let broker = Broker::builder().start_blocking()?;
    /// broker.create_topic("lines", 1)?;
    /// broker.append("lines", 0, [(Some("key"), Some("value"), 7)])?;
    /// assert_eq!(broker.records("lines", 0)[0].timestamp_ms, 7);
    /// # Ok::<(), oncestream_broker::BrokerError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When there is no such partition, or the topic does not take the records.
    pub fn append<B: AsRef<[u8]>>(
        &self,
        topic: &str,
        partition: i32,
        records: impl IntoIterator<Item = (Option<B>, Option<B>, i64)>,
    ) -> Result<(), BrokerError> {
        let failed =
            |reason: String| BrokerError::Append { topic: topic.to_owned(), partition, reason };
        let records: Vec<Record> = (0..)
            .zip(records)
            .map(|(offset, (key, value, timestamp))| plain_record(offset, key, value, timestamp))
            .collect();
        if records.is_empty() {
            return Ok(());
        }
        let mut batch = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut batch, &records, &options)
            .map_err(|error| failed(error.to_string()))?;
        {
            let now = self.shared.now();
            let cluster = &mut *self.shared.cluster();
            let (settings, found) =
                cluster.partition_mut(topic, partition).map_err(|e| failed(e.to_string()))?;
            let appended = found.log.append(&batch, settings.log(), now.ms);
            appended.map_err(|e| failed(format!("{} {}", e.error, e.message)))?;
        }
        self.shared.wake();
        Ok(())
    }

    /// Cuts all connections of a node, whose state is kept. Groups rejoin.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn restart_node(&self, node: i32) -> Result<(), BrokerError> {
        self.check_node(node)?;
        let now = self.shared.now();
        self.shared.cluster().restart_coordinators(node, now);
        self.shared.cut(node);
        Ok(())
    }

    /// Takes a node down: its connections are cut, new ones are refused, and what it led and
    /// coordinated goes to the others. With the last node Kafka is away.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn stop_node(&self, node: i32) -> Result<(), BrokerError> {
        self.check_node(node)?;
        let now = self.shared.now();
        self.shared.cluster().take_down(node, now);
        self.shared.cut(node);
        self.shared.wake();
        Ok(())
    }

    /// Brings a stopped node back.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn start_node(&self, node: i32) -> Result<(), BrokerError> {
        self.check_node(node)?;
        self.shared.cluster().bring_up(node);
        Ok(())
    }

    /// Lets a node stand still, as a process does that the system or a long garbage collection has
    /// stopped: its connections stand, and what clients send is taken when it goes on, in its order.
    /// Requests that it has taken before are answered.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn pause_node(&self, node: i32, paused: bool) -> Result<(), BrokerError> {
        self.check_node(node)?;
        self.shared.pause(node, paused);
        Ok(())
    }

    fn check_node(&self, node: i32) -> Result<(), BrokerError> {
        let cluster = self.shared.cluster();
        match cluster.node(node) {
            Some(_) => Ok(()),
            None => Err(BrokerError::Node { node, nodes: cluster.nodes.len() as i32 }),
        }
    }

    /// Hands a partition to the next node, with a new leader epoch; on a single node only the
    /// epoch changes. False if there is no such partition.
    pub fn move_leader(&self, topic: &str, partition: i32) -> bool {
        let moved = self.shared.cluster().move_leader(topic, partition);
        self.shared.wake();
        moved
    }

    /// Forgets what a partition knows of idempotent producers that have no transaction open in it:
    /// their epochs and the sequence numbers of their last batches. False if there is no such partition.
    ///
    /// A leader rebuilds this from its log and its snapshot file before it takes a record, so Kafka
    /// never does it; a batch that comes twice around it is written twice.
    pub fn forget_producers(&self, topic: &str, partition: i32) -> bool {
        let cluster = &mut *self.shared.cluster();
        let found = cluster.partition_mut(topic, partition);
        found.map(|(_, partition)| partition.log.forget_producers()).is_ok()
    }

    /// Makes a partition know these producers and no others, as a broker that starts and reads its
    /// snapshot file does: of each producer, its last batch alone is known. False if there is no such
    /// partition.
    ///
    /// ```
    /// use oncestream_broker::{Broker, ProducerView};
    ///
    /// let broker = Broker::builder().start_blocking()?;
    /// broker.create_topic("lines", 1)?;
    /// let mut producer = ProducerView::new(1000);
    /// (producer.epoch, producer.last_sequence, producer.last_offset) = (0, 41, 41);
    /// broker.restore_producers("lines", 0, &[producer.clone()]);
    /// assert_eq!(broker.view().partition("lines", 0).map(|p| &p.producers), Some(&vec![producer]));
    /// # Ok::<(), oncestream_broker::BrokerError>(())
    /// ```
    pub fn restore_producers(
        &self,
        topic: &str,
        partition: i32,
        producers: &[ProducerView],
    ) -> bool {
        let cluster = &mut *self.shared.cluster();
        let found = cluster.partition_mut(topic, partition);
        found.map(|(_, partition)| partition.log.restore_producers(producers)).is_ok()
    }

    /// Hands a group to another coordinator; on a single node its members only have to rejoin.
    pub fn move_group_coordinator(&self, group: &str) {
        let now = self.shared.now();
        self.shared.cluster().move_coordinator(CoordinatorOf::Group, group, now);
    }

    /// Hands a transactional id to another coordinator.
    pub fn move_transaction_coordinator(&self, transactional_id: &str) {
        let now = self.shared.now();
        self.shared.cluster().move_coordinator(CoordinatorOf::Transaction, transactional_id, now);
    }

    /// Throws a member out of its group, as if its session had timed out. `member` is its member
    /// id or its instance id. False if there is none.
    pub fn expire_member(&self, group: &str, member: &str) -> bool {
        let now = self.shared.now();
        self.shared.cluster().groups.expire_member(group, member, now.instant)
    }

    /// Aborts the open transaction of a transactional id and fences its producer, as if its
    /// timeout had passed. False if none is open.
    pub fn time_out_transaction(&self, transactional_id: &str) -> bool {
        let now = self.shared.now();
        let (fenced, changed) = {
            let cluster = &mut *self.shared.cluster();
            let fenced = cluster.transactions.fence(transactional_id, now.instant);
            (fenced, cluster.tick(now))
        };
        if changed {
            self.shared.wake();
        }
        fenced
    }

    /// Holds back the markers of all transactions that end from now on: they stay in
    /// `PrepareCommit` or `PrepareAbort`, and new ones are answered with
    /// `CONCURRENT_TRANSACTIONS`. `false` lets them through.
    pub fn hold_markers(&self, hold: bool) {
        self.shared.cluster().transactions.set_hold_markers(hold);
    }

    /// Removes what retention and compaction let go, now.
    pub fn clean(&self) {
        let now = self.shared.now();
        self.shared.cluster().clean(now.ms);
    }
}

fn plain_record<B: AsRef<[u8]>>(
    offset: i64,
    key: Option<B>,
    value: Option<B>,
    timestamp: i64,
) -> Record {
    let bytes = |bytes: Option<B>| bytes.map(|bytes| Bytes::copy_from_slice(bytes.as_ref()));
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset,
        // One batch: the encoder parts records whose sequences do not count with their offsets.
        sequence: NO_SEQUENCE.wrapping_add(offset as i32),
        timestamp,
        key: bytes(key),
        value: bytes(value),
        headers: IndexMap::new(),
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Lets the thread end: the receiver sees it closed.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
