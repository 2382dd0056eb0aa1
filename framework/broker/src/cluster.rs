//! The state behind all nodes: topics, groups and transactions, and who answers for what.
//!
//! Changed under one lock, request by request; nothing here waits or reads a clock.

use std::collections::HashMap;
use std::time::Instant;

use kafka_protocol::error::ResponseError;

use crate::api::topic_settings;
use crate::error::BrokerError;
use crate::group::Groups;
use crate::log::{LogSettings, PartitionLog};
use crate::settings::BrokerSettings;
use crate::topics::settings::TopicSettings;
use crate::topics::{Partition, Topic, Topics, check_name};
use crate::transaction::{Ending, Transactions};

/// One address of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// A node that is down answers nobody, leads nothing and coordinates nothing.
    pub(crate) up: bool,
}

/// What a coordinator is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CoordinatorOf {
    Group,
    Transaction,
}

/// The moment of a request: for timeouts, and for timestamps in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) ms: i64,
}

/// The whole cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) settings: BrokerSettings,
    /// What clients know the cluster by.
    pub(crate) id: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) topics: Topics,
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    /// Coordinators that were moved away from where their names put them.
    moved: HashMap<(CoordinatorOf, String), i32>,
}

impl Cluster {
    pub(crate) fn new(settings: BrokerSettings, id: String, nodes: Vec<Node>) -> Self {
        let groups = Groups::new(settings.group());
        let transactions =
            Transactions::new(settings.transaction_max_timeout, settings.marker_delay);
        Self {
            settings,
            id,
            nodes,
            topics: Topics::default(),
            groups,
            transactions,
            moved: HashMap::new(),
        }
    }

