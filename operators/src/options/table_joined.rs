//! [`TableJoined`]: what a foreign-key join is told beside its functions.

use std::fmt;
use std::sync::Arc;

use oncestream_core::serde::DynSerde;

use super::Named;
use crate::table::KTable;

/// Picks a partition from a key and the number of partitions.
pub(crate) type ByKey<K> = Arc<dyn Fn(&K, i32) -> Option<i32> + Send + Sync>;

/// The other table of a foreign-key join, the join's name, and how the tables are partitioned. The table
/// by itself is one.
///
/// ```
/// use oncestream_operators::{KTable, StreamsBuilder, TableJoined};
/// let builder = StreamsBuilder::new();
/// let orders: KTable<i64, String> = builder.table("orders");
/// let users: KTable<String, String> = builder.table("users");
/// let joined = TableJoined::with(&users).name("orders-of-users");
/// orders
///     .foreign_key_join(joined, |order| Some(order.clone()), |order, user| format!("{order} {user}"))
///     .to_stream()
///     .to("joined");
/// let topics = builder.build().unwrap().internal_topics("app");
/// assert!(topics.contains("app-orders-of-users-subscription-registration-topic"));
/// assert!(topics.contains("app-orders-of-users-subscription-response-topic"));
/// ```
pub struct TableJoined<K, V, KO, VO> {
    pub(crate) other: KTable<KO, VO>,
    pub(crate) name: Option<Named>,
    pub(crate) value_serde: Option<DynSerde<V>>,
    pub(crate) other_value_serde: Option<DynSerde<VO>>,
    pub(crate) partitioner: Option<ByKey<K>>,
    pub(crate) other_partitioner: Option<ByKey<KO>>,
}

impl<K, V, KO, VO> TableJoined<K, V, KO, VO> {
    /// This table.
    pub fn with(other: &KTable<KO, VO>) -> Self {
        Self {
            other: other.clone(),
            name: None,
            value_serde: None,
            other_value_serde: None,
            partitioner: None,
            other_partitioner: None,
        }
    }

    /// A name for the join, which begins the names of its nodes, its topics and its store. With a name, a
    /// join that is added or removed elsewhere changes none of them.
    #[must_use]
    pub fn name(mut self, name: impl Into<Named>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The serde of the left table's values, by whose bytes an answer is recognised. It is needed behind
    /// `map_values`, unless that table is materialized.
    #[must_use]
    pub fn value_serde(mut self, serde: DynSerde<V>) -> Self {
        self.value_serde = Some(serde);
        self
    }

    /// The serde of the other table's values, which are sent. It is needed behind `map_values`, unless that
    /// table is materialized.
    #[must_use]
    pub fn other_value_serde(mut self, serde: DynSerde<VO>) -> Self {
        self.other_value_serde = Some(serde);
        self
    }

    /// How the topic of the left table is partitioned: the partition for a key and the number of
    /// partitions. Without it, a response goes to the partition that its left row came from, however that
    /// is partitioned. `None`, and an answer that is no partition, mean what they mean to
    /// [`Produced::partitioner`](crate::Produced::partitioner).
    #[must_use]
    pub fn partitioner(
        mut self,
        choose: impl Fn(&K, i32) -> Option<i32> + Send + Sync + 'static,
    ) -> Self {
        self.partitioner = Some(Arc::new(choose));
        self
    }

    /// How the topic of the other table is partitioned: the partition for a foreign key and the number of
    /// partitions. It is needed if that is not as Java producers partition by default, because a
    /// subscription must come to where its foreign key is.
    #[must_use]
    pub fn other_partitioner(
        mut self,
        choose: impl Fn(&KO, i32) -> Option<i32> + Send + Sync + 'static,
    ) -> Self {
        self.other_partitioner = Some(Arc::new(choose));
        self
    }
}

impl<K, V, KO, VO> From<&KTable<KO, VO>> for TableJoined<K, V, KO, VO> {
    fn from(other: &KTable<KO, VO>) -> Self {
        Self::with(other)
    }
}

impl<K, V, KO, VO> Clone for TableJoined<K, V, KO, VO> {
    fn clone(&self) -> Self {
        Self {
            other: self.other.clone(),
            name: self.name.clone(),
            value_serde: self.value_serde.clone(),
            other_value_serde: self.other_value_serde.clone(),
            partitioner: self.partitioner.clone(),
            other_partitioner: self.other_partitioner.clone(),
        }
    }
}

impl<K, V, KO, VO> fmt::Debug for TableJoined<K, V, KO, VO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableJoined")
            .field("other", &self.other)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
