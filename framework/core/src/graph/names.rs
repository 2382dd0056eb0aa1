//! Whether brokers can have the topics that a topology names, and those it needs for itself.
//!
//! What follows from the topology alone is refused by `build`. What needs the application's id or
//! the topics of the broker is asked by whoever runs the topology, with
//! [`Graph::check_topic_names`]. Knows no broker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{
    Graph, NodeDef, NodeKind, RepartitionDef, SinkTopic, SourceTopics, StoreDef, TopicRef,
};
use crate::error::TopologyError;
use crate::topic_name::{self, metric_name};

/// Names of topics, each under what it must not have in common with another.
type ByMetric = BTreeMap<String, Arc<str>>;

/// What names tell without an application's id.
pub(super) fn check(
    nodes: &[NodeDef],
    stores: &[StoreDef],
    repartitions: &[RepartitionDef],
) -> Result<(), TopologyError> {
    let mut ours = ByMetric::new();
    for node in nodes {
        for topic in user_topics(node) {
            if let Err(fault) = topic_name::check(topic) {
                let used_by = match &node.kind {
                    NodeKind::Sink(_) => format!("which sink `{}` writes to", node.name),
                    _ => format!("which source `{}` reads", node.name),
                };
                let topic = topic.to_string();
                return Err(TopologyError::InvalidTopicName { topic, used_by, fault });
            }
            claim(&mut ours, topic)?;
        }
    }
    // The same id comes before all of them, so without it they collide as well.
    let mut ours = ByMetric::new();
    internal(stores, repartitions, "").try_for_each(|(topic, _)| claim(&mut ours, &topic))
}

/// The topics of the user's that a node names.
fn user_topics(node: &NodeDef) -> impl Iterator<Item = &Arc<str>> {
    let named = match &node.kind {
        NodeKind::Source(SourceTopics::Topics(topics)) => topics.as_slice(),
        NodeKind::Sink(SinkTopic::Topic(topic)) => std::slice::from_ref(topic),
        NodeKind::Source(SourceTopics::Pattern(_) | SourceTopics::Global(_))
        | NodeKind::Sink(SinkTopic::Dynamic)
        | NodeKind::Processor => &[],
    };
    let global = match &node.kind {
        NodeKind::Source(SourceTopics::Global(topic)) => Some(topic),
        _ => None,
    };
    named.iter().filter_map(TopicRef::user).chain(global)
}

/// The internal topics with this id in front, each with what it is for.
fn internal(
    stores: &[StoreDef],
    repartitions: &[RepartitionDef],
    application_id: &str,
) -> impl Iterator<Item = (Arc<str>, String)> {
    let logged = stores.iter().filter(|store| store.changelog.is_some());
    let changelogs = logged.map(move |store| {
        let topic = Graph::changelog_topic(application_id, &store.name);
        (topic, format!("store `{}`", store.name))
    });
    let repartitions = repartitions.iter().map(move |def| {
        let made_for = match &def.topic {
            TopicRef::ForeignKey(name) => format!("foreign-key join `{name}`"),
            TopicRef::Repartition(name) | TopicRef::User(name) => format!("repartition `{name}`"),
        };
        (def.topic.resolve(application_id), made_for)
    });
    changelogs.chain(repartitions)
}

/// Takes a name up, unless another one is taken that it cannot stand beside.
fn claim(taken: &mut ByMetric, topic: &Arc<str>) -> Result<(), TopologyError> {
    let other = taken.entry(metric_name(topic)).or_insert_with(|| topic.clone());
    if *other == *topic {
        return Ok(());
    }
    Err(TopologyError::NamesCollide { topic: topic.to_string(), other: other.to_string() })
}

/// Checks an application's id, which begins the names of topics and is one of a directory.
///
/// # Errors
/// [`TopologyError::InvalidApplicationId`].
pub fn check_application_id(application_id: &str) -> Result<(), TopologyError> {
    topic_name::check(application_id).map_err(|fault| TopologyError::InvalidApplicationId {
        application_id: application_id.to_owned(),
        fault,
    })
}

impl Graph {
    /// Checks that brokers can have the internal topics, the topic of dead letters and what else the
    /// topology names, beside each other and beside the topics that are `there`.
    ///
    /// # Errors
    /// An internal topic or `dead_letter` with a name that no topic can have, and a topic that is
    /// not there and differs from another one in `.` and `_` alone.
    pub fn check_topic_names<'a>(
        &self,
        application_id: &str,
        dead_letter: Option<&str>,
        there: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), TopologyError> {
        let mut ours: BTreeSet<Arc<str>> = BTreeSet::new();
        for (topic, made_for) in internal(self.stores(), self.repartitions(), application_id) {
            if let Err(fault) = topic_name::check(&topic) {
                let topic = topic.to_string();
                return Err(TopologyError::InternalTopicName { topic, made_for, fault });
            }
            ours.insert(topic);
        }
        if let Some(topic) = dead_letter {
            topic_name::check(topic).map_err(|fault| TopologyError::InvalidTopicName {
                topic: topic.to_owned(),
                used_by: "where dead letters go to".to_owned(),
                fault,
            })?;
            ours.insert(topic.into());
        }
        ours.extend(self.nodes().iter().flat_map(user_topics).cloned());
        let mut taken = ByMetric::new();
        ours.iter().try_for_each(|topic| claim(&mut taken, topic))?;
        let mut beside = Vec::new();
        for other in there {
            if let Some(topic) = taken.get(&metric_name(other)) {
                if **topic == *other {
                    // It is there: nobody has to create it.
                    taken.remove(&metric_name(other));
                } else {
                    beside.push(other);
                }
            }
        }
        let collision =
            beside.into_iter().find_map(|other| Some((taken.get(&metric_name(other))?, other)));
        match collision {
            Some((topic, other)) => Err(TopologyError::NamesCollide {
                topic: topic.to_string(),
                other: other.to_owned(),
            }),
            None => Ok(()),
        }
    }
}
