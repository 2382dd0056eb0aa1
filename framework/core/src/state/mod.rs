//! State: what backends offer, and the typed stores on top of them.
//!
//! A store ([`Store`]) is put together from parts that know little of each other: the overlay (slots,
//! layers, eviction), the row codec, the order of what is uncommitted, pending changes, the changelog
//! writer. What makes a kind of store is one file under `kinds`.

mod backend;
mod batch;
mod cache;
mod changelog;
mod checkpoint;
mod codec;
mod expiry;
mod global_reader;
mod instance;
mod kinds;
mod order;
mod overlay;
mod pending;
mod range;
mod rows;
mod sealed;
mod store;

pub use backend::{Backend, BackendError, Keyspace, MAX_KEY_BYTES, Pair, PairIter};
pub use batch::WriteBatch;
pub use cache::CacheBudget;
pub use checkpoint::{CHECKPOINTS, Checkpoint, Incarnation};
pub use expiry::index_keyspace;
pub use global_reader::GlobalReader;
pub use instance::{ChangelogTarget, StateStore, StoreInit, StoreInstance};
pub use kinds::Kind;
pub use kinds::key_value::{KeyValue, KeyValueStore};
pub use kinds::session::{Session, SessionKey, SessionStore};
pub use kinds::versioned::{Version, VersionKey, VersionPut, Versioned, VersionedStore};
pub use kinds::window::{Window, WindowKey, WindowStore};
pub use pending::{Emission, Pending, Update};
pub use range::{Entry, RangeIter};
pub use rows::BatchOp;
pub use sealed::SealedLayer;
pub use store::{Store, ValueAndTimestamp};
