//! What operators may be told beside their functions: names, serdes, topics.
//!
//! Each is an argument `impl Into<..>`, so that a name alone will do. Each has the same four ways to
//! make it: `new` takes the serdes of the types and no name, `named` a name, `serdes` serdes, `with`
//! both.

mod branched;
mod buffer_config;
mod consumed;
mod grouped;
mod joined;
mod materialized;
mod named;
mod produced;
mod repartitioned;
mod suppressed;
mod topics;

pub use branched::Branched;
pub(crate) use buffer_config::Bounds;
pub use buffer_config::{BufferConfig, EagerBuffer, StrictBuffer};
pub use consumed::Consumed;
pub use grouped::Grouped;
pub use joined::Joined;
pub use materialized::Materialized;
pub(crate) use materialized::StoreName;
pub use named::Named;
pub use produced::Produced;
pub(crate) use produced::ProducedTo;
pub use repartitioned::Repartitioned;
pub use suppressed::Suppressed;
pub(crate) use suppressed::Until;
pub use topics::Topics;
