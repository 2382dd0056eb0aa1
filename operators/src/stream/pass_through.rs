//! The node that passes records on as they are: a merge, or a branch of a split.

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, Node};

use crate::dsl::Data;

/// Passes every record on.
pub(crate) struct PassThrough<K, V> {
    pub(crate) out: Downstream<K, V>,
}

impl<K: Data, V: Data> Node<K, V> for PassThrough<K, V> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        self.out.forward(ctx, record)
    }
}
