//! `to_stream`: a table's changes as a stream; a deletion is `None`.

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, Node};

use super::{Change, KTable};
use crate::dsl::{Data, StoreKey};
use crate::stream::KStream;

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// The changes of the table, each with its new value; `None` where the key was deleted.
    ///
    /// If the table has a store and caching is on, it is one change per key and commit.
    ///
    /// ```
    /// use oncestream_operators::{KStream, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let changes: KStream<String, Option<i64>> = builder.table::<String, i64>("stock").to_stream();
    /// changes.filter_map_values(|left| left).to("left");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn to_stream(&self) -> KStream<K, Option<V>> {
        let name = self.dsl.name(self.next_name.take(), "KTABLE-TOSTREAM-");
        let node = self.dsl.graph(|g| {
            g.add_processor(&name, &[self.node], &[], move |b, id| {
                Ok(Box::new(ToStream { out: b.downstream::<K, Option<V>>(id)? }))
            })
        });
        KStream::new(self.dsl.clone(), node, false)
    }

    /// [`Self::to_stream`], with another key for each change: what `selector(&key, value)` gives, where the
    /// value is `None` if the key was deleted. A grouping after it sends the records through a repartition
    /// topic.
    ///
    /// ```
    /// use oncestream_operators::{KStream, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let users = builder.table::<i64, String>("names-of-users");
    /// let of_all: KStream<bool, Option<String>> = users.to_stream_with_key(|_, name| name.is_some());
    /// of_all.to("by-whether-there-is-one");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn to_stream_with_key<K2: Data, F>(&self, selector: F) -> KStream<K2, Option<V>>
    where
        F: Fn(&K, Option<&V>) -> K2 + Send + Sync + 'static,
    {
        self.to_stream().select_key(move |key, value| selector(key, value.as_ref()))
    }
}

struct ToStream<K, V> {
    out: Downstream<K, Option<V>>,
}

impl<K: Data, V: Data> Node<K, Change<V>> for ToStream<K, V> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Change<V>>,
    ) -> Result<(), TaskError> {
        self.out.forward(ctx, record.map_value(|change| change.new))
    }
}
