//! State: what backends offer, and the typed stores on top of them.

mod backend;
mod cache;
mod checkpoint;
mod key_value;
mod overlay;
mod range;
mod store;

pub use backend::{
    Backend, BackendError, BatchOp, Keyspace, MAX_KEY_BYTES, Pair, PairIter, WriteBatch,
};
pub use cache::CacheBudget;
pub use checkpoint::{CHECKPOINTS, Checkpoint, Incarnation};
pub use key_value::{Emission, KeyValueStore, Pending, Update, ValueAndTimestamp};
pub use range::{Entry, RangeIter};
pub use store::{ChangelogTarget, StateStore, StoreInit, StoreInstance};
