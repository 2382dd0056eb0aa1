//! What operators may be told beside their functions: names, serdes, topics.

mod consumed;
mod grouped;
mod materialized;
mod named;
mod produced;
mod repartitioned;

pub use consumed::Consumed;
pub use grouped::Grouped;
pub use materialized::{KeyValueStoreBuilder, Materialized};
pub use named::Named;
pub use produced::Produced;
pub use repartitioned::Repartitioned;
