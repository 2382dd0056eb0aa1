//! [`KGroupedStream`]: records grouped by key, ready to be aggregated.

mod aggregate;
mod count;
mod reduce;

use std::cell::Cell;
use std::rc::Rc;

use oncestream_core::graph::NodeId;

use crate::dsl::Data;
use crate::options::{Grouped, Named, Repartitioned};
use crate::stream::{KStream, burn_names, through_topic};

/// Records grouped by key. Records with a null key or a null value are dropped and counted by
/// every aggregation, as in Kafka Streams.
pub struct KGroupedStream<K, V> {
    pub(crate) stream: KStream<K, V>,
    pub(crate) grouped: Grouped<K, V>,
    pub(crate) next_name: Option<Named>,
    /// The source behind the repartition topic that a named grouping shares between all its
    /// aggregations.
    shared: Rc<Cell<Option<NodeId>>>,
}

impl<K: Data, V: Data> KGroupedStream<K, V> {
    pub(crate) fn new(stream: KStream<K, V>, grouped: Grouped<K, V>) -> Self {
        Self { stream, grouped, next_name: None, shared: Rc::default() }
    }

    /// The same grouping; the next aggregation called on what this returns gets the name.
    #[must_use]
    pub fn named(&self, name: impl Into<Named>) -> Self {
        Self {
            stream: self.stream.clone(),
            grouped: self.grouped.clone(),
            next_name: Some(name.into()),
            shared: self.shared.clone(),
        }
    }

    /// The node to aggregate below: the stream itself, or the source of its repartition topic,
    /// named by the grouping or else by the store.
    pub(crate) fn partitioned(&self, store: &str) -> NodeId {
        if !self.stream.repartition_required {
            return self.stream.node;
        }
        burn_names(&self.stream.dsl);
        let named = self.grouped.name.as_deref();
        if let (Some(_), Some(source)) = (named, self.shared.get()) {
            return source;
        }
        let options = Repartitioned::with(
            named.unwrap_or(store),
            self.grouped.key_serde.clone(),
            self.grouped.value_serde.clone(),
        );
        let source = through_topic(&self.stream, options, std::convert::identity);
        self.shared.set(Some(source));
        source
    }
}
