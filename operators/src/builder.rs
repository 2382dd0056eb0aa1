//! Where a topology begins: sources, stores, and `build`.

use std::fmt;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::{Graph, Topology};
use oncestream_core::state::Kind;

use crate::dsl::{Data, Dsl, StoreKey};
use crate::options::{Consumed, Materialized, Optimization};
use crate::processor::StoreRef;
use crate::stream::KStream;

/// Builds a topology.
///
/// A topic may be read more than once: streams and tables on the same topics, or on the same
/// pattern, share one source if their types, serdes and timestamp extractors agree, and each sees
/// every record. A table on `<K, V>` agrees with a stream on `<K, Option<V>>`.
///
/// ```
/// use oncestream_operators::StreamsBuilder;
/// let builder = StreamsBuilder::new();
/// builder.stream::<String, String>("in").filter(|_, v| !v.is_empty()).to("out");
/// let topology = builder.build().unwrap();
/// assert_eq!(topology.sink_topics(), ["out".into()].into());
/// ```
#[derive(Default)]
pub struct StreamsBuilder {
    pub(crate) dsl: Dsl,
}

impl StreamsBuilder {
    /// An empty topology.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses generated names where a change of the topology would lose data: [`Self::build`] then
    /// fails with [`TopologyError::GeneratedNames`] if a store or a repartition topic has one. It is
    /// Kafka Streams' `ensure.explicit.internal.resource.naming`.
    ///
    /// A generated name has a number in it, and an operator that is added before it moves the number.
    /// The application then begins with a new store and a new topic, and the old ones stay behind.
    ///
    /// ```
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new().explicit_names();
    /// builder.stream::<String, i64>("in").group_by_key().count(Materialized::new());
    /// let error = builder.build().unwrap_err().to_string();
    /// assert!(error.contains("`KSTREAM-AGGREGATE-STATE-STORE-0000000001`"), "{error}");
    /// ```
    #[must_use]
    pub fn explicit_names(self) -> Self {
        self.dsl.ask_for_names();
        self
    }

    /// Makes `build` change the topology so that it has fewer topics and stores, with the same results. It is
    /// Kafka Streams' `topology.optimization`, whose values an [`Optimization`] reads.
    ///
    /// An application that has run needs a reset before this is switched on or off, because its topics and
    /// stores are then others: see docs/optimization.md.
    ///
    /// ```
    /// use oncestream_operators::{Optimization, StreamsBuilder};
    /// let all: Optimization = "all".parse()?;
    /// let builder = StreamsBuilder::new().optimization(all);
    /// # builder.stream::<String, i64>("in").to("out");
    /// # assert!(builder.build().is_ok());
    /// # Ok::<(), oncestream_core::error::TopologyError>(())
    /// ```
    #[must_use]
    pub fn optimization(self, optimization: Optimization) -> Self {
        self.dsl.ask_for_optimization(optimization);
        self
    }

    /// A stream of the records of a topic, of several, or of every topic that matches a pattern.
    ///
    /// ```
    /// use oncestream_operators::{Consumed, StreamsBuilder, Topics};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").filter(|_, v| *v < 0).to("losses");
    /// // Streams on one topic are one source, as in Kafka Streams.
    /// builder.stream::<String, i64>("in").filter(|_, v| *v > 0).to("gains");
    /// builder.stream::<String, i64>(["north", "south"]).to("both");
    /// builder.stream::<String, i64>(Topics::pattern("clicks-.*")).to("all-clicks");
    /// let by_value = Consumed::<String, i64>::new("readings").timestamp_extractor(|r, _| r.value);
    /// builder.stream(by_value).to("in-their-time");
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn stream<K: Data, V: Data>(&self, consumed: impl Into<Consumed<K, V>>) -> KStream<K, V> {
        let consumed = consumed.into();
        let name = self.dsl.name(consumed.name.as_ref(), "KSTREAM-SOURCE-");
        let node = self.dsl.source(&name, consumed).node;
        KStream::new(self.dsl.clone(), node, false)
    }

    /// Adds a store for processors, and gives what [`KStream::process`] and
    /// [`KStream::process_values`] connect it by.
    ///
    /// ```
    /// use oncestream_operators::processor::StoreRef;
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let seen: StoreRef<String, i64> = builder.add_state_store("seen");
    /// assert_eq!(seen.name(), "seen");
    /// ```
    pub fn add_state_store<K: StoreKey, V: Data, Kd: Kind<K, Key: StoreKey>>(
        &self,
        store: impl Into<Materialized<K, V, Kd>>,
    ) -> StoreRef<K, V, Kd> {
        let store = store.into();
        let name = store.store_name(&self.dsl, "KSTREAM-PROCESSOR-");
        if store.history.is_some() {
            let at = format!("store `{}` of processors", name.name);
            let reason = "versioned() is for tables; give Materialized::of_kind a `Versioned`";
            self.dsl.fail(TopologyError::InvalidVersions { at, reason: reason.to_owned() });
        }
        store.add_to(&self.dsl, &name);
        StoreRef::new(&name.name, self.dsl.identity())
    }

    /// Checks the topology. What is added to streams and tables of this builder afterwards
    /// is in no topology.
    ///
    /// # Errors
    /// A name used twice, or for nothing; a cycle, no source; a topic that is read twice in
    /// different ways, or by a name and a pattern; a pattern that matches an output; a handle or a
    /// store of another builder.
    pub fn build(self) -> Result<Topology, TopologyError> {
        self.dsl.take_graph().build().map(Graph::into_topology)
    }
}

impl fmt::Debug for StreamsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamsBuilder").finish_non_exhaustive()
    }
}
