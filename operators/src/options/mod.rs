//! What operators may be told beside their functions: names, serdes, topics.
//!
//! Each is an argument `impl Into<..>`, so that a name alone will do. Each has the same four ways to
//! make it: `new` takes the serdes of the types and no name, `named` a name, `serdes` serdes, `with`
//! both.

mod branched;
mod buffer_config;
mod consumed;
mod deduplicated;
mod grouped;
mod joined;
mod materialized;
mod named;
mod optimization;
mod printed;
mod produced;
mod repartitioned;
mod stream_joined;
mod suppressed;
mod table_joined;
mod topics;

pub use branched::Branched;
pub(crate) use buffer_config::Bounds;
pub use buffer_config::{BufferConfig, EagerBuffer, StrictBuffer};
pub use consumed::Consumed;
pub use deduplicated::Deduplicated;
pub use grouped::Grouped;
pub use joined::Joined;
pub use materialized::Materialized;
pub(crate) use materialized::StoreName;
pub use named::Named;
pub use optimization::Optimization;
pub(crate) use printed::Format;
pub use printed::Printed;
pub use produced::Produced;
pub(crate) use produced::ProducedTo;
pub use repartitioned::Repartitioned;
pub use stream_joined::StreamJoined;
pub use suppressed::Suppressed;
pub(crate) use suppressed::Until;
pub(crate) use table_joined::ByKey;
pub use table_joined::TableJoined;
pub use topics::Topics;
