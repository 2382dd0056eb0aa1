//! Tells things with the same name apart: topics by their ids, members of a group by theirs.

use std::sync::Arc;
use std::time::Duration;

use oncestream_core::TopicPartition;
use oncestream_core::state::Incarnation;
use oncestream_engine::ports::{Group, GroupMember};
use rdkafka::error::KafkaError;

use super::super::patience::patiently;
use super::super::{native, offsets};
use super::controller::Attempts;
use super::{Admin, REQUEST_TIMEOUT, RETRY_EVERY, TOPIC_DEADLINE};

/// How long the coordinator of a group may take, until it is asked again. While any broker is away, it
/// takes that long.
const GROUP_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a look-up may take that can be done without.
const GLANCE_TIMEOUT: Duration = Duration::from_secs(2);

impl Admin {
    /// The bounds of many partitions: a glance that waits for no leader that is away.
    pub(crate) fn bounds(&self, partitions: &[TopicPartition]) -> Vec<Option<(i64, i64)>> {
        self.listen(Duration::ZERO);
        offsets::bounds(&self.lookup, partitions, GLANCE_TIMEOUT)
    }

    /// Which topics these are now: their ids, and the cluster's. An error comes with the topic that
    /// it is about.
    pub(crate) fn incarnations(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Incarnation>, (Arc<str>, KafkaError)> {
        self.incarnations_within(REQUEST_TIMEOUT, topics)
    }

    /// The same. No attempt begins later than `patience` from now.
    pub(super) fn incarnations_within(
        &self,
        patience: Duration,
        topics: &[Arc<str>],
    ) -> Result<Vec<Incarnation>, (Arc<str>, KafkaError)> {
        let client = self.client.inner();
        let names: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
        let mut attempts = Attempts::new(self, "asking for the ids of topics", patience);
        let ids = loop {
            match native::topic_ids(client, &names, attempts.timeout()) {
                Ok(ids) => break ids,
                Err(e) if attempts.again(&e) => std::thread::sleep(RETRY_EVERY),
                Err(e) => return Err((topics.first().cloned().unwrap_or_default(), e)),
            }
        };
        let cluster = client.fetch_cluster_id(REQUEST_TIMEOUT).unwrap_or_default();
        let cluster: Arc<str> = cluster.into();
        let incarnation = |(topic, id): (&Arc<str>, Result<u128, KafkaError>)| match id {
            Ok(topic) => Ok(Incarnation { cluster: cluster.clone(), topic }),
            Err(error) => Err((topic.clone(), error)),
        };
        topics.iter().zip(ids).map(incarnation).collect()
    }

    /// A group as its coordinator sees it.
    pub(crate) fn group(&self, group: &str) -> Result<Group, KafkaError> {
        native::describe_group(self.client.inner(), group, GROUP_TIMEOUT)
    }

    /// The members of a group; none of one that is not there.
    pub(crate) fn members_of(&self, group: &str) -> Result<Vec<GroupMember>, KafkaError> {
        let ask = || native::describe_group(self.client.inner(), group, REQUEST_TIMEOUT);
        Ok(patiently(TOPIC_DEADLINE, ask)?.members)
    }

    /// The names of all groups that this user may see.
    pub(crate) fn groups(&self) -> Result<Vec<String>, KafkaError> {
        let ask = || self.client.inner().fetch_group_list(None, REQUEST_TIMEOUT);
        let found = patiently(TOPIC_DEADLINE, ask)?;
        Ok(found.groups().iter().map(|group| group.name().to_owned()).collect())
    }
}
