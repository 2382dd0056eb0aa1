//! Windows: which there are, and what a record's time has to do with them.
//!
//! Each kind is a file that knows its own arithmetic, and neither stores nor records. The rules are
//! those of Kafka Streams' classes of the same names.
//!
//! - [`TimeWindows`], of one length: one behind the other (tumbling), or overlapping (hopping).
//! - [`SlidingWindows`], of one length, wherever records begin and end one.
//! - [`SessionWindows`], as long as records follow each other closely.
//! - [`UnlimitedWindows`], one that never ends.
//! - [`JoinWindows`], around each record of a stream that is joined with another one.
//!
//! ```text
//!   records            x   x       x  x                x
//!   tumbling       [ 1     )[ 2     )[ 3     )[ 4     )[ 5     )
//!   hopping        [ 1     )    [ 3     )    [ 5     )
//!                      [ 2     )    [ 4     )    [ 6     )
//!   sliding      [ 1     ]  ..one for each set of records that lie so close together
//!   sessions           [ 1         2    ]              [3]
//!   unlimited      [ 1 ................................................
//! ```

mod emit_strategy;
mod join;
mod session;
mod sliding;
mod time;
mod unlimited;
mod windowed;

pub use emit_strategy::EmitStrategy;
pub use join::JoinWindows;
pub use session::SessionWindows;
pub use sliding::SlidingWindows;
pub use time::TimeWindows;
pub use unlimited::UnlimitedWindows;
pub use windowed::{SessionWindowedSerde, TimeWindowedSerde, Windowed};

use std::time::Duration;

/// Whole milliseconds, as Kafka Streams has them.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
