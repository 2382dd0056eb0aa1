//! Which internal topics a topology needs, given the partition counts of its sources. Pure.
//!
//! Partitions are counted downstream: a sub-topology is as wide as its widest input. One that reads
//! nothing but patterns without a topic has no width yet, nor have the topics below it: they wait,
//! and the plan is made again when topics come.
//!
//! Invariant: what is created is never taken back by a later plan. That is why a repartition topic
//! that is there keeps its partitions if patterns feed it: their topics come and go, and records are
//! spread over it by their keys, however many partitions they come from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ChangelogConfig, NodeKind, SinkTopic, SubTopology, TopicRef, Topology};
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
    /// Repartition and changelog topics whose partitions nobody knows yet, because the patterns
    /// they depend on match no topic. They are created when one comes.
    pub waiting: Vec<Arc<str>>,
}

/// How many tasks a sub-topology has.
enum Width {
    /// As many as its widest input has partitions.
    Known(i32),
    /// Its patterns match nothing yet, and it reads nothing else that is there.
    Waiting,
    /// A repartition topic it reads is not planned yet.
    Open,
}

/// The partition counts of inputs, as far as the plan has come.
struct Counts {
    known: BTreeMap<Arc<str>, i32>,
    waiting: BTreeSet<Arc<str>>,
}

impl InternalTopics {
    /// The name and the partition count of each topic that is to be there.
    pub fn topics(&self) -> impl Iterator<Item = (&Arc<str>, i32)> {
        let repartitions = self.repartitions.iter().map(|r| (&r.topic, r.partitions));
        repartitions.chain(self.changelogs.iter().map(|c| (&c.topic, c.partitions)))
    }
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
        for sub in self.sub_topologies() {
            for topic in self.source_topics(sub) {
                if let TopicRef::User(name) = &topic
                    && !counts.contains_key(name)
                {
                    return Err(TopologyError::MissingSourceTopic { topic: name.to_string() });
                }
            }
        }
        let counts = self.repartition_counts(application_id, counts)?;
        let mut internal = InternalTopics::default();
        for def in self.repartitions() {
            let topic = TopicRef::Repartition(def.name.clone()).resolve(application_id);
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
            let inputs = self.input_counts(sub, application_id, &counts.known);
            if !sub.stores.is_empty() && inputs.iter().any(|(_, n)| *n != partitions) {
                let topics = inputs.into_iter().map(|(t, n)| (t.to_string(), n)).collect();
                return Err(TopologyError::NotCopartitioned { topics });
            }
            internal.changelogs.extend(self.logged_stores(sub).map(|(name, config)| {
                ChangelogTopic {
                    topic: Self::changelog_topic(application_id, name),
                    partitions,
                    settings: config.topic_settings.clone(),
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

    fn width(&self, sub: &SubTopology, application_id: &str, counts: &Counts) -> Width {
        let named = self.source_topics(sub).into_iter().map(|t| t.resolve(application_id));
        let is_open = |t: Arc<str>| !counts.known.contains_key(&t) && !counts.waiting.contains(&t);
        if named.into_iter().any(is_open) {
            return Width::Open;
        }
        let inputs = self.input_counts(sub, application_id, &counts.known);
        inputs.iter().map(|(_, n)| *n).max().map_or(Width::Waiting, Width::Known)
    }

    /// Upstream first: a repartition topic is known once all inputs of its writers are known.
    fn repartition_counts(
        &self,
        application_id: &str,
        counts: &BTreeMap<Arc<str>, i32>,
    ) -> Result<Counts, TopologyError> {
        let mut counts = Counts { known: counts.clone(), waiting: BTreeSet::new() };
        let mut open = Vec::new();
        for def in self.repartitions() {
            let topic = TopicRef::Repartition(def.name.clone());
            let name = topic.resolve(application_id);
            // What is there of our own is not asked unless patterns feed it: the sources decide.
            let there = counts.known.remove(&name).filter(|_| self.is_fed_by_a_pattern(&topic));
            match def.partitions.or(there) {
                Some(n) => drop(counts.known.insert(name, n)),
                None => open.push((topic, name)),
            }
        }
        while !open.is_empty() {
            let before = open.len();
            open.retain(|(topic, name)| {
                let mut widest = None;
                let mut waits = false;
                for sub in self.writers(topic) {
                    match self.width(sub, application_id, &counts) {
                        Width::Open => return true,
                        Width::Waiting => waits = true,
                        Width::Known(n) => widest = widest.max(Some(n)),
                    }
                }
                if waits && widest.is_none() {
                    counts.waiting.insert(name.clone());
                } else {
                    counts.known.insert(name.clone(), widest.unwrap_or(1));
                }
                false
            });
            if open.len() == before {
                let topic = open[0].1.to_string();
                return Err(TopologyError::UnknownPartitionCount { topic });
            }
        }
        Ok(counts)
    }

    fn is_fed_by_a_pattern(&self, topic: &TopicRef) -> bool {
        self.writers(topic).any(|sub| !self.source_patterns(sub).is_empty())
    }

    /// The sub-topologies that write to a topic.
    fn writers<'a>(&'a self, topic: &'a TopicRef) -> impl Iterator<Item = &'a SubTopology> {
        let writes = move |kind: &NodeKind| matches!(kind, NodeKind::Sink(SinkTopic::Topic(t)) if t == topic);
        self.sub_topologies()
            .iter()
            .filter(move |sub| sub.nodes.iter().any(|id| writes(&self.node(*id).kind)))
    }
}
