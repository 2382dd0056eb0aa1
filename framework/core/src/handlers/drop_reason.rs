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
    /// An inner foreign-key join needs a foreign key.
    #[error("the record was dropped: its foreign key is null")]
    NullForeignKey,
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
    /// The record is so late that `deduplicate` may have forgotten what has passed with its id.
    #[error("the record was dropped: it is late, because its id may have been forgotten")]
    LateForDeduplicate,
    /// A record with the same id has passed already. Of such a record there is never a dead letter.
    #[error("the record was dropped: one with its id has passed already")]
    Duplicate,
    /// A processor wants it so, for a reason of its own.
    #[error("the record was dropped: a processor dropped it")]
    ByProcessor,
}

impl DropReason {
    /// Whether a dead letter may tell of it: not where dropping records is what an operator is there for.
    pub(crate) fn is_told(self) -> bool {
        self != Self::Duplicate
    }
}
