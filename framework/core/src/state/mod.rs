//! State: what backends offer, and the typed stores on top of them.

mod backend;

pub use backend::{Backend, BackendError, BatchOp, Keyspace, Pair, PairIter, WriteBatch};
