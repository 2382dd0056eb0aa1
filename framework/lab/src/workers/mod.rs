//! What the processes of chapters do: one role to a file.

pub(crate) mod receipts;
pub(crate) mod topology;
pub(crate) mod transfer;
