//! Which topics a topology reads: each with one source, and none that is not meant for it.
//!
//! What follows from the topology alone is refused by `build`. What needs the application's id, the
//! dead-letter topic or the topics of the broker is asked by whoever runs the topology, with
//! [`Graph::check_names`] at the start and [`Graph::check_topics`] whenever topics may have
//! come. Knows no broker.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use regex::Regex;

use super::{Graph, NodeDef, NodeId, NodeKind, SinkTopic, SourceTopics, TopicRef, globals};
use crate::error::TopologyError;

/// The patterns of sources, to be matched with whole names.
pub(super) fn compile(nodes: &[NodeDef]) -> Result<Vec<(NodeId, Regex)>, TopologyError> {
    let mut patterns = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let NodeKind::Source(SourceTopics::Pattern(pattern)) = &node.kind else { continue };
        let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|e| {
            TopologyError::InvalidPattern { pattern: pattern.to_string(), message: e.to_string() }
        })?;
        patterns.push((NodeId(at), regex));
    }
    Ok(patterns)
}

/// What names and patterns tell without a broker.
pub(super) fn check(nodes: &[NodeDef], patterns: &[(NodeId, Regex)]) -> Result<(), TopologyError> {
    let mut named: HashMap<&TopicRef, usize> = HashMap::new();
    let mut by_pattern: HashMap<&str, usize> = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        match &node.kind {
            NodeKind::Source(SourceTopics::Topics(topics)) => {
                if topics.is_empty() {
                    return Err(TopologyError::NoTopic { source_name: node.name.to_string() });
                }
                for topic in topics {
                    if let Some(first) = named.insert(topic, at) {
                        return Err(read_twice(&topic.display_name(), [&nodes[first], node]));
                    }
                }
            }
            NodeKind::Source(SourceTopics::Pattern(pattern)) => {
                if let Some(first) = by_pattern.insert(pattern, at) {
                    return Err(read_twice(pattern, [&nodes[first], node]));
                }
            }
            NodeKind::Source(SourceTopics::Global(_)) | NodeKind::Processor | NodeKind::Sink(_) => {
            }
        }
    }
    globals::check(nodes, patterns)?;
    for (at, pattern) in patterns {
        for (reader, node) in nodes.iter().enumerate() {
            let matched =
                |topic: &&TopicRef| matches!(topic, TopicRef::User(n) if pattern.is_match(n));
            match &node.kind {
                NodeKind::Source(SourceTopics::Topics(topics)) => {
                    if let Some(topic) = topics.iter().find(matched) {
                        let readers = [reader.min(at.0), reader.max(at.0)].map(|n| &nodes[n]);
                        return Err(read_twice(&topic.display_name(), readers));
                    }
                }
                NodeKind::Sink(SinkTopic::Topic(topic)) if matched(&topic) => {
                    return Err(TopologyError::PatternMatchesOutput {
                        pattern: pattern_text(&nodes[at.0]),
                        topic: topic.display_name(),
                        sink: node.name.to_string(),
                    });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

impl Graph {
    /// Checks what the topology reads and writes against the names that the application keeps for
    /// itself: its changelogs, its repartition topics and `dead_letter`, the topic of dead letters.
    ///
    /// # Errors
    /// A pattern that matches one of them, a source that names a repartition topic or the
    /// dead-letter topic, a sink or dead letters that go to an internal topic.
    pub fn check_names(
        &self,
        application_id: &str,
        dead_letter: Option<&str>,
    ) -> Result<(), TopologyError> {
        let repartitions: BTreeSet<Arc<str>> = self.repartition_names(application_id).collect();
        let internal = self.internal_names(application_id);
        let used = |topic: &str, used_by: String| {
            Err(TopologyError::InternalTopicUsed { topic: topic.to_owned(), used_by })
        };
        for (at, pattern) in self.patterns() {
            if let Some(topic) = internal.iter().find(|topic| pattern.is_match(topic)) {
                return used(topic, format!("pattern `{}` matches", pattern_text(self.node(*at))));
            }
        }
        for node in self.nodes() {
            match &node.kind {
                NodeKind::Source(SourceTopics::Topics(topics)) => {
                    for topic in topics {
                        if let TopicRef::User(topic) = topic
                            && repartitions.contains(topic)
                        {
                            return used(topic, format!("source `{}` reads", node.name));
                        }
                    }
                }
                NodeKind::Source(SourceTopics::Global(topic)) if repartitions.contains(topic) => {
                    return used(topic, format!("the global table of `{}` reads", node.name));
                }
                NodeKind::Sink(SinkTopic::Topic(TopicRef::User(topic)))
                    if internal.contains(topic) =>
                {
                    return used(topic, format!("sink `{}` writes to", node.name));
                }
                _ => {}
            }
        }
        let Some(dead_letter) = dead_letter else { return Ok(()) };
        if internal.contains(dead_letter) {
            return used(dead_letter, "dead letters go to".to_owned());
        }
        let of_table = self.global_tables().iter().find(|table| *table.topic == *dead_letter);
        let readers = self.readers_of(application_id, dead_letter);
        match readers.first().copied().or(of_table.map(|table| table.source)) {
            Some(reader) => Err(TopologyError::DeadLetterRead {
                topic: dead_letter.to_owned(),
                reader: reads(self.node(reader)),
            }),
            None => Ok(()),
        }
    }

    /// The names of all its internal topics, whether they are there or not.
    pub fn internal_names(&self, application_id: &str) -> BTreeSet<Arc<str>> {
        let logged = self.stores().iter().filter(|store| store.changelog.is_some());
        let changelogs = logged.map(|store| Self::changelog_topic(application_id, &store.name));
        changelogs.chain(self.repartition_names(application_id)).collect()
    }

    fn repartition_names(&self, application_id: &str) -> impl Iterator<Item = Arc<str>> {
        self.repartitions().iter().map(move |def| def.topic.resolve(application_id))
    }

    /// Checks topics that are on the broker: none has two readers, and no pattern takes in what
    /// this application, or an older version of it, made for itself.
    ///
    /// # Errors
    /// The first topic that is read by two sources, or that has the name of an internal topic of
    /// this application and is matched by a pattern.
    pub fn check_topics<'a>(
        &self,
        application_id: &str,
        topics: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), TopologyError> {
        for topic in topics {
            let readers = self.readers_of(application_id, topic);
            if let [first, second, ..] = readers[..] {
                return Err(read_twice(topic, [self.node(first), self.node(second)]));
            }
            if let [reader] = readers[..]
                && matches!(self.node(reader).kind, NodeKind::Source(SourceTopics::Pattern(_)))
                && internal_name(application_id, topic).is_some()
            {
                let used_by = format!("pattern `{}` matches", pattern_text(self.node(reader)));
                return Err(TopologyError::InternalTopicUsed { topic: topic.to_owned(), used_by });
            }
        }
        Ok(())
    }

    /// The sources of tasks that name a topic of the broker, or whose pattern matches it. More than one is
    /// a fault, which [`Self::check_topics`] tells.
    pub fn readers_of(&self, application_id: &str, topic: &str) -> Vec<NodeId> {
        let named = self.nodes().iter().enumerate().filter(|(_, node)| match &node.kind {
            NodeKind::Source(SourceTopics::Topics(topics)) => {
                topics.iter().any(|t| &*t.resolve(application_id) == topic)
            }
            _ => false,
        });
        let matched = self.patterns().iter().filter(|(_, pattern)| pattern.is_match(topic));
        let mut readers: Vec<NodeId> =
            named.map(|(at, _)| NodeId(at)).chain(matched.map(|(id, _)| *id)).collect();
        readers.sort_unstable();
        readers
    }
}

/// The name of the store or of the repartition in a topic that is called as internal topics of an
/// application are. An application whose id begins with this one's may have a topic of that name too.
pub fn internal_name<'a>(application_id: &str, topic: &'a str) -> Option<&'a str> {
    let rest = topic.strip_prefix(application_id)?.strip_prefix('-')?;
    let name = rest
        .strip_suffix("-changelog")
        .or_else(|| rest.strip_suffix("-repartition"))
        .or_else(|| rest.strip_suffix("-topic").filter(|name| is_of_foreign_key(name)))?;
    Some(name).filter(|name| !name.is_empty())
}

/// Whether a name, without `-topic`, is one that foreign-key joins give to their topics. Many topics of
/// users end in `-topic`.
fn is_of_foreign_key(name: &str) -> bool {
    let given = ["-subscription-registration", "-subscription-response"];
    let generated =
        ["KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION", "KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE"];
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    given.iter().any(|suffix| name.ends_with(suffix))
        || name.rsplit_once('-').is_some_and(|(before, number)| {
            is_number(number) && generated.iter().any(|prefix| before.ends_with(prefix))
        })
}

fn read_twice(topic: &str, [first, second]: [&NodeDef; 2]) -> TopologyError {
    TopologyError::ReadTwice { topic: topic.to_owned(), first: reads(first), second: reads(second) }
}

/// How a source names what it reads, to go on after "is read".
pub(super) fn reads(source: &NodeDef) -> String {
    match &source.kind {
        NodeKind::Source(SourceTopics::Topics(topics)) if topics.len() > 1 => {
            let names: Vec<String> =
                topics.iter().map(|t| format!("`{}`", t.display_name())).collect();
            format!("as one of {}", names.join(", "))
        }
        NodeKind::Source(SourceTopics::Pattern(pattern)) => format!("by pattern `{pattern}`"),
        NodeKind::Source(SourceTopics::Global(_)) => "as a global table".to_owned(),
        _ => "by its name".to_owned(),
    }
}

fn pattern_text(source: &NodeDef) -> String {
    match &source.kind {
        NodeKind::Source(SourceTopics::Pattern(pattern)) => pattern.to_string(),
        _ => source.name.to_string(),
    }
}
