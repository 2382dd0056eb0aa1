//! The node that passes records on, its value in another type where need be: a merge, a branch,
//! the way into a repartition topic.

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Downstream, Node};

use crate::dsl::Data;

/// Passes on every record, also those with a null key: Kafka Streams' pass-through.
pub(crate) struct Convert<K, V, V2> {
    pub(crate) convert: fn(V) -> V2,
    pub(crate) out: Downstream<K, V2>,
}

impl<K: Data, V, V2: Data> Node<K, V> for Convert<K, V, V2> {
    fn process(&mut self, ctx: &mut Context<'_>, record: Record<K, V>) -> Result<(), TaskError> {
        self.out.forward(ctx, record.map_value(self.convert))
    }
}
