//! Which topics a source reads.

use std::sync::Arc;

use oncestream_core::graph::{SourceTopics, TopicRef};

/// The topics of a source: one, several, or every one whose name matches a pattern.
///
/// ```
/// use oncestream_operators::Topics;
/// let one = Topics::from("orders");
/// let two = Topics::from(["orders", "returns"]);
/// let all = Topics::pattern("orders-.*");
/// assert_ne!(one, two);
/// # let _ = all;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics(pub(crate) SourceTopics);

impl Topics {
    /// Every topic whose whole name matches a regular expression, among them topics that are created
    /// later. There may be none yet.
    ///
    /// No topic may be matched by two patterns of a topology, or by a pattern and a name, and no
    /// pattern may match what the application writes: its outputs, its internal topics, its
    /// dead-letter topic.
    pub fn pattern(regex: impl AsRef<str>) -> Self {
        Self(SourceTopics::Pattern(Arc::from(regex.as_ref())))
    }

    fn named<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        let names = names.into_iter().map(|name| TopicRef::User(name.as_ref().into()));
        Self(SourceTopics::Topics(names.collect()))
    }
}

/// No topic.
impl Default for Topics {
    fn default() -> Self {
        Self(SourceTopics::Topics(Vec::new()))
    }
}

impl From<&str> for Topics {
    fn from(name: &str) -> Self {
        Self::named([name])
    }
}

impl From<&String> for Topics {
    fn from(name: &String) -> Self {
        Self::named([name])
    }
}

impl From<String> for Topics {
    fn from(name: String) -> Self {
        Self::named([name])
    }
}

impl<T: AsRef<str>, const N: usize> From<[T; N]> for Topics {
    fn from(names: [T; N]) -> Self {
        Self::named(names)
    }
}

impl<T: AsRef<str>, const N: usize> From<&[T; N]> for Topics {
    fn from(names: &[T; N]) -> Self {
        Self::named(names)
    }
}

impl<T: AsRef<str>> From<&[T]> for Topics {
    fn from(names: &[T]) -> Self {
        Self::named(names)
    }
}

impl<T: AsRef<str>> From<Vec<T>> for Topics {
    fn from(names: Vec<T>) -> Self {
        Self::named(names)
    }
}
