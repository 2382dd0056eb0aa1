//! The names of a join's nodes and stores: those of Kafka Streams' `KStreamImplJoin`.

use std::sync::Arc;

use crate::dsl::{Data, Dsl, StoreKey};
use crate::options::{Named, StreamJoined};

/// The names of a join.
pub(super) struct JoinNames {
    pub(super) keep_left: String,
    pub(super) keep_right: String,
    pub(super) join_left: String,
    pub(super) join_right: String,
    pub(super) merge: String,
    pub(super) left_store: Arc<str>,
    pub(super) right_store: Arc<str>,
    /// Of what was joined with none.
    pub(super) waiting_store: Arc<str>,
    /// The stores' names are generated.
    pub(super) stores_generated: bool,
}

impl JoinNames {
    /// `left_alone` and `right_alone` say whether a record of that stream that was joined with none is a
    /// result. Numbers are used up as in Kafka Streams, also by what is named.
    pub(super) fn generate<K: StoreKey, L: Data, R: Data>(
        dsl: &Dsl,
        joined: &StreamJoined<K, L, R>,
        (left_alone, right_alone): (bool, bool),
    ) -> Self {
        let named = joined.name.as_deref().map(Named::new);
        let named = named.as_ref();
        let keep_left = dsl.suffixed(named, "-this-windowed", "KSTREAM-WINDOWED-");
        let keep_right = dsl.suffixed(named, "-other-windowed", "KSTREAM-WINDOWED-");
        // Each side is named for what becomes of the other one's records.
        let (this_suffix, this_prefix) = if right_alone {
            ("-outer-this-join", "KSTREAM-OUTERTHIS-")
        } else {
            ("-this-join", "KSTREAM-JOINTHIS-")
        };
        let (other_suffix, other_prefix) = if left_alone {
            ("-outer-other-join", "KSTREAM-OUTEROTHER-")
        } else {
            ("-other-join", "KSTREAM-JOINOTHER-")
        };
        let (this, other) = (dsl.generated(this_prefix), dsl.generated(other_prefix));
        let merge = dsl.suffixed(named, "-merge", "KSTREAM-MERGE-");
        let number = this.strip_prefix(this_prefix).unwrap_or_default();
        let shared_suffix = if right_alone { "-outer-shared-join" } else { "-left-shared-join" };
        let [left_store, right_store, waiting_store] = match &joined.store_name {
            Some(name) => {
                [this_suffix, other_suffix, shared_suffix].map(|s| format!("{name}{s}-store"))
            }
            None => [
                format!("{this}-store"),
                format!("{other}-store"),
                format!("KSTREAM-OUTERSHARED-{number}-store"),
            ],
        };
        let of_join = |suffix, generated| match named {
            Some(name) => format!("{}{suffix}", name.as_str()),
            None => generated,
        };
        Self {
            keep_left,
            keep_right,
            join_left: of_join(this_suffix, this),
            join_right: of_join(other_suffix, other),
            merge,
            left_store: left_store.into(),
            right_store: right_store.into(),
            waiting_store: waiting_store.into(),
            stores_generated: joined.store_name.is_none(),
        }
    }
}
