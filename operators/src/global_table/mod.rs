//! [`GlobalKTable`]: a whole topic as a table, on every instance.
//!
//! `source.rs` makes it of a topic, `store.rs` has a function maintain it, and `stream/join_global.rs` reads
//! it.

mod source;
mod store;

use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use oncestream_core::error::TopologyError;
use oncestream_core::graph::NodeId;
use oncestream_core::serde::DynSerde;

use crate::dsl::{Data, Dsl, StoreKey};
use crate::options::{Materialized, StoreName};

/// The last value of each key of a whole topic, or what a function of yours makes of the topic:
/// [`StreamsBuilder::global_table`] and [`StreamsBuilder::global_store`] make it, and
/// [`KStream::join_global`] looks keys up in it.
///
/// A handle; cloning it gives another on the same table.
///
/// [`StreamsBuilder::global_table`]: crate::StreamsBuilder::global_table
/// [`StreamsBuilder::global_store`]: crate::StreamsBuilder::global_store
/// [`KStream::join_global`]: crate::KStream::join_global
pub struct GlobalKTable<K, V> {
    pub(crate) dsl: Dsl,
    /// Its source, by which the graph knows the table.
    pub(crate) source: NodeId,
    pub(crate) serdes: Arc<StoreSerdes<K, V>>,
    info: Rc<Info>,
}

/// The serdes of its store, which a later call may choose. Nodes read them when a task is made.
pub(crate) struct StoreSerdes<K, V> {
    of_topic: (DynSerde<K>, DynSerde<V>),
    own: OnceLock<(DynSerde<K>, DynSerde<V>)>,
}

impl<K, V> StoreSerdes<K, V> {
    fn new(key: DynSerde<K>, value: DynSerde<V>) -> Self {
        Self { of_topic: (key, value), own: OnceLock::new() }
    }

    pub(crate) fn get(&self) -> &(DynSerde<K>, DynSerde<V>) {
        self.own.get().unwrap_or(&self.of_topic)
    }
}

/// What is known of the table beside its serdes.
struct Info {
    /// What the store was called at first.
    generated: StoreName,
    /// What it was called by [`GlobalKTable::materialized`].
    named: OnceLock<String>,
    /// The number in the generated name.
    number: usize,
    /// The number after the last one that the table used up.
    until: usize,
}

impl<K, V> Clone for GlobalKTable<K, V> {
    fn clone(&self) -> Self {
        Self {
            dsl: self.dsl.clone(),
            source: self.source,
            serdes: self.serdes.clone(),
            info: self.info.clone(),
        }
    }
}

impl<K, V> fmt::Debug for GlobalKTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalKTable").field("store", &self.store_name()).finish_non_exhaustive()
    }
}

impl<K, V> GlobalKTable<K, V> {
    /// The name of its store: generated, as `users-STATE-STORE-0000000000`, unless it was given one by
    /// [`materialized`](Self::materialized).
    pub fn store_name(&self) -> &str {
        self.info.named.get().unwrap_or(&self.info.generated.name)
    }
}

impl<K: StoreKey, V: Data> GlobalKTable<K, V> {
    /// Gives the store of the table a name, and serdes if these are not those of the types.
    ///
    /// Call it before anything else on the table: the names that are generated for its nodes are then those that
    /// Kafka Streams gives them. A second call is refused by `build`
    /// ([`TopologyError::AlreadyMaterialized`]), and so is a time to live. The topic is the store's changelog, so
    /// settings of a changelog have no effect.
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let users = builder.global_table::<i64, String>("users").materialized("users-by-id");
    /// assert_eq!(users.store_name(), "users-by-id");
    /// ```
    pub fn materialized(&self, materialized: impl Into<Materialized<K, V>>) -> Self {
        let materialized = materialized.into();
        check_that_it_keeps(&self.dsl, self.store_name(), &materialized);
        if !materialized.by_type {
            let own = (materialized.key_serde.clone(), materialized.value_serde.clone());
            // A second call is a fault, which is told below.
            let _ = self.serdes.own.set(own);
        }
        let Some(name) = materialized.name else { return self.clone() };
        let Info { generated, named, number, until } = &*self.info;
        let before = self.store_name().to_owned();
        if named.set(name.clone()).is_err() {
            let node = self.dsl.node_name(self.source);
            self.dsl.fail(TopologyError::AlreadyMaterialized { node, store: before });
            return self.clone();
        }
        self.dsl.give_back(*number, *until);
        self.dsl.forget_generated_store(&generated.name);
        self.dsl.graph(|g| g.rename_store(&before, &name));
        self.clone()
    }
}

/// A global table forgets nothing by itself, and has one value of each key.
fn check_that_it_keeps<K, V>(dsl: &Dsl, store: &str, materialized: &Materialized<K, V>) {
    let reason = if materialized.ttl.is_some() || materialized.retention.is_some() {
        "it has what its topic has, and forgets nothing else; leave ttl() and retention() out, and write \
         tombstones to the topic"
    } else if materialized.history.is_some() {
        "it has the last value of each key, as it cannot be versioned in Kafka Streams either; leave versioned() \
         out, or make it a table()"
    } else {
        return;
    };
    let topics = format!("store `{store}`");
    dsl.fail(TopologyError::InvalidGlobalTable { topics, reason });
}
