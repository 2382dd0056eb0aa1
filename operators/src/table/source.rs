//! `table`: a topic as a table.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::graph::{SourceTopics, TopicRef};
use oncestream_core::serde::{DynSerde, OptionSerde};
use oncestream_core::state::Kind;
use oncestream_core::task::{Context, Node};

use super::{KTable, OldValues, TableStore};
use crate::StreamsBuilder;
use crate::dsl::{Data, StoreKey};
use crate::options::{Consumed, Materialized};

impl StreamsBuilder {
    /// A topic as a table, with the serdes of the store: each record sets its key, and one with a
    /// null value deletes it. Records with a null key are dropped and counted.
    ///
    /// The table keeps a store with a changelog of its own. It shares the source of a stream on
    /// `<K, Option<V>>` that reads the same topic; what a null key then means, its serde says.
    ///
    /// ```
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let users = builder.table("users", Materialized::<i64, String>::named("users-store"));
    /// users.filter(|_, name| !name.is_empty()).to_stream().to("named-users");
    /// ```
    pub fn table<K: StoreKey, V: Data>(
        &self,
        topic: &str,
        materialized: Materialized<K, V>,
    ) -> KTable<K, V> {
        let value_serde = Arc::new(OptionSerde::new(materialized.value_serde.clone()));
        let consumed = Consumed {
            key_by_type: materialized.by_type,
            value_by_type: materialized.by_type,
            ..Consumed::with(materialized.key_serde.clone(), value_serde)
        };
        self.table_with(topic, consumed, materialized)
    }

    /// A topic as a table, with serdes, a name and a timestamp extractor for the topic. The
    /// extractor is not asked about records with a null key.
    pub fn table_with<K: StoreKey, V: Data>(
        &self,
        topic: &str,
        mut consumed: Consumed<K, Option<V>>,
        materialized: Materialized<K, V>,
    ) -> KTable<K, V> {
        let dsl = self.dsl.clone();
        let source_name = dsl.suffixed(consumed.name.as_ref(), "-source", "KSTREAM-SOURCE-");
        let name = dsl.name(consumed.name.as_ref(), "KTABLE-SOURCE-");
        consumed.config.drop_null_keys = true;
        let key_serde = consumed.config.key_serde.clone();
        let old_values = OldValues::default();
        let spec = materialized.spec(&old_values);
        let topics = SourceTopics::Topics(vec![TopicRef::User(topic.into())]);
        let source = dsl.source(&source_name, topics, consumed);
        let node = dsl.graph(|g| {
            materialized.add_to(g);
            g.add_processor(&name, &[source.node], &spec.stores(), move |b, id| {
                let table = TableStore::instantiate(b, id, &spec)?;
                let come_through = !source.drop_null_keys.load(Ordering::Relaxed);
                let null_keys = come_through.then(|| key_serde.clone());
                Ok(Box::new(TableSource { table, null_keys }) as Box<dyn Node<K, Option<V>>>)
            })
        });
        KTable::new(dsl, node, old_values)
    }

    /// Adds a store for processors; [`KStream::process`](crate::KStream::process) connects them.
    ///
    /// ```
    /// use oncestream_operators::{KeyValueStoreBuilder, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// builder.add_state_store(KeyValueStoreBuilder::<String, i64>::named("seen"));
    /// ```
    pub fn add_state_store<K: StoreKey, V: Data>(
        &self,
        store: Materialized<K, V, impl Kind<K, Key: StoreKey>>,
    ) -> &Self {
        self.dsl.graph(|g| store.add_to(g));
        self
    }
}

struct TableSource<K, V> {
    table: Rc<RefCell<TableStore<K, V>>>,
    /// Where a stream shares the source and null keys come through: what knows them.
    null_keys: Option<DynSerde<K>>,
}

impl<K: StoreKey, V: Data> Node<K, Option<V>> for TableSource<K, V> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Option<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        if self.null_keys.as_ref().is_some_and(|serde| serde.is_null(&key)) {
            ctx.drop_record();
            return Ok(());
        }
        let record = Record { key, value: (), timestamp, headers };
        self.table.borrow_mut().update(ctx, record, |_, _| (value, timestamp))
    }
}
