//! The sources of one builder. Who reads a topic that is read already shares its source, if both
//! read it alike.
//!
//! Streams on one topic are one source, as in Kafka Streams (`mergeDuplicateSourceNodes`): it has
//! the name of the first, and the numbers of the others are used up. Beyond it, a table shares a
//! source too. There serdes have no types and those of the first reader are taken for all; here
//! readers that differ are refused. Topics that overlap in part are refused by the graph's `build`.

use std::any::{TypeId, type_name};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oncestream_core::error::TopologyError;
use oncestream_core::graph::{NodeId, SourceTopics, TopicRef};
use oncestream_core::serde::{DynSerde, SerdeIdentity};
use oncestream_core::task::SourceInstance;

use crate::dsl::{Data, Dsl};
use crate::options::Consumed;

/// How one half of the records is read.
#[derive(PartialEq, Eq)]
struct HalfReader {
    type_id: TypeId,
    type_name: &'static str,
    /// The serde is the one of the type.
    by_type: bool,
    serde: SerdeIdentity,
}

impl HalfReader {
    fn new<T: Data>(serde: &DynSerde<T>, by_type: bool) -> Self {
        Self {
            type_id: TypeId::of::<T>(),
            type_name: type_name::<T>(),
            by_type,
            serde: serde.identity(),
        }
    }

    fn has_serde_of(&self, other: &Self) -> bool {
        self.by_type && other.by_type || self.serde == other.serde
    }
}

/// What tells one timestamp extractor from another. Two closures of one type are the same function
/// if they capture nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExtractorIdentity {
    type_id: TypeId,
    type_name: &'static str,
    captures: bool,
}

impl ExtractorIdentity {
    pub(crate) fn of<F: 'static>() -> Self {
        let (type_id, type_name) = (TypeId::of::<F>(), type_name::<F>());
        Self { type_id, type_name, captures: size_of::<F>() > 0 }
    }
}

/// How records are read.
struct Reader {
    key: HalfReader,
    value: HalfReader,
    extractor: Option<ExtractorIdentity>,
}

impl Reader {
    fn new<K: Data, V: Data>(consumed: &Consumed<K, V>) -> Self {
        Self {
            key: HalfReader::new(&consumed.config.key_serde, consumed.key_by_type),
            value: HalfReader::new(&consumed.config.value_serde, consumed.value_by_type),
            extractor: consumed.extractor,
        }
    }

    /// What another reader of the same topics does differently, and how each does it.
    fn difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let halves = [
            ("key type", "key serde", &self.key, &other.key),
            ("value type", "value serde", &self.value, &other.value),
        ];
        for (types, serdes, first, second) in halves {
            let quoted = |name: &str| format!("`{name}`");
            if first.type_id != second.type_id {
                return Some((types, quoted(first.type_name), quoted(second.type_name)));
            }
            if !first.has_serde_of(second) {
                let second = match second.serde.type_name() {
                    same if same == first.serde.type_name() => format!("another `{same}`"),
                    other => quoted(other),
                };
                return Some((serdes, quoted(first.serde.type_name()), second));
            }
        }
        let same = self.extractor == other.extractor && !self.extractor.is_some_and(|e| e.captures);
        let told = |extractor: &Option<ExtractorIdentity>| match extractor {
            Some(extractor) => format!("`{}`", extractor.type_name),
            None => "none".to_owned(),
        };
        let (first, mut second) = (told(&self.extractor), told(&other.extractor));
        if first == second {
            second.insert_str(0, "another ");
        }
        (!same).then_some(("timestamp extractor", first, second))
    }
}

/// A source that is there.
pub(crate) struct SharedSource {
    topics: SourceTopics,
    reader: Reader,
    node: NodeId,
    drop_null_keys: Arc<AtomicBool>,
}

/// What a reader gets.
pub(crate) struct SourceHandle {
    pub(crate) node: NodeId,
    /// Whether the source itself drops records with a null key; known when tasks are made.
    pub(crate) drop_null_keys: Arc<AtomicBool>,
}

impl Dsl {
    /// The source of the topics: the one that is there, or a new one of that name.
    ///
    /// A source drops null keys only if all that share it do: what one reader must not miss is
    /// passed on, and the key's serde says what a null means.
    pub(crate) fn source<K: Data, V: Data>(
        &self,
        name: &str,
        mut consumed: Consumed<K, V>,
    ) -> SourceHandle {
        let reader = Reader::new(&consumed);
        let topics = each_once(std::mem::take(&mut consumed.topics).0);
        let known = self.find_source(
            |source| same_topics(&source.topics, &topics),
            |source| {
                let fault = source.reader.difference(&reader).map(|(what, first, second)| {
                    TopologyError::SourcesDiffer { topics: told(&topics), what, first, second }
                });
                if !consumed.config.drop_null_keys {
                    source.drop_null_keys.store(false, Ordering::Relaxed);
                }
                let drop_null_keys = source.drop_null_keys.clone();
                (SourceHandle { node: source.node, drop_null_keys }, fault)
            },
        );
        if let Some((handle, fault)) = known {
            if let Some(fault) = fault {
                self.fail(fault);
            }
            return handle;
        }
        let drop_null_keys = Arc::new(AtomicBool::new(consumed.config.drop_null_keys));
        let (config, drops) = (consumed.config, drop_null_keys.clone());
        let node = self.graph(|g| {
            g.add_source(name, topics.clone(), move |b, id| {
                let mut config = config.clone();
                config.drop_null_keys = drops.load(Ordering::Relaxed);
                SourceInstance::new(b, id, config)
            })
        });
        let drops = drop_null_keys.clone();
        self.keep_source(SharedSource { topics, reader, node, drop_null_keys: drops });
        SourceHandle { node, drop_null_keys }
    }
}

/// A topic that is named twice is read once.
fn each_once(topics: SourceTopics) -> SourceTopics {
    match topics {
        SourceTopics::Topics(named) => {
            let mut once: Vec<TopicRef> = Vec::with_capacity(named.len());
            for topic in named {
                if !once.contains(&topic) {
                    once.push(topic);
                }
            }
            SourceTopics::Topics(once)
        }
        other @ (SourceTopics::Pattern(_) | SourceTopics::Global(_)) => other,
    }
}

/// Whether two sources read the same, in whatever order they name it.
fn same_topics(first: &SourceTopics, second: &SourceTopics) -> bool {
    match (first, second) {
        (SourceTopics::Topics(first), SourceTopics::Topics(second)) => {
            first.len() == second.len() && first.iter().all(|topic| second.contains(topic))
        }
        (SourceTopics::Pattern(first), SourceTopics::Pattern(second)) => first == second,
        _ => false,
    }
}

pub(crate) fn told(topics: &SourceTopics) -> String {
    match topics {
        SourceTopics::Topics(topics) => {
            let names: Vec<String> =
                topics.iter().map(|t| format!("`{}`", t.display_name())).collect();
            names.join(", ")
        }
        SourceTopics::Pattern(pattern) => format!("pattern `{pattern}`"),
        SourceTopics::Global(topic) => format!("`{topic}`"),
    }
}
