//! The order in which a batch's writes are applied.

use oncestream_core::state::BatchOp;

/// The writes in the order of their keys, of each key the last one. Sorted, because an insert next
/// to the one before it finds the way there in the processor's cache.
pub(crate) fn last_writes<'a>(ops: impl Iterator<Item = BatchOp<'a>>) -> Vec<BatchOp<'a>> {
    let mut ops: Vec<_> = ops.collect();
    // Stable, so the last write of a key is the last of its run; `dedup` keeps the first.
    ops.sort_by(|a, b| a.key.cmp(b.key));
    ops.reverse();
    ops.dedup_by(|a, b| a.key == b.key);
    ops.reverse();
    ops
}
