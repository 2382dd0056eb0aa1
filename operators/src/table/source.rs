//! `table`: a topic as a table.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::{SourceTopics, TopicRef};
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::{DynSerde, OptionSerde};
use oncestream_core::task::{Context, Node, SourceConfig, TimestampExtractor};
use oncestream_core::{Record, TimestampMs};

use super::{KTable, Made, OnNeed, TableOutput, TableSerdes, TableSpec};
use crate::StreamsBuilder;
use crate::dsl::{Data, StoreKey};
use crate::optimization::TableOfTopic;
use crate::options::{Consumed, Materialized, StoreName};
use crate::sources::told;

impl StreamsBuilder {
    /// A topic as a table: each record sets its key, and one with a null value deletes it. Records
    /// with a null key are dropped and counted.
    ///
    /// The table has a store, with a changelog of its own, if it is given one by
    /// [`KTable::materialized`], or if an operator below needs it; its name is then generated:
    /// `users-STATE-STORE-0000000000`. With
    /// [`reuse_table_source_topics`](crate::Optimization::reuse_table_source_topics) the topic is its changelog.
    /// It shares the source of a stream on `<K, Option<V>>` that reads
    /// the same topic; what a null key then means, its serde says.
    ///
    /// More than one topic, or a pattern, is refused by `build`
    /// ([`TopologyError::TableTopics`]).
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let users = builder.table::<i64, String>("users");
    /// users.filter(|_, name| !name.is_empty()).to_stream().to("named-users");
    /// assert!(builder.build().unwrap().store_names().is_empty());
    /// ```
    pub fn table<K: StoreKey, V: Data>(&self, consumed: impl Into<Consumed<K, V>>) -> KTable<K, V> {
        let dsl = self.dsl.clone();
        let consumed = consumed.into();
        let topic = match &consumed.topics.0 {
            SourceTopics::Topics(topics) if topics.len() < 2 => {
                topics.first().map(TopicRef::display_name).unwrap_or_default()
            }
            other => {
                dsl.fail(TopologyError::TableTopics { topics: told(other) });
                String::new()
            }
        };
        let store = Materialized {
            by_type: consumed.key_by_type && consumed.value_by_type,
            ..Materialized::serdes(
                consumed.config.key_serde.clone(),
                consumed.config.value_serde.clone(),
            )
        };
        let number = dsl.next_number();
        let store_name = StoreName::generate(&dsl, &format!("{topic}-"));
        let source_name = dsl.suffixed(consumed.name.as_ref(), "-source", "KSTREAM-SOURCE-");
        let name = dsl.name(consumed.name.as_ref(), "KTABLE-SOURCE-");
        let until = dsl.next_number();
        let (key_serde, value_serde) = (store.key_serde.clone(), store.value_serde.clone());
        let serdes = TableSerdes::of(&store);
        let has_extractor = consumed.extractor.is_some();
        let source = dsl.source(&source_name, nullable(consumed));
        let spec = TableSpec::new();
        let of_node = spec.clone();
        let node = dsl.graph(|g| {
            g.add_processor(&name, &[source.node], &[], move |b, id| {
                let output = TableOutput::instantiate(b, id, &of_node, &value_serde)?;
                let come_through = !source.drop_null_keys.load(Ordering::Relaxed);
                let null_keys = come_through.then(|| key_serde.clone());
                Ok(Box::new(TableSource { output, null_keys }) as Box<dyn Node<K, Option<V>>>)
            })
        });
        let of_end = spec.clone();
        let follows_topic = Box::new(move || !has_extractor && of_end.follows_source());
        dsl.note_table_of_topic(TableOfTopic { node, follows_topic });
        let made = Made::FromTopic(OnNeed { store, name: store_name, number, until });
        KTable::new(dsl, node, spec, made).with_serdes(serdes)
    }
}

/// The same topic, with nulls.
pub(crate) fn nullable<K: Data, V: Data>(consumed: Consumed<K, V>) -> Consumed<K, Option<V>> {
    let Consumed { topics, config, key_by_type, value_by_type, extractor, name } = consumed;
    let SourceConfig { key_serde, value_serde, timestamp_extractor, .. } = config;
    let of_values = |extract: TimestampExtractor<K, V>| -> TimestampExtractor<K, Option<V>> {
        Arc::new(move |record: &Record<K, Option<V>>, latest: TimestampMs| {
            let Record { key, value, timestamp, headers } = record.clone();
            match value {
                Some(value) => extract(&Record { key, value, timestamp, headers }, latest),
                None => timestamp,
            }
        })
    };
    let config = SourceConfig {
        key_serde,
        value_serde: Arc::new(OptionSerde::new(value_serde)),
        timestamp_extractor: timestamp_extractor.map(of_values),
        drop_null_keys: true,
    };
    Consumed { topics, config, key_by_type, value_by_type, extractor, name }
}

struct TableSource<K, V> {
    output: TableOutput<K, V>,
    /// Where a stream shares the source and null keys come through: what knows them.
    null_keys: Option<DynSerde<K>>,
}

impl<K: StoreKey, V: Data> Node<K, Option<V>> for TableSource<K, V> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Option<V>>,
    ) -> Result<(), TaskError> {
        if self.null_keys.as_ref().is_some_and(|serde| serde.is_null(&record.key)) {
            ctx.drop_record(DropReason::NullKey);
            return Ok(());
        }
        self.output.set(ctx, record)
    }
}
