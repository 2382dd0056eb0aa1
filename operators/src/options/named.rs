//! A name for an operator.

/// The name of an operator, in `describe`, logs and metrics.
///
/// ```
/// use oncestream_operators::{Named, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// builder.stream::<String, i64>("in").named("positive").filter(|_, v| *v > 0).to("out");
/// assert!(builder.build().unwrap().describe().contains("Processor: positive"));
/// # let _ = Named::new("x");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named(String);

impl Named {
    /// A name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Named {
    fn from(name: T) -> Self {
        Self::new(name)
    }
}
