//! `table`: a topic as a table.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::graph::{SourceTopics, TopicRef};
use oncestream_core::serde::OptionSerde;
use oncestream_core::task::{Context, Node, SourceConfig, SourceInstance, TimestampExtractor};

use super::{KTable, OldValues, TableStore};
use crate::StreamsBuilder;
use crate::dsl::{Data, StoreKey};
use crate::options::{Consumed, Materialized};

impl StreamsBuilder {
    /// A topic as a table, with the serdes of the store: each record sets its key, and one with a
    /// null value deletes it. Records with a null key are dropped and counted.
    ///
    /// The table keeps a store with a changelog of its own.
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
        let consumed = Consumed::with(materialized.key_serde.clone(), value_serde);
        self.table_with(topic, consumed, materialized)
    }

    /// A topic as a table, with serdes, a name and a timestamp extractor for the topic. The
    /// extractor is not asked about records with a null key.
    pub fn table_with<K: StoreKey, V: Data>(
        &self,
        topic: &str,
        consumed: Consumed<K, Option<V>>,
        materialized: Materialized<K, V>,
    ) -> KTable<K, V> {
        let dsl = self.dsl.clone();
        let source_name = dsl.suffixed(consumed.name.as_ref(), "-source", "KSTREAM-SOURCE-");
        let name = dsl.name(consumed.name.as_ref(), "KTABLE-SOURCE-");
        let config = nullable_keys(consumed.config);
        let old_values = OldValues::default();
        let spec = materialized.spec(&old_values);
        let topics = SourceTopics::Topics(vec![TopicRef::User(topic.into())]);
        let node = dsl.graph(|g| {
            let source = g.add_source(&source_name, topics, move |b, id| {
                SourceInstance::new(b, id, config.clone())
            });
            materialized.add_to(g);
            g.add_processor(&name, &[source], &spec.stores(), move |b, id| {
                let table = TableStore::instantiate(b, id, &spec)?;
                Ok(Box::new(TableSource { table }) as Box<dyn Node<Option<K>, Option<V>>>)
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
    pub fn add_state_store<K: StoreKey, V: Data>(&self, store: Materialized<K, V>) -> &Self {
        self.dsl.graph(|g| store.add_to(g));
        self
    }
}

/// Reads a null key as `None`, whatever the key's type: a table drops such records, where the
/// key's own serde would refuse them.
fn nullable_keys<K: Data, V: Data>(config: SourceConfig<K, V>) -> SourceConfig<Option<K>, V> {
    let SourceConfig { key_serde, value_serde, timestamp_extractor } = config;
    let timestamp_extractor = timestamp_extractor.map(|extract| {
        let nullable: TimestampExtractor<Option<K>, V> =
            Arc::new(move |record, partition_time| match &record.key {
                Some(key) => extract(&record.clone().with_key(key.clone()), partition_time),
                None => record.timestamp,
            });
        nullable
    });
    SourceConfig {
        key_serde: Arc::new(OptionSerde::new(key_serde)),
        value_serde,
        timestamp_extractor,
    }
}

struct TableSource<K, V> {
    table: Rc<RefCell<TableStore<K, V>>>,
}

impl<K: StoreKey, V: Data> Node<Option<K>, Option<V>> for TableSource<K, V> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<Option<K>, Option<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        let Some(key) = key else {
            ctx.drop_record();
            return Ok(());
        };
        let record = Record { key, value: (), timestamp, headers };
        self.table.borrow_mut().update(ctx, record, |_, _| (value, timestamp))
    }
}
