//! `join_global` and `left_join_global`: each record with what a global table has for a key of it.
//!
//! Kafka Streams' `KStreamKTableJoinProcessor` on a `GlobalKTable`. The generated names of both begin with
//! `KSTREAM-LEFTJOIN-`, as there.

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::handlers::DropReason;
use oncestream_core::state::GlobalReader;
use oncestream_core::task::{Context, Downstream, Node};

use super::KStream;
use crate::dsl::{Data, StoreKey};
use crate::global_table::GlobalKTable;
use crate::optimization::Effect;

const PREFIX: &str = "KSTREAM-LEFTJOIN-";

impl<K: Data, V: Data> KStream<K, V> {
    /// Joins each record with the value that a global table has for `mapper(key, value)`, if it has one. The
    /// result has the record's key and time.
    ///
    /// A record for which the mapper gives `None` is dropped and counted. One whose key the table does not
    /// have is left out, and not counted. A change of the table joins nothing: it is found by the records that
    /// come after it.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// let users = builder.global_table::<i64, String>("users");
    /// builder
    ///     .stream::<String, i64>("clicks") // on a page, by a user
    ///     .join_global(&users, |_, user| Some(*user), |user, name| format!("{user}: {name}"))
    ///     .to("clicks-with-names");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn join_global<KG, VG, R, M, F>(
        &self,
        table: &GlobalKTable<KG, VG>,
        mapper: M,
        joiner: F,
    ) -> KStream<K, R>
    where
        KG: StoreKey,
        VG: Data,
        R: Data,
        M: Fn(&K, &V) -> Option<KG> + Send + Sync + 'static,
        F: Fn(&V, &VG) -> R + Send + Sync + 'static,
    {
        self.join_global_with_key(table, mapper, move |_, value, found| joiner(value, found))
    }

    /// [`Self::join_global`] with a joiner that is lent the record's key too.
    pub fn join_global_with_key<KG, VG, R, M, F>(
        &self,
        table: &GlobalKTable<KG, VG>,
        mapper: M,
        joiner: F,
    ) -> KStream<K, R>
    where
        KG: StoreKey,
        VG: Data,
        R: Data,
        M: Fn(&K, &V) -> Option<KG> + Send + Sync + 'static,
        F: Fn(&K, &V, &VG) -> R + Send + Sync + 'static,
    {
        self.look_up(table, mapper, true, move |key, value, found: Option<&VG>| {
            found.map(|found| joiner(key, value, found))
        })
    }

    /// Joins each record with the value that a global table has for `mapper(key, value)`; with `None` if it has
    /// none, or if the mapper gives none. Nothing is dropped.
    ///
    /// ```
    /// # let builder = oncestream_operators::StreamsBuilder::new();
    /// let users = builder.global_table::<i64, String>("users");
    /// builder
    ///     .stream::<String, i64>("clicks")
    ///     .left_join_global(
    ///         &users,
    ///         |_, user| Some(*user),
    ///         |_, name| name.map_or("somebody", String::as_str).to_owned(),
    ///     )
    ///     .to("names");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn left_join_global<KG, VG, R, M, F>(
        &self,
        table: &GlobalKTable<KG, VG>,
        mapper: M,
        joiner: F,
    ) -> KStream<K, R>
    where
        KG: StoreKey,
        VG: Data,
        R: Data,
        M: Fn(&K, &V) -> Option<KG> + Send + Sync + 'static,
        F: Fn(&V, Option<&VG>) -> R + Send + Sync + 'static,
    {
        self.left_join_global_with_key(table, mapper, move |_, value, found| joiner(value, found))
    }

    /// [`Self::left_join_global`] with a joiner that is lent the record's key too.
    pub fn left_join_global_with_key<KG, VG, R, M, F>(
        &self,
        table: &GlobalKTable<KG, VG>,
        mapper: M,
        joiner: F,
    ) -> KStream<K, R>
    where
        KG: StoreKey,
        VG: Data,
        R: Data,
        M: Fn(&K, &V) -> Option<KG> + Send + Sync + 'static,
        F: Fn(&K, &V, Option<&VG>) -> R + Send + Sync + 'static,
    {
        self.look_up(table, mapper, false, move |key, value, found: Option<&VG>| {
            Some(joiner(key, value, found))
        })
    }

    fn look_up<KG, VG, R, M, F>(
        &self,
        table: &GlobalKTable<KG, VG>,
        mapper: M,
        needs_key: bool,
        joiner: F,
    ) -> KStream<K, R>
    where
        KG: StoreKey,
        VG: Data,
        R: Data,
        M: Fn(&K, &V) -> Option<KG> + Send + Sync + 'static,
        F: Fn(&K, &V, Option<&VG>) -> Option<R> + Send + Sync + 'static,
    {
        if !self.dsl.is(&table.dsl) {
            let node = self.next_name.take().map_or(PREFIX, |name| name.as_str()).to_owned();
            self.dsl.fail(TopologyError::ForeignHandle { node });
        }
        let (mapper, joiner) = (Arc::new(mapper), Arc::new(joiner));
        let (source, serdes) = (table.source, table.serdes.clone());
        self.add(PREFIX, Effect::Values, move |b, id| {
            let (key_serde, value_serde) = serdes.get().clone();
            Ok(Box::new(JoinGlobal {
                table: b.global_table(source, key_serde, value_serde)?,
                mapper: mapper.clone(),
                joiner: joiner.clone(),
                needs_key,
                out: b.downstream(id)?,
            }))
        })
    }
}

struct JoinGlobal<K, KG, VG, R, M, F> {
    table: GlobalReader<KG, VG>,
    mapper: Arc<M>,
    joiner: Arc<F>,
    /// A record without a key for the table is dropped.
    needs_key: bool,
    out: Downstream<K, R>,
}

impl<K: Data, V, KG, VG, R: Data, M, F> Node<K, V> for JoinGlobal<K, KG, VG, R, M, F>
where
    M: Fn(&K, &V) -> Option<KG>,
    F: Fn(&K, &V, Option<&VG>) -> Option<R>,
{
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        let Record { key, value, timestamp, headers } = record;
        let found = match (self.mapper)(&key, &value) {
            Some(of_table) => self.table.get(&of_table)?,
            None if self.needs_key => {
                ctx.drop_record(DropReason::NullKey);
                return Ok(());
            }
            None => None,
        };
        let found = found.as_ref().map(|found| &found.value);
        match (self.joiner)(&key, &value, found) {
            Some(value) => self.out.forward(ctx, Record { key, value, timestamp, headers }),
            None => Ok(()),
        }
    }
}
