//! How a stream is joined with a table.

use std::fmt;
use std::time::Duration;

use oncestream_core::serde::{DynSerde, HasSerde};

use super::Named;
use crate::table::KTable;

/// The table that a stream is joined with, the serdes of the stream's records, and a name. A reference to a
/// table is one by itself, with the serdes of the types.
///
/// The serdes say what a null is, and write the repartition topic, if the stream needs one. The name is
/// that of the operator and of the topic.
///
/// ```
/// use oncestream_operators::{Joined, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// let users = builder.table::<i64, String>("users");
/// let orders = builder.stream::<String, i64>("orders").select_key(|_, user| *user);
/// orders.join_table(Joined::with(&users).name("of-user"), |_, name| name.clone()).to("buyers");
/// let topology = builder.build().unwrap();
/// assert!(topology.internal_topics("app").contains("app-of-user-repartition"));
/// ```
pub struct Joined<K, V, V2> {
    pub(crate) table: KTable<K, V2>,
    pub(crate) key_serde: DynSerde<K>,
    pub(crate) value_serde: DynSerde<V>,
    pub(crate) name: Option<Named>,
    pub(crate) grace: Option<Duration>,
}

impl<K, V, V2> Joined<K, V, V2> {
    /// This table, and the serdes of the types.
    pub fn with(table: &KTable<K, V2>) -> Self
    where
        K: HasSerde,
        V: HasSerde,
    {
        Self::serdes(table, K::serde(), V::serde())
    }

    /// This table, and these serdes of the stream's keys and values.
    pub fn serdes(table: &KTable<K, V2>, key: DynSerde<K>, value: DynSerde<V>) -> Self {
        Self { table: table.clone(), key_serde: key, value_serde: value, name: None, grace: None }
    }

    /// How long a record waits before it is joined, so that updates of the table may come late: until the
    /// stream's time has come to the record's own time plus `grace`. The table must be
    /// [versioned](crate::Materialized::versioned), and its history as long as the grace at least.
    ///
    /// The stream's time is the latest time of a record of this stream that has waited, in its partition. It
    /// stands still while no record of the stream comes. A record that is later than the grace is joined at
    /// once. What is joined is the value as of the record's time, as without a grace. Records come out in the
    /// order of their times, and of their keys' bytes.
    ///
    /// What waits is in a store with a changelog, named as the operator with `-Buffer`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{Joined, Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
    /// let prices = builder.table::<String, i64>("prices");
    /// let prices = prices.materialized(Materialized::named("prices").versioned(hour));
    /// let sales = builder.stream::<String, i64>("sales");
    /// let joined = Joined::with(&prices).grace(minute).name("priced");
    /// sales.join_table(joined, |number, price| number * price).to("turnover");
    /// assert!(builder.build().unwrap().store_names().contains("priced-Buffer"));
    /// ```
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace: Some(grace), ..self }
    }

    /// Another serde of the keys.
    #[must_use]
    pub fn key_serde(self, key: DynSerde<K>) -> Self {
        Self { key_serde: key, ..self }
    }

    /// Another serde of the stream's values.
    #[must_use]
    pub fn value_serde(self, value: DynSerde<V>) -> Self {
        Self { value_serde: value, ..self }
    }

    /// Names the operator, and the repartition topic if the stream needs one.
    #[must_use]
    pub fn name(self, name: impl Into<Named>) -> Self {
        Self { name: Some(name.into()), ..self }
    }
}

impl<K: HasSerde, V: HasSerde, V2> From<&KTable<K, V2>> for Joined<K, V, V2> {
    fn from(table: &KTable<K, V2>) -> Self {
        Self::with(table)
    }
}

impl<K, V, V2> Clone for Joined<K, V, V2> {
    fn clone(&self) -> Self {
        Self {
            table: self.table.clone(),
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            name: self.name.clone(),
            grace: self.grace,
        }
    }
}

impl<K, V, V2> fmt::Debug for Joined<K, V, V2> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joined")
            .field("table", &self.table)
            .field("name", &self.name)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}
