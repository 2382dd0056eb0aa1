//! Where and how a sink writes.

use std::fmt;
use std::sync::Arc;

use oncestream_core::graph::TopicRef;
use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_core::task::Partitioner;
use oncestream_core::{Record, RecordMetadata};

use super::Named;

type Choose<K, V> = Arc<dyn Fn(&Record<K, V>, Option<&RecordMetadata>) -> String + Send + Sync>;

/// What a sink writes to.
pub(crate) enum ProducedTo<K, V> {
    Topic(TopicRef),
    Chosen(Choose<K, V>),
}

/// Topic, serdes, name and partitioner of a sink. The name of a topic is one by itself, with the
/// serdes of the types.
///
/// ```
/// use oncestream_core::Record;
/// use oncestream_operators::{Produced, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// let stream = builder.stream::<String, i64>("in");
/// stream.to("out");
/// stream.to(Produced::new("spread").partitioner(|_, v: &i64, n| Some((*v as i32).rem_euclid(n))));
/// stream.to(Produced::chosen(|r: &Record<String, i64>, _| if r.value < 0 { "bad" } else { "good" }));
/// assert!(builder.build().is_ok());
/// ```
pub struct Produced<K, V> {
    pub(crate) to: ProducedTo<K, V>,
    pub(crate) key_serde: DynSerde<K>,
    pub(crate) value_serde: DynSerde<V>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
    pub(crate) name: Option<Named>,
}

impl<K, V> Produced<K, V> {
    /// This topic, with the serdes of the types.
    pub fn new(topic: impl Into<String>) -> Self
    where
        K: HasSerde,
        V: HasSerde,
    {
        Self::with(topic, K::serde(), V::serde())
    }

    /// This topic, with these serdes.
    pub fn with(topic: impl Into<String>, key: DynSerde<K>, value: DynSerde<V>) -> Self {
        Self::to(ProducedTo::Topic(TopicRef::User(topic.into().into())), key, value)
    }

    /// For each record the topic that `choose` names, with the serdes of the types. `choose` gets the
    /// record, and where it came from unless it comes from a punctuation or a cache.
    ///
    /// The topics must exist. A name that no topic can have is the record's fault: the production
    /// handler is asked ([`Unproducible::TopicName`](oncestream_core::error::Unproducible::TopicName)).
    pub fn chosen<T, F>(choose: F) -> Self
    where
        K: HasSerde,
        V: HasSerde,
        T: Into<String>,
        F: Fn(&Record<K, V>, Option<&RecordMetadata>) -> T + Send + Sync + 'static,
    {
        Self::chosen_with(choose, K::serde(), V::serde())
    }

    /// [`Self::chosen`] with these serdes.
    pub fn chosen_with<T, F>(choose: F, key: DynSerde<K>, value: DynSerde<V>) -> Self
    where
        T: Into<String>,
        F: Fn(&Record<K, V>, Option<&RecordMetadata>) -> T + Send + Sync + 'static,
    {
        let choose: Choose<K, V> =
            Arc::new(move |record, metadata| choose(record, metadata).into());
        Self::to(ProducedTo::Chosen(choose), key, value)
    }

    fn to(to: ProducedTo<K, V>, key_serde: DynSerde<K>, value_serde: DynSerde<V>) -> Self {
        Self { to, key_serde, value_serde, partitioner: None, name: None }
    }

    /// Names the sink.
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Picks the partition from key, value and the topic's number of partitions. `None` takes
    /// the default: murmur2 of the key, as Java producers do. Any other answer than 0 to the number,
    /// without it, is the record's fault: the production handler is asked
    /// ([`Unproducible::Partition`](oncestream_core::error::Unproducible::Partition)).
    #[must_use]
    pub fn partitioner(
        mut self,
        choose: impl Fn(&K, &V, i32) -> Option<i32> + Send + Sync + 'static,
    ) -> Self {
        self.partitioner = Some(Arc::new(choose));
        self
    }
}

impl<T: Into<String>, K: HasSerde, V: HasSerde> From<T> for Produced<K, V> {
    fn from(topic: T) -> Self {
        Self::new(topic)
    }
}

impl<K, V> Clone for ProducedTo<K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::Topic(topic) => Self::Topic(topic.clone()),
            Self::Chosen(choose) => Self::Chosen(choose.clone()),
        }
    }
}

impl<K, V> Clone for Produced<K, V> {
    fn clone(&self) -> Self {
        Self {
            to: self.to.clone(),
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            partitioner: self.partitioner.clone(),
            name: self.name.clone(),
        }
    }
}

impl<K, V> fmt::Debug for Produced<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = match &self.to {
            ProducedTo::Topic(topic) => topic.display_name(),
            ProducedTo::Chosen(_) => "chosen for each record".to_owned(),
        };
        f.debug_struct("Produced")
            .field("topic", &topic)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
