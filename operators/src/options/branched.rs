//! The name of a branch.

/// The name of a branch of a split, which stands behind the split's own name.
///
/// ```
/// use oncestream_operators::{Branched, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// let mut split = builder.stream::<String, i64>("in").named("split-").split();
/// split.branch(|_, v| *v < 0, "negative").to("negative");
/// split.default_branch(Branched::new()).to("rest");
/// let topology = builder.build().unwrap();
/// assert!(topology.describe().contains("split-negative"));
/// assert!(topology.describe().contains("split-0"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branched {
    pub(crate) suffix: Option<String>,
}

impl Branched {
    /// The number of the branch: 1 for the first, 0 for the default branch.
    pub fn new() -> Self {
        Self::default()
    }

    /// This name.
    pub fn named(suffix: impl Into<String>) -> Self {
        Self { suffix: Some(suffix.into()) }
    }
}

impl<T: Into<String>> From<T> for Branched {
    fn from(suffix: T) -> Self {
        Self::named(suffix)
    }
}
