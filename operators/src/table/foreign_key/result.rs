//! The table of the results: puts them into its store, or passes them on.

use oncestream_core::Record;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Context, Node};

use crate::dsl::{Data, StoreKey};
use crate::table::TableOutput;

/// Takes results.
pub(super) struct Results<K, R>(pub(super) TableOutput<K, R>);

impl<K: StoreKey, R: Data> Node<K, Option<R>> for Results<K, R> {
    fn process(
        &mut self,
        ctx: &mut Context<'_>,
        record: Record<K, Option<R>>,
    ) -> Result<(), TaskError> {
        self.0.set(ctx, record)
    }
}
