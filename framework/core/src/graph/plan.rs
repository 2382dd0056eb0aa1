//! Which internal topics a topology needs, given the partition counts of its sources. Pure.
//!
//! Invariant: what is created is never taken back by a later plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::partitions::Width;
use super::{ChangelogConfig, GlobalTableDef, Graph, SubTopology, TopicRef};
use crate::error::TopologyError;

/// A repartition topic to create or check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepartitionTopic {
    /// Its name on the broker.
    pub topic: Arc<str>,
    /// Its number of partitions.
    pub partitions: i32,
}

/// A changelog topic to create or check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangelogTopic {
    /// Its name on the broker.
    pub topic: Arc<str>,
    /// Its number of partitions: the number of tasks of its sub-topology.
    pub partitions: i32,
    /// Extra topic settings.
    pub settings: BTreeMap<String, String>,
    /// How long its store keeps rows, in milliseconds, if they expire.
    pub retention_ms: Option<i64>,
}

/// All internal topics of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InternalTopics {
    /// Repartition topics.
    pub repartitions: Vec<RepartitionTopic>,
    /// Changelog topics.
    pub changelogs: Vec<ChangelogTopic>,
    /// Repartition and changelog topics whose partitions nobody knows yet, because the patterns
    /// they depend on match no topic. They are created when one comes.
    pub waiting: Vec<Arc<str>>,
}

impl InternalTopics {
    /// The name and the partition count of each topic that is to be there.
    pub fn topics(&self) -> impl Iterator<Item = (&Arc<str>, i32)> {
        let repartitions = self.repartitions.iter().map(|r| (&r.topic, r.partitions));
        repartitions.chain(self.changelogs.iter().map(|c| (&c.topic, c.partitions)))
    }
}

impl Graph {
    /// The changelog topic of a store.
    pub fn changelog_topic(application_id: &str, store: &str) -> Arc<str> {
        format!("{application_id}-{store}-changelog").into()
    }

    /// Computes the internal topics from the partition counts of the broker's topics.
    ///
    /// # Errors
    /// A source topic that is missing, inputs that are not co-partitioned, a repartition topic
    /// whose partition count depends on itself.
    pub fn internal_topics(
        &self,
        application_id: &str,
        counts: &BTreeMap<Arc<str>, i32>,
    ) -> Result<InternalTopics, TopologyError> {
        for sub in self.sub_topologies() {
            for topic in self.source_topics(sub) {
                if let TopicRef::User(name) = &topic
                    && !counts.contains_key(name)
                {
                    return Err(TopologyError::MissingSourceTopic { topic: name.to_string() });
                }
            }
        }
        let lacks = |table: &&GlobalTableDef| !counts.contains_key(&table.topic);
        if let Some(table) = self.global_tables().iter().find(lacks) {
            return Err(TopologyError::MissingSourceTopic { topic: table.topic.to_string() });
        }
        let counts = self.partition_counts(application_id, counts)?;
        let mut internal = InternalTopics::default();
        for def in self.repartitions() {
            let topic = def.topic.resolve(application_id);
            match counts.known.get(&topic) {
                Some(&partitions) => {
                    internal.repartitions.push(RepartitionTopic { topic, partitions });
                }
                None => internal.waiting.push(topic),
            }
        }
        for sub in self.sub_topologies() {
            let Width::Known(partitions) = self.width(sub, application_id, &counts) else {
                let logged = self.logged_stores(sub);
                let topics = logged.map(|(name, _)| Self::changelog_topic(application_id, name));
                internal.waiting.extend(topics);
                continue;
            };
            internal.changelogs.extend(self.logged_stores(sub).map(|(name, config)| {
                ChangelogTopic {
                    topic: Self::changelog_topic(application_id, name),
                    partitions,
                    settings: config.topic_settings.clone(),
                    retention_ms: config.retention_ms,
                }
            }));
        }
        Ok(internal)
    }

    fn logged_stores<'a>(
        &'a self,
        sub: &'a SubTopology,
    ) -> impl Iterator<Item = (&'a str, &'a ChangelogConfig)> {
        let stores = sub.stores.iter().filter_map(|name| self.store(name));
        stores.filter_map(|store| Some((&*store.name, store.changelog.as_ref()?)))
    }
}
