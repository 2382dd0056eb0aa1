//! What the calls of a processor's context fail with.

/// A call of a processor that cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessorError {
    /// `forward_to` names a node that is not a child of this one.
    #[error("node `{node}` has no child `{child}`; its children are [{}]", children.join(", "))]
    UnknownChild {
        /// The processor's node.
        node: String,
        /// The name that was asked for.
        child: String,
        /// The names there are.
        children: Vec<String>,
    },
    /// An operator downstream failed. The task fails with that operator's own error, whatever
    /// the processor makes of this one.
    #[error("an operator downstream of node `{node}` failed; the error of the task says why")]
    DownstreamFailed {
        /// The processor's node.
        node: String,
    },
}
