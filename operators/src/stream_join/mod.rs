//! Joins of two streams in windows of time.
//!
//! Each stream has a node that keeps its records (`keep`), in a window store of duplicates, and a node that
//! joins them with what the other stream has kept (`side`); a node merges both. What was joined with none
//! waits in a store that the joining nodes share (`non_matches`).
//!
//! ```text
//!   left   ---> keep left  ---> join left  ---+
//!                                             +---> merge --->
//!   right  ---> keep right ---> join right ---+
//! ```

mod assembly;
mod join;
mod joiner;
mod keep;
mod left_join;
mod names;
mod non_matches;
mod outer_join;
mod row;
mod self_join;
mod side;
