//! What the examples share.

pub(crate) mod kafka;
pub(crate) mod original;
pub(crate) mod show;
