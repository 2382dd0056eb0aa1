//! Bugs that a test may plant into the worker, to show that it finds them.
//!
//! Never in a build without the feature `sabotage`, which no user's build has.

/// A rule to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// Offsets are committed outside the transaction.
    OffsetsOutside,
    /// Stores are applied before the transaction is committed.
    ApplyFirst,
    /// A restore ends before the last record of a changelog.
    ShortRestore,
    /// Tasks start again without an abort of what they have done.
    NoAbort,
}

impl Bug {
    fn name(self) -> &'static str {
        match self {
            Self::OffsetsOutside => "offsets_outside",
            Self::ApplyFirst => "apply_first",
            Self::ShortRestore => "short_restore",
            Self::NoAbort => "no_abort",
        }
    }

    /// Whether the environment asks for it.
    pub(super) fn is_planted(self) -> bool {
        cfg!(feature = "sabotage")
            && std::env::var("ONCESTREAM_SABOTAGE").is_ok_and(|wanted| wanted == self.name())
    }
}
