//! What shows only where there are clients: most of these tests wait for one, so they run side by side.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod prefetch;
mod reset;
mod secrets;
