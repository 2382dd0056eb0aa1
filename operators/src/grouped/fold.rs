//! What aggregations do with a record: the same for all windows, and for none.

use oncestream_core::Record;
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::DynSerde;

use crate::dsl::Data;

/// Makes a value of the records of a key.
pub(crate) trait Fold<K, V, A>: Send + Sync + 'static {
    /// What it begins with, if that is a value: Kafka Streams takes it for the old value of a first
    /// result.
    fn initial(&self) -> Option<A>;

    /// The new value; `None` deletes it. `old` is `None` where there is no value yet.
    fn fold(&self, key: &K, value: V, old: Option<A>) -> Option<A>;
}

/// Which part of a record is a null, where an aggregation drops both.
pub(crate) fn null_in<K, V>(
    record: &Record<K, V>,
    key_serde: &DynSerde<K>,
    value_serde: &DynSerde<V>,
) -> Option<DropReason> {
    if key_serde.is_null(&record.key) {
        return Some(DropReason::NullKey);
    }
    value_serde.is_null(&record.value).then_some(DropReason::NullValue)
}

/// A fold for sessions too, which a record may join.
pub(crate) trait Merge<K, V, A>: Fold<K, V, A> {
    /// The value of two sessions that became one. The first may be of no record yet.
    fn merge(&self, key: &K, one: Option<A>, two: A) -> Option<A>;
}

/// `count`.
pub(crate) struct Counting;

impl<K, V> Fold<K, V, i64> for Counting {
    fn initial(&self) -> Option<i64> {
        Some(0)
    }

    fn fold(&self, _key: &K, _value: V, old: Option<i64>) -> Option<i64> {
        Some(old.unwrap_or(0) + 1)
    }
}

impl<K, V> Merge<K, V, i64> for Counting {
    fn merge(&self, _key: &K, one: Option<i64>, two: i64) -> Option<i64> {
        Some(one.unwrap_or(0) + two)
    }
}

/// `reduce`.
pub(crate) struct Reducing<F>(pub(crate) F);

impl<K, V, R, F> Fold<K, V, V> for Reducing<F>
where
    R: Into<Option<V>>,
    F: Fn(V, V) -> R + Send + Sync + 'static,
{
    fn initial(&self) -> Option<V> {
        None
    }

    fn fold(&self, _key: &K, value: V, old: Option<V>) -> Option<V> {
        match old {
            Some(old) => (self.0)(old, value).into(),
            None => Some(value),
        }
    }
}

impl<K, V, R, F> Merge<K, V, V> for Reducing<F>
where
    R: Into<Option<V>>,
    F: Fn(V, V) -> R + Send + Sync + 'static,
{
    fn merge(&self, _key: &K, one: Option<V>, two: V) -> Option<V> {
        match one {
            Some(one) => (self.0)(one, two).into(),
            None => Some(two),
        }
    }
}

/// `aggregate`.
pub(crate) struct Aggregating<I, F> {
    pub(crate) initializer: I,
    pub(crate) aggregator: F,
}

impl<K, V, A: Data, R, I, F> Fold<K, V, A> for Aggregating<I, F>
where
    R: Into<Option<A>>,
    I: Fn() -> A + Send + Sync + 'static,
    F: Fn(&K, V, A) -> R + Send + Sync + 'static,
{
    fn initial(&self) -> Option<A> {
        Some((self.initializer)())
    }

    fn fold(&self, key: &K, value: V, old: Option<A>) -> Option<A> {
        (self.aggregator)(key, value, old.unwrap_or_else(&self.initializer)).into()
    }
}

/// `aggregate` in sessions.
pub(crate) struct Merging<I, F, M> {
    pub(crate) aggregating: Aggregating<I, F>,
    pub(crate) merger: M,
}

impl<K, V, A: Data, R, I, F, M> Fold<K, V, A> for Merging<I, F, M>
where
    R: Into<Option<A>>,
    I: Fn() -> A + Send + Sync + 'static,
    F: Fn(&K, V, A) -> R + Send + Sync + 'static,
    M: Send + Sync + 'static,
{
    fn initial(&self) -> Option<A> {
        Some((self.aggregating.initializer)())
    }

    fn fold(&self, key: &K, value: V, old: Option<A>) -> Option<A> {
        self.aggregating.fold(key, value, old)
    }
}

impl<K, V, A: Data, R, Q, I, F, M> Merge<K, V, A> for Merging<I, F, M>
where
    R: Into<Option<A>>,
    Q: Into<Option<A>>,
    I: Fn() -> A + Send + Sync + 'static,
    F: Fn(&K, V, A) -> R + Send + Sync + 'static,
    M: Fn(&K, A, A) -> Q + Send + Sync + 'static,
{
    fn merge(&self, key: &K, one: Option<A>, two: A) -> Option<A> {
        let one = one.unwrap_or_else(&self.aggregating.initializer);
        (self.merger)(key, one, two).into()
    }
}
