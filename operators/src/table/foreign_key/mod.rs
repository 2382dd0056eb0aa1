//! `foreign_key_join` and `left_foreign_key_join`: a table with the rows of another that its values name.
//!
//! The tables have different keys, so they are partitioned differently. The left table subscribes to rows
//! of the other through one topic, and gets its answers through another:
//!
//! ```text
//!   left table -> sender => subscription topic => receiver -> answerer
//!                                                 (store)        |
//!                                foreign table -> notifier       |
//!                                                    |           |
//!   results <- resolver <========== response topic <=+===========+
//! ```
//!
//! The rules and all bytes are those of Kafka Streams (`kstream.internals.foreignkeyjoin`), but for what is
//! [in doubt](doubts). Nothing is remembered outside of stores from one commit to the next, so a crash changes no
//! result.

mod answerer;
mod codec;
mod combined_key;
mod doubts;
#[cfg(test)]
mod format_tests;
mod join;
mod murmur3;
mod names;
mod notifier;
mod receiver;
mod resolver;
mod response;
mod result;
mod sender;
mod subscription;

use oncestream_core::serde::HasSerde;

use super::KTable;
use crate::dsl::{Data, StoreKey};
use crate::options::TableJoined;

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// Joins each row with the row of another table whose key is `foreign_key(value)`. A change on either
    /// side gives the new result. A row without a foreign key (`None`), or whose foreign key has no row,
    /// has no result.
    ///
    /// Several rows may have the same foreign key: a change of that row of the other table gives a result
    /// for each of them.
    ///
    /// ```
    /// use oncestream_operators::{KTable, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// // The number of an order, with the name of its user; the name of a user, with the address.
    /// let orders: KTable<i64, String> = builder.table("orders");
    /// let users: KTable<String, String> = builder.table("users");
    /// orders
    ///     .foreign_key_join(&users, |user| Some(user.clone()), |user, address| format!("{user}, {address}"))
    ///     .to_stream()
    ///     .to("orders-with-addresses");
    /// # assert!(builder.build().is_ok());
    /// ```
    ///
    /// - Both tables get a store if they have none.
    /// - The join has two topics of its own, and a store with a changelog for who has asked for which row.
    ///   Their names begin with that of the join: [`TableJoined::name`], or the name that was
    ///   [given before](Self::named).
    /// - The result has a store if it is [materialized](Self::materialized), or if an operator below
    ///   needs it. Without one it may tell of the deletion of a key that had no result, as in Kafka
    ///   Streams.
    /// - A result has the later time of the two rows if the left row has changed, and the time of the
    ///   change if the other row has.
    /// - A foreign value that has no bytes, such as an empty text, counts as none, as in Kafka Streams.
    /// - While results are under way, a left row may change again. Results of its older values are
    ///   dropped and counted; the join tells of the newest one.
    ///
    /// Behind `map_values` nobody knows how values become bytes: materialize such a table, or give the join
    /// the serde ([`TableJoined::value_serde`]). `build` refuses the join otherwise
    /// ([`TopologyError::NoSerde`](oncestream_core::error::TopologyError::NoSerde)).
    pub fn foreign_key_join<KO, VO, R, F, J>(
        &self,
        other: impl Into<TableJoined<K, V, KO, VO>>,
        foreign_key: F,
        joiner: J,
    ) -> KTable<K, R>
    where
        KO: StoreKey,
        VO: Data,
        R: Data + HasSerde,
        F: Fn(&V) -> Option<KO> + Send + Sync + 'static,
        J: Fn(&V, &VO) -> R + Send + Sync + 'static,
    {
        let joiner = move |_: &K, value: &V, other: &VO| joiner(value, other);
        self.foreign_key_join_with_key(other, move |_, value| foreign_key(value), joiner)
    }

    /// [`Self::foreign_key_join`] whose functions get the key too.
    pub fn foreign_key_join_with_key<KO, VO, R, F, J>(
        &self,
        other: impl Into<TableJoined<K, V, KO, VO>>,
        foreign_key: F,
        joiner: J,
    ) -> KTable<K, R>
    where
        KO: StoreKey,
        VO: Data,
        R: Data + HasSerde,
        F: Fn(&K, &V) -> Option<KO> + Send + Sync + 'static,
        J: Fn(&K, &V, &VO) -> R + Send + Sync + 'static,
    {
        let joiner = move |key: &K, value: &V, other: Option<&VO>| {
            other.map(|other| joiner(key, value, other))
        };
        self.join_by_foreign_key(other.into(), false, foreign_key, joiner)
    }

    /// Joins each row with the row of another table whose key is `foreign_key(value)`, or with `None`
    /// where there is no such row, or no foreign key. Otherwise as [`Self::foreign_key_join`].
    ///
    /// ```
    /// use oncestream_operators::{KTable, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let orders: KTable<i64, String> = builder.table("orders");
    /// let users: KTable<String, String> = builder.table("users");
    /// orders
    ///     .left_foreign_key_join(
    ///         &users,
    ///         |user| Some(user.clone()),
    ///         |user, address| format!("{user}, {}", address.map_or("address unknown", |a| a)),
    ///     )
    ///     .to_stream()
    ///     .to("orders-with-addresses");
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn left_foreign_key_join<KO, VO, R, F, J>(
        &self,
        other: impl Into<TableJoined<K, V, KO, VO>>,
        foreign_key: F,
        joiner: J,
    ) -> KTable<K, R>
    where
        KO: StoreKey,
        VO: Data,
        R: Data + HasSerde,
        F: Fn(&V) -> Option<KO> + Send + Sync + 'static,
        J: Fn(&V, Option<&VO>) -> R + Send + Sync + 'static,
    {
        let joiner = move |_: &K, value: &V, other: Option<&VO>| joiner(value, other);
        self.left_foreign_key_join_with_key(other, move |_, value| foreign_key(value), joiner)
    }

    /// [`Self::left_foreign_key_join`] whose functions get the key too.
    pub fn left_foreign_key_join_with_key<KO, VO, R, F, J>(
        &self,
        other: impl Into<TableJoined<K, V, KO, VO>>,
        foreign_key: F,
        joiner: J,
    ) -> KTable<K, R>
    where
        KO: StoreKey,
        VO: Data,
        R: Data + HasSerde,
        F: Fn(&K, &V) -> Option<KO> + Send + Sync + 'static,
        J: Fn(&K, &V, Option<&VO>) -> R + Send + Sync + 'static,
    {
        let joiner = move |key: &K, value: &V, other: Option<&VO>| Some(joiner(key, value, other));
        self.join_by_foreign_key(other.into(), true, foreign_key, joiner)
    }
}
