//! The values with a fixed set of words: each enum, its words, and what each promises.
//!
//! Invariant: the words here and in the key table (`keys.rs`) are the same slices.

use oncestream_engine::AutoOffsetReset;

/// Whether a record's effects may happen twice after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessingGuarantee {
    /// Every record is processed; after a failure some are processed again.
    AtLeastOnce,
    /// Results, state and input offsets change together, in one Kafka transaction.
    ExactlyOnce,
}

/// Where stores keep their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateBackendKind {
    /// fjall, an LSM tree: the default.
    Fjall,
    /// sled 0.34.
    Sled,
    /// Memory alone: every start restores from the changelogs.
    Memory,
}

/// What to do with a record that cannot be deserialised, processed or produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExceptionHandler {
    /// Log it and stop.
    Fail,
    /// Log it, drop the record and go on with the next.
    Continue,
}

pub(super) const GUARANTEES: &[&str] = &["at_least_once", "exactly_once", "exactly_once_v2"];
pub(super) const BACKENDS: &[&str] = &["fjall", "sled", "memory"];
pub(super) const OFFSET_RESETS: &[&str] = &["earliest", "latest", "none"];
pub(super) const HANDLERS: &[&str] = &["fail", "continue"];
pub(super) const SWITCH: &[&str] = &["false", "true"];

/// A word of [`SWITCH`].
pub(super) fn switch(word: &str) -> Option<bool> {
    word.parse().ok()
}

/// A word of [`OFFSET_RESETS`].
pub(super) fn offset_reset(word: &str) -> Option<AutoOffsetReset> {
    use AutoOffsetReset::{Earliest, Latest, None};
    [Earliest, Latest, None].into_iter().find(|reset| reset.as_str() == word)
}

impl ProcessingGuarantee {
    /// The word for it in a configuration file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at_least_once",
            Self::ExactlyOnce => "exactly_once",
        }
    }

    /// Whether it is exactly once.
    pub const fn is_exactly_once(self) -> bool {
        matches!(self, Self::ExactlyOnce)
    }

    /// `exactly_once_v2` is Kafka Streams' name for what is the only exactly once here.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        match word {
            "at_least_once" => Some(Self::AtLeastOnce),
            "exactly_once" | "exactly_once_v2" => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

impl StateBackendKind {
    /// The word for it in a configuration file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fjall => "fjall",
            Self::Sled => "sled",
            Self::Memory => "memory",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Fjall, Self::Sled, Self::Memory].into_iter().find(|kind| kind.as_str() == word)
    }
}

impl ExceptionHandler {
    /// The word for it in a configuration file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Continue => "continue",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Fail, Self::Continue].into_iter().find(|kind| kind.as_str() == word)
    }
}
