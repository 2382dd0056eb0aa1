//! The order in which a batch's writes are applied.

use oncestream_core::state::BatchOp;

/// The writes in the order of their keys, of each key the last one. Sorted, because an insert next
/// to the one before it finds the way there in the processor's cache.
pub(crate) fn last_writes<'a>(ops: impl Iterator<Item = BatchOp<'a>>) -> Vec<BatchOp<'a>> {
    // The first bytes beside the write: most comparisons then need not look at the keys.
    let mut ops: Vec<(u64, BatchOp<'a>)> = ops.map(|op| (first_bytes(op.key), op)).collect();
    // Stable, so the last write of a key is the last of its run; `dedup` keeps the first.
    ops.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.key.cmp(b.1.key)));
    ops.reverse();
    ops.dedup_by(|a, b| a.0 == b.0 && a.1.key == b.1.key);
    ops.reverse();
    ops.into_iter().map(|(_, op)| op).collect()
}

/// The first eight bytes as a number that sorts as they do; shorter keys are filled with zeros.
fn first_bytes(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = key.len().min(8);
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_in_the_order_of_their_keys_and_the_last_of_a_key_is_kept() {
        let keys: [&[u8]; 9] = [
            b"12345678b",
            b"",
            b"\0",
            b"12345678",
            b"12345678a",
            b"1234567",
            b"",
            b"\xff",
            b"\0\0",
        ];
        let values: [&[u8]; 9] = [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8"];
        let ops = keys.iter().zip(values).map(|(key, value)| BatchOp { key, value: Some(value) });
        let sorted = last_writes(ops);
        assert!(sorted.windows(2).all(|w| w[0].key < w[1].key), "{sorted:?}");
        assert_eq!(sorted.len(), 8);
        assert_eq!(sorted[0], BatchOp { key: b"", value: Some(b"6") });
    }
}
