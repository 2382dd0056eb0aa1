//! `global_table`: a whole topic as a table, on every instance.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use oncestream_core::Record;
use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::{SourceTopics, TopicRef};
use oncestream_core::state::{KeyValueStore, Store};
use oncestream_core::task::{Context, FailedAt, Node, SourceConfig, SourceInstance};

use super::{GlobalKTable, Info, StoreSerdes};
use crate::StreamsBuilder;
use crate::dsl::{Data, Dsl, StoreKey};
use crate::options::{Consumed, StoreName};
use crate::sources::told;
use crate::table::nullable;

impl StreamsBuilder {
    /// A whole topic as a table, which every instance has on its own disk: all partitions, whatever the group
    /// assigns. Each record sets its key, and one with a null value deletes it. Records with a null key are
    /// dropped and counted, and those that cannot be read are left to the deserialisation handler, at the
    /// start as later.
    ///
    /// [`KStream::join_global`](crate::KStream::join_global) looks keys up in it: by any key, without a
    /// repartition, and whatever number of partitions the topics have. It suits topics that are small enough
    /// to be on each instance and are not written all the time.
    ///
    /// An instance has restored the table before it starts: all that was committed in the topic then, from
    /// a checkpoint on its disk, within `global.restore.timeout.ms`. From then on a thread keeps it up to date.
    /// **A join is not repeatable**: it finds what the table has when the record is processed, and after a crash
    /// that may be something newer. For results that follow from the records alone, use
    /// [`table`](Self::table).
    ///
    /// `build` refuses more than one topic, a pattern and a timestamp extractor
    /// ([`TopologyError::InvalidGlobalTable`]), and a topic that is read in another way as well
    /// ([`TopologyError::GlobalTopicRead`]).
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let countries = builder.global_table::<String, String>("countries");
    /// builder
    ///     .stream::<i64, String>("visits") // of a user, with the code of a country
    ///     .join_global(&countries, |_, code| Some(code.clone()), |_, country| country.clone())
    ///     .to("visited");
    /// assert!(builder.build().unwrap().describe().contains("for global store"));
    /// ```
    pub fn global_table<K: StoreKey, V: Data>(
        &self,
        consumed: impl Into<Consumed<K, V>>,
    ) -> GlobalKTable<K, V> {
        let dsl = self.dsl.clone();
        let mut consumed = consumed.into();
        let topic = topic_of(&dsl, &mut consumed);
        let number = dsl.next_number();
        let generated = StoreName::generate(&dsl, &format!("{topic}-"));
        let source_name = dsl.suffixed(consumed.name.as_ref(), "-source", "KSTREAM-SOURCE-");
        let name = dsl.name(consumed.name.as_ref(), "KTABLE-SOURCE-");
        let until = dsl.next_number();
        dsl.note_generated_store(&generated.name);

        let SourceConfig { key_serde, value_serde, .. } = consumed.config.clone();
        let serdes = Arc::new(StoreSerdes::new(key_serde, value_serde));
        let config = nullable(consumed).config;
        let of_store = serdes.clone();
        let source = dsl.graph(|g| {
            g.add_global_store(&generated.name, move |init| -> KeyValueStore<K, V> {
                let (key, value) = of_store.get().clone();
                Store::new(init, key, value)
            });
            let source = g.add_source(&source_name, SourceTopics::Global(topic), move |b, id| {
                SourceInstance::new(b, id, config.clone())
            });
            let store: Arc<str> = generated.name.as_str().into();
            g.add_processor(&name, &[source], &[store], |b, id| {
                let store = b.only_store(id)?;
                let name = b.node_name(id);
                Ok(Box::new(GlobalSource::<K, V> { store, name }) as Box<dyn Node<K, Option<V>>>)
            });
            source
        });
        let info = Rc::new(Info { generated, named: OnceLock::new(), number, until });
        GlobalKTable { dsl, source, serdes, info }
    }
}

/// The one topic that is read. Several, a pattern and a timestamp extractor are faults.
pub(super) fn topic_of<K, V>(dsl: &Dsl, consumed: &mut Consumed<K, V>) -> Arc<str> {
    let topics = std::mem::take(&mut consumed.topics).0;
    let topic = match &topics {
        SourceTopics::Topics(named) if named.len() < 2 => {
            named.first().map(TopicRef::display_name).unwrap_or_default().into()
        }
        other => {
            let reason = "it reads one topic; make one for each, or read them with stream()";
            let topics = told(other);
            dsl.fail(TopologyError::InvalidGlobalTable { topics, reason });
            Arc::from("")
        }
    };
    if consumed.extractor.is_some() {
        let reason =
            "its records keep the time they were written with; leave the timestamp extractor out";
        dsl.fail(TopologyError::InvalidGlobalTable { topics: told(&topics), reason });
    }
    topic
}

/// Puts each record into the store.
struct GlobalSource<K, V> {
    store: Rc<RefCell<KeyValueStore<K, V>>>,
    name: Arc<str>,
}

impl<K: StoreKey, V: Data> Node<K, Option<V>> for GlobalSource<K, V> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Option<V>>,
    ) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        match self.store.borrow_mut().put(key, value, timestamp) {
            Ok(_) => Ok(()),
            // Too large a key is the record's fault, which the processing handler decides about.
            Err(error) if error.is_of_record() => {
                let at = FailedAt { node: &self.name, timestamp, headers: &headers };
                ctx.processing_failed(at, std::any::type_name::<TaskError>(), Box::new(error))
            }
            Err(error) => Err(error),
        }
    }
}