    pub(crate) fn node(&self, id: i32) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    pub(crate) fn node_mut(&mut self, id: i32) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.id == id)
    }

    pub(crate) fn is_up(&self, id: i32) -> bool {
        self.node(id).is_some_and(|node| node.up)
    }

    /// The first node that is up, counted from `first` on.
    fn up_from(&self, first: i32) -> Option<i32> {
        let count = self.nodes.len() as i32;
        (0..count).map(|step| 1 + (first - 1 + step).rem_euclid(count)).find(|id| self.is_up(*id))
    }

    /// The node another one hands over to: the next that is up, itself if it is alone.
    fn next_up(&self, id: i32) -> i32 {
        self.up_from(id + 1).unwrap_or(id)
    }

    /// The node that coordinates the group or transactional id. `None` while no node is up.
    pub(crate) fn coordinator(&self, of: CoordinatorOf, key: &str) -> Option<i32> {
        let home = match self.moved.get(&(of, key.to_owned())) {
            Some(node) => *node,
            // Any spread will do: FNV-1a.
            None => {
                let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                });
                1 + (hash % self.nodes.len().max(1) as u64) as i32
            }
        };
        self.up_from(home)
    }

    /// Is `node` the coordinator? Others answer `NotCoordinator`.
    pub(crate) fn check_coordinator(
        &self,
        of: CoordinatorOf,
        key: &str,
        node: i32,
    ) -> Result<(), ResponseError> {
        if self.coordinator(of, key) == Some(node) {
            Ok(())
        } else {
            Err(ResponseError::NotCoordinator)
        }
    }

    /// Hands a group or transactional id to the next node.
    pub(crate) fn move_coordinator(&mut self, of: CoordinatorOf, key: &str, now: Now) {
        let Some(current) = self.coordinator(of, key) else { return };
        self.moved.insert((of, key.to_owned()), self.next_up(current));
        if of == CoordinatorOf::Group {
            self.groups.coordinator_moved(|group| group == key, now.instant);
        }
    }

    /// Hands a partition to the next node, with a new leader epoch. False if there is none.
    pub(crate) fn move_leader(&mut self, topic: &str, partition: i32) -> bool {
        let Some(current) = self.partition(topic, partition).map(|found| found.leader) else {
            return false;
        };
        let next = self.next_up(current);
        if let Ok((_, found)) = self.partition_mut(topic, partition) {
            found.leader = next;
            found.log.bump_leader_epoch();
        }
        true
    }

    /// Takes a node down: what it led and coordinated goes to others, if there are any.
    pub(crate) fn take_down(&mut self, id: i32, now: Now) {
        self.restart_coordinators(id, now);
        if let Some(node) = self.node_mut(id) {
            node.up = false;
        }
        let Some(heir) = self.up_from(id) else { return };
        for (_, topic) in self.topics.iter_mut() {
            for partition in topic.partitions.iter_mut().filter(|p| p.leader == id) {
                partition.leader = heir;
                partition.log.bump_leader_epoch();
            }
        }
    }

    /// Brings a node back.
    pub(crate) fn bring_up(&mut self, id: i32) {
        if let Some(node) = self.node_mut(id) {
            node.up = true;
        }
    }

    /// The node's coordinators forget who waits for them, as after a restart.
    pub(crate) fn restart_coordinators(&mut self, id: i32, now: Now) {
        let groups: Vec<String> = self.groups.list().into_iter().map(|g| g.group_id).collect();
        let mine = |group: &String| self.coordinator(CoordinatorOf::Group, group) == Some(id);
        let mine: Vec<String> = groups.into_iter().filter(mine).collect();
        self.groups.coordinator_moved(|group| mine.iter().any(|m| m == group), now.instant);
    }

    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.topics.get(topic)?.partition(partition)
    }

    pub(crate) fn partition_mut(
        &mut self,
        topic: &str,
        partition: i32,
    ) -> Result<(&TopicSettings, &mut Partition), ResponseError> {
        let Topic { settings, partitions, .. } =
            self.topics.get_mut(topic).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let index = usize::try_from(partition).ok();
        let found = index.and_then(|index| partitions.get_mut(index));
        Ok((settings, found.ok_or(ResponseError::UnknownTopicOrPartition)?))
    }

    /// Does `node` lead the partition, and does the client know it? An epoch of -1 is not checked.
    pub(crate) fn check_leader(
        &self,
        topic: &str,
        partition: i32,
        node: i32,
        client_epoch: i32,
    ) -> Result<&Partition, ResponseError> {
        let found =
            self.partition(topic, partition).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let epoch = found.log.leader_epoch();
        if client_epoch >= 0 && client_epoch < epoch {
            Err(ResponseError::FencedLeaderEpoch)
        } else if client_epoch > epoch {
            Err(ResponseError::UnknownLeaderEpoch)
        } else if found.leader != node {
            Err(ResponseError::NotLeaderOrFollower)
        } else {
            Ok(found)
        }
    }

    /// Checks a new topic's name; the sentence is Kafka's.
    pub(crate) fn check_new_topic(&self, name: &str) -> Result<(), (ResponseError, String)> {
        check_name(name).map_err(|why| (ResponseError::InvalidTopicException, why))?;
        if self.topics.get(name).is_some() {
            let why = format!("Topic '{name}' already exists.");
            return Err((ResponseError::TopicAlreadyExists, why));
        }
        if let Some(other) = self.topics.collides_with(name) {
            let why = format!("Topic '{name}' collides with existing topic: {other}");
            return Err((ResponseError::InvalidTopicException, why));
        }
        Ok(())
    }

    /// Checks and creates a topic with settings under Kafka's names.
    ///
    /// # Errors
    /// The name is taken or refused, or a setting is wrong.
    pub(crate) fn create_topic_with<'a>(
        &mut self,
        topic: &str,
        partitions: usize,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), BrokerError> {
        let failed = |reason| BrokerError::Topic { topic: topic.to_owned(), reason };
        let settings = settings.into_iter().map(|(name, value)| (name.into(), value.into()));
        let settings = topic_settings(&self.settings, settings.collect()).map_err(failed)?;
        self.check_new_topic(topic).map_err(|(_, reason)| failed(reason))?;
        self.create_topic(topic, partitions, settings);
        Ok(())
    }

    /// Creates a topic whose name was checked.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        partitions: usize,
        settings: TopicSettings,
    ) -> &mut Topic {
        let nodes = self.leaders();
        self.topics.create(name, partitions, settings, &nodes)
    }

    /// The nodes that may lead new partitions: those that are up, or all if none is.
    pub(crate) fn leaders(&self) -> Vec<i32> {
        let any_up = self.nodes.iter().any(|node| node.up);
        self.nodes.iter().filter(|node| node.up || !any_up).map(|node| node.id).collect()
    }

    /// Deletes a topic, with the offsets that groups have on it.
    pub(crate) fn delete_topic(&mut self, name: &str) -> bool {
        let deleted = self.topics.delete(name);
        if deleted {
            self.groups.forget_topic(name);
            self.transactions.forget_topic(name);
        }
        deleted
    }

    /// What time brings: sessions and transactions that end, markers that are due. True if
    /// something became readable: then whoever waits for it must be woken.
    #[must_use]
    pub(crate) fn tick(&mut self, now: Now) -> bool {
        self.groups.tick(now.instant);
        self.transactions.expire(now.instant);
        let due = self.transactions.take_due(now.instant);
        for ending in &due {
            self.write_markers(ending, now.ms);
        }
        !due.is_empty()
    }

    fn write_markers(&mut self, ending: &Ending, now_ms: i64) {
        let Ending { transactional_id, producer, commit, partitions, groups } = ending;
        for (topic, partition) in partitions {
            // A deleted topic needs no marker. A marker of an older epoch came too late.
            let Ok((_, found)) = self.partition_mut(topic, *partition) else { continue };
            let written = found.log.append_marker(producer.id, producer.epoch, 0, *commit, now_ms);
            if let Err(error) = written {
                tracing::warn!(topic, partition, transactional_id, %error, "marker refused");
            }
        }
        for group in groups {
            self.groups.end_transaction(group, producer.id, *commit);
        }
        self.transactions.complete(transactional_id);
    }

    /// Removes what retention and compaction let go, whether it is due or not.
    pub(crate) fn clean(&mut self, now_ms: i64) {
        self.each_log(|log, settings| {
            log.clean(settings, now_ms);
        });
    }

    /// Compacts what is due for it.
    pub(crate) fn compact(&mut self, now_ms: i64) {
        self.each_log(|log, settings| {
            if settings.compact {
                log.compact_if_due(settings, now_ms);
            }
        });
    }

    /// Removes what is too old or too much.
    pub(crate) fn apply_retention(&mut self, now_ms: i64) {
        self.each_log(|log, settings| {
            if settings.delete {
                log.apply_retention(settings, now_ms);
            }
        });
    }

    fn each_log(&mut self, mut each: impl FnMut(&mut PartitionLog, &LogSettings)) {
        for (_, topic) in self.topics.iter_mut() {
            let Topic { settings, partitions, .. } = topic;
            for partition in partitions {
                each(&mut partition.log, settings.log());
            }
        }
    }
}
