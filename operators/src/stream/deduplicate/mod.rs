//! `deduplicate`: the first record of each id within a window.
//!
//! The node is in `node`, and what ids are compared with in `scope`.

mod node;
mod scope;

use std::sync::Arc;

use oncestream_core::error::TopologyError;
use oncestream_core::serde::HasSerde;
use oncestream_core::task::Node;

use super::KStream;
use super::repartition::{HopNames, ThroughTopic, TopicName};
use crate::dsl::{Data, StoreKey};
use crate::options::{Deduplicated, Materialized, StoreName};
use node::{Deduplicate, Span};
use scope::{AcrossKeys, PerKey, Scope};

const PREFIX: &str = "KSTREAM-DEDUPLICATE-";

impl<K: StoreKey, V: Data> KStream<K, V> {
    /// Lets a record pass, unless one with the same key and the same id has passed whose time is within
    /// the window of its own, before it or after it. What does not pass is dropped and counted. Kafka
    /// Streams 4.3 has no such operator; KIP-655 proposes one.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let ten_minutes = Duration::from_secs(600);
    /// builder
    ///     .stream::<String, (String, i64)>("payments")
    ///     .named("once")
    ///     .deduplicate(ten_minutes, |_account, (payment_id, _amount)| payment_id.clone())
    ///     .to("payments-once");
    /// assert!(builder.build().unwrap().store_names().contains("once-store"));
    /// ```
    ///
    /// - Time is that of records: the latest that has come to the operator in this partition. A record that
    ///   is older than that by more than the window is late. It is dropped and counted, whatever its id,
    ///   because its id may have been forgotten. So choose a window that is longer than records may be out of
    ///   order.
    /// - A record whose id is null to the serde of the ids, as `None` is, has no id: it always passes. With
    ///   `()` for an id, one record of each key passes.
    /// - Ids are compared within a partition. If an operator before may have changed the key, the records go
    ///   through a repartition topic first, which leaves null keys out. Equal ids of different keys are no
    ///   duplicates, unless that is asked for: see [`Deduplicated::across_keys`].
    /// - The store has a row for each id that has passed, until time has gone on by twice the window. Its
    ///   changelog shrinks as it does.
    ///
    /// Exactly once, no crash lets an id pass twice or loses one. At least once, a crash may let records that
    /// are read again pass again.
    pub fn deduplicate<Id, F>(
        &self,
        deduplicated: impl Into<Deduplicated<K, V, Id>>,
        id: F,
    ) -> KStream<K, V>
    where
        Id: StoreKey,
        F: Fn(&K, &V) -> Id + Send + Sync + 'static,
    {
        let deduplicated = deduplicated.into();
        if deduplicated.across_keys {
            self.deduplicate_in::<AcrossKeys, Id, F>(deduplicated, id)
        } else {
            self.deduplicate_in::<PerKey, Id, F>(deduplicated, id)
        }
    }

    fn deduplicate_in<S, Id, F>(&self, options: Deduplicated<K, V, Id>, id: F) -> KStream<K, V>
    where
        S: Scope<K, Id>,
        Id: StoreKey,
        F: Fn(&K, &V) -> Id + Send + Sync + 'static,
    {
        let given = self.next_name.take();
        let name = self.dsl.name(given, PREFIX);
        let of_operator = || given.map(|given| format!("{}-store", given.as_str()));
        let store = match options.store_name.clone().or_else(of_operator) {
            Some(name) => StoreName { name, generated: false },
            None => StoreName::generate(&self.dsl, PREFIX),
        };
        let window = options.window;
        let span = Span::of(window).unwrap_or_else(|| {
            self.dsl.fail(TopologyError::InvalidDeduplication { node: name.clone(), window });
            Span::FOR_EVER
        });
        let parent = if self.repartition_required {
            let through = ThroughTopic {
                topic: TopicName { name: &store.name, generated: store.generated },
                key_serde: options.key_serde.clone(),
                value_serde: options.value_serde.clone(),
                partitions: None,
                partitioner: None,
            };
            through.add(self, HopNames::generate(&self.dsl), std::convert::identity)
        } else {
            self.node
        };
        let row_serde = S::serde(options.key_serde, options.id_serde.clone());
        let seen = Materialized::with(store.name.as_str(), row_serde, i64::serde());
        let seen = match span.remembered() {
            Some(ttl) => seen.ttl(ttl),
            None => seen,
        };
        seen.add_to(&self.dsl, &store);
        let (store, id, id_serde): (Arc<str>, _, _) =
            (store.name.into(), Arc::new(id), options.id_serde);
        let of_node = store.clone();
        let node = self.dsl.graph(|g| {
            g.add_processor(&name, &[parent], &[store], move |b, at| {
                let ids = (id.clone(), id_serde.clone());
                let node = Deduplicate::<K, V, Id, S, F>::instantiate(b, at, &of_node, span, ids)?;
                Ok(Box::new(node) as Box<dyn Node<K, V>>)
            })
        });
        KStream::new(self.dsl.clone(), node, false)
    }
}
