//! Which internal topics a topology needs, given the partition counts of its sources. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{NodeKind, SinkTopic, SubTopology, TopicRef, Topology};
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
}

/// All internal topics of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InternalTopics {
    /// Repartition topics.
    pub repartitions: Vec<RepartitionTopic>,
    /// Changelog topics.
    pub changelogs: Vec<ChangelogTopic>,
}

impl Topology {
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
        let mut counts = counts.clone();
        // What is there of our own is not asked: the sources decide.
        for def in self.repartitions() {
            counts.remove(&TopicRef::Repartition(def.name.clone()).resolve(application_id));
        }
        for sub in self.sub_topologies() {
            for topic in self.source_topics(sub) {
                if let TopicRef::User(name) = &topic
                    && !counts.contains_key(name)
                {
                    return Err(TopologyError::MissingSourceTopic { topic: name.to_string() });
                }
            }
        }
        let repartitions = self.repartition_counts(application_id, &mut counts)?;
        let mut changelogs = Vec::new();
        for sub in self.sub_topologies() {
            let inputs = self.input_counts(sub, application_id, &counts);
            let partitions = inputs.iter().map(|(_, n)| *n).max().unwrap_or(0);
            if !sub.stores.is_empty() && inputs.iter().any(|(_, n)| *n != partitions) {
                let topics = inputs.into_iter().map(|(t, n)| (t.to_string(), n)).collect();
                return Err(TopologyError::NotCopartitioned { topics });
            }
            for store in sub.stores.iter().filter_map(|name| self.store(name)) {
                let Some(config) = &store.changelog else { continue };
                changelogs.push(ChangelogTopic {
                    topic: Self::changelog_topic(application_id, &store.name),
                    partitions,
                    settings: config.topic_settings.clone(),
                });
            }
        }
        Ok(InternalTopics { repartitions, changelogs })
    }

    fn input_counts(
        &self,
        sub: &SubTopology,
        application_id: &str,
        counts: &BTreeMap<Arc<str>, i32>,
    ) -> Vec<(Arc<str>, i32)> {
        let reads = |topic: &str| {
            self.reader_of(application_id, topic).is_some_and(|(_, node)| sub.nodes.contains(&node))
        };
        counts.iter().filter(|(t, _)| reads(t)).map(|(t, n)| (t.clone(), *n)).collect()
    }

    /// Upstream first: a repartition topic is known once all inputs of its writers are known.
    fn repartition_counts(
        &self,
        application_id: &str,
        counts: &mut BTreeMap<Arc<str>, i32>,
    ) -> Result<Vec<RepartitionTopic>, TopologyError> {
        let mut open = Vec::new();
        for def in self.repartitions() {
            let topic = TopicRef::Repartition(def.name.clone());
            match def.partitions {
                Some(n) => drop(counts.insert(topic.resolve(application_id), n)),
                None => open.push(topic),
            }
        }
        while !open.is_empty() {
            let before = open.len();
            open.retain(|topic| {
                let mut partitions = 0;
                for sub in self.sub_topologies().iter().filter(|s| self.writes(s, topic)) {
                    let inputs = self.input_counts(sub, application_id, counts);
                    let all_known = self
                        .source_topics(sub)
                        .iter()
                        .all(|t| counts.contains_key(&t.resolve(application_id)));
                    if !all_known {
                        return true;
                    }
                    partitions = partitions.max(inputs.iter().map(|(_, n)| *n).max().unwrap_or(0));
                }
                counts.insert(topic.resolve(application_id), partitions.max(1));
                false
            });
            if open.len() == before {
                return Err(TopologyError::UnknownPartitionCount {
                    topic: open[0].resolve(application_id).to_string(),
                });
            }
        }
        Ok(self
            .repartitions()
            .iter()
            .map(|def| TopicRef::Repartition(def.name.clone()).resolve(application_id))
            .map(|topic| RepartitionTopic { partitions: counts[&topic], topic })
            .collect())
    }

    fn writes(&self, sub: &SubTopology, topic: &TopicRef) -> bool {
        sub.nodes.iter().any(
            |id| matches!(&self.node(*id).kind, NodeKind::Sink(SinkTopic::Topic(t)) if t == topic),
        )
    }
}
