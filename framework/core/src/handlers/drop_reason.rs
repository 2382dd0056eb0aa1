//! Why a record is dropped that no operator has failed on.

/// Why a record was dropped, although nothing failed: what is counted as dropped, and if
/// `errors.dead.letter.queue.dropped.records.enable` is set, what its dead letter gives for an error.
///
/// ```
/// use oncestream_core::handlers::DropReason;
/// assert_eq!(DropReason::NullKey.to_string(), "the record was dropped: its key is null");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DropReason {
    /// A table or an aggregation needs a key.
    #[error("the record was dropped: its key is null")]
    NullKey,
    /// The aggregation needs a value.
    #[error("the record was dropped: its value is null")]
    NullValue,
    /// A window that the record belongs to has closed. Other windows may have taken the record.
    #[error("the record was dropped: it is late, because a window that it belongs to has closed")]
    LateRecord,
    /// A versioned table does not reach back so far.
    #[error("the record was dropped: it is older than the history of its versioned store")]
    BeforeHistory,
    /// A join of tables, one of which has versions, takes the newest version of a key alone.
    #[error(
        "the record was dropped: it came out of order, and a newer version of its key is joined"
    )]
    OutOfOrder,
    /// The timestamp extractor gave the record a negative time.
    #[error("the record was dropped: its timestamp extractor gave it a negative time")]
    NegativeTimestamp,
    /// A processor wants it so, for a reason of its own.
    #[error("the record was dropped: a processor dropped it")]
    ByProcessor,
}
