//! What an id is compared with: the ids of one key, or all of the partition.

use std::sync::Arc;

use oncestream_core::serde::{DynSerde, PairSerde};

use crate::dsl::{Data, StoreKey};

/// How a key and an id make the key of a row, without a clone of either.
pub(super) trait Scope<K, Id>: 'static {
    type Row: StoreKey;
    /// What of the key is not in the row.
    type Rest;

    fn serde(key: DynSerde<K>, id: DynSerde<Id>) -> DynSerde<Self::Row>;

    fn row(key: K, id: Id) -> (Self::Row, Self::Rest);

    /// Gives the key back.
    fn key(row: Self::Row, rest: Self::Rest) -> K;
}

/// Ids of one key.
pub(super) struct PerKey;

impl<K: StoreKey, Id: StoreKey> Scope<K, Id> for PerKey {
    type Row = (K, Id);
    type Rest = ();

    fn serde(key: DynSerde<K>, id: DynSerde<Id>) -> DynSerde<(K, Id)> {
        Arc::new(PairSerde::new(key, id))
    }

    fn row(key: K, id: Id) -> ((K, Id), ()) {
        ((key, id), ())
    }

    fn key((key, _): (K, Id), (): ()) -> K {
        key
    }
}

/// Ids of all keys.
pub(super) struct AcrossKeys;

impl<K: Data, Id: StoreKey> Scope<K, Id> for AcrossKeys {
    type Row = Id;
    type Rest = K;

    fn serde(_key: DynSerde<K>, id: DynSerde<Id>) -> DynSerde<Id> {
        id
    }

    fn row(key: K, id: Id) -> (Id, K) {
        (id, key)
    }

    fn key(_id: Id, key: K) -> K {
        key
    }
}
