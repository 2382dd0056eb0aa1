//! `global_store`: a global table that a function of the user's own maintains.
//!
//! Kafka Streams' `addGlobalStore`. Its processor is a function here: what a processor keeps in its fields would
//! be lost with a crash, while the store goes on from its checkpoint; and schedules would make of the store what
//! does not follow from the topic.

use std::any::type_name;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use oncestream_core::Record;
use oncestream_core::error::BoxError;
use oncestream_core::graph::SourceTopics;
use oncestream_core::state::{KeyValueStore, Store};
use oncestream_core::task::{SourceConfig, SourceInstance};

use super::source::topic_of;
use super::{GlobalKTable, Info, StoreSerdes, check_that_it_keeps};
use crate::StreamsBuilder;
use crate::dsl::{Data, StoreKey};
use crate::options::{Consumed, Materialized};
use crate::processor::{
    ProcessingContext, Processor, ProcessorContext, ProcessorNode, StoreHandle, StoreRef, Stores,
};

impl StreamsBuilder {
    /// A store that every instance has as a whole, and that `maintain` makes of a topic: it is called with each
    /// record of all partitions, in the order of their offsets in each. What it writes can be
    /// [joined](crate::KStream::join_global) as a [`global_table`](Self::global_table) can, whose rules hold:
    /// restored before the start, then kept up to date, one topic with one reader, no timestamp extractor, no
    /// time to live.
    ///
    /// - **A restore calls the function too**, because only it knows what a record means for the store. The store
    ///   and how far it has come are written together, so the store has what the function made of each record
    ///   once, whatever crashes. If the disk is lost, or the store is too old, the store begins empty, and the
    ///   function is called with all records of the topic again.
    /// - What it writes should follow from the record and the store alone. Between partitions there is no
    ///   order, so each key of the store should come from one partition.
    /// - A record with a null key is dropped and counted. A value that may be null is an `Option`.
    /// - An error is left to `processing.exception.handler`, at the start as later.
    ///
    /// ```
    /// use oncestream_core::Record;
    /// use oncestream_operators::{GlobalKTable, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// // How often the price of an article has changed, on every instance.
    /// let changes: GlobalKTable<String, i64> =
    ///     builder.global_store("prices", "price-changes", |_, changes, price: Record<String, i64>| {
    ///         changes.update(&price.key, |count| count.unwrap_or(0) + 1)?;
    ///         Ok(())
    ///     });
    /// builder
    ///     .stream::<i64, String>("orders") // of an article
    ///     .left_join_global(&changes, |_, article| Some(article.clone()), |_, count| count.copied())
    ///     .to("changes-of-what-was-ordered");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn global_store<K, V, KS, VS, F>(
        &self,
        consumed: impl Into<Consumed<K, V>>,
        store: impl Into<Materialized<KS, VS>>,
        maintain: F,
    ) -> GlobalKTable<KS, VS>
    where
        K: Data,
        V: Data,
        KS: StoreKey,
        VS: Data,
        F: Fn(
                &mut ProcessingContext<'_>,
                &StoreHandle<KS, VS>,
                Record<K, V>,
            ) -> Result<(), BoxError>
            + Send
            + Sync
            + 'static,
    {
        let dsl = self.dsl.clone();
        let (mut consumed, store) = (consumed.into(), store.into());
        let topic = topic_of(&dsl, &mut consumed);
        let generated = store.store_name(&dsl, &format!("{topic}-"));
        check_that_it_keeps(&dsl, &generated.name, &store);
        if generated.generated {
            dsl.note_generated_store(&generated.name);
        }
        let source_name = dsl.suffixed(consumed.name.as_ref(), "-source", "KSTREAM-SOURCE-");
        let name = dsl.name(consumed.name.as_ref(), "KTABLE-SOURCE-");

        let config = SourceConfig { drop_null_keys: true, ..consumed.config };
        let Materialized { key_serde, value_serde, .. } = store;
        let serdes = Arc::new(StoreSerdes::new(key_serde, value_serde));
        let of_store = serdes.clone();
        let open = (&StoreRef::<KS, VS>::new(&generated.name, dsl.identity())).opener();
        let maintain = Arc::new(maintain);
        let source = dsl.graph(|g| {
            g.add_global_store(&generated.name, move |init| -> KeyValueStore<KS, VS> {
                let (key, value) = of_store.get().clone();
                Store::new(init, key, value)
            });
            let source = g.add_source(&source_name, SourceTopics::Global(topic), move |b, id| {
                SourceInstance::new(b, id, config.clone())
            });
            let stores = [Arc::from(generated.name.as_str())];
            g.add_processor(&name, &[source], &stores, move |b, id| {
                ProcessorNode::instantiate(b, id, type_name::<F>(), |b, now| {
                    let (store, maintain) = (open(b, id, now)?, maintain.clone());
                    Ok(Maintainer { store, maintain, types: PhantomData })
                })
            });
            source
        });
        // It has its name for good: `materialized` is refused as a second one.
        let named = OnceLock::from(generated.name.clone());
        let info = Rc::new(Info { generated, named, number: 0, until: 0 });
        GlobalKTable { dsl, source, serdes, info }
    }
}

/// The function as a processor.
struct Maintainer<K, V, KS, VS, F> {
    store: StoreHandle<KS, VS>,
    maintain: Arc<F>,
    types: PhantomData<fn(K, V)>,
}

impl<K, V, KS, VS, F> Processor for Maintainer<K, V, KS, VS, F>
where
    K: Data,
    V: Data,
    KS: StoreKey,
    VS: Data,
    F: Fn(&mut ProcessingContext<'_>, &StoreHandle<KS, VS>, Record<K, V>) -> Result<(), BoxError>
        + 'static,
{
    type KeyIn = K;
    type ValueIn = V;
    type KeyOut = ();
    type ValueOut = ();

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<K, V>,
    ) -> Result<(), BoxError> {
        (self.maintain)(ctx, &self.store, record)
    }
}
