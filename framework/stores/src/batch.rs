//! What a batch's writes to one keyspace come to.

use oncestream_core::state::BatchOp;

/// A key, and its value or none.
pub(crate) type Point<'a> = (&'a [u8], Option<&'a [u8]>);

/// The writes to one keyspace without their order.
#[derive(Debug)]
pub(crate) struct Resolved<'a> {
    /// From the first key to before the second: what was there before the batch goes, unless
    /// [`Self::points`] tell of it.
    pub(crate) ranges: Vec<(&'a [u8], &'a [u8])>,
    /// In the order of their keys, each once.
    pub(crate) points: Vec<Point<'a>>,
}

#[cfg(any(feature = "fjall", test))]
impl Resolved<'_> {
    /// Whether a key is put or deleted by itself.
    pub(crate) fn has_point(&self, key: &[u8]) -> bool {
        self.points.binary_search_by(|(known, _)| (*known).cmp(key)).is_ok()
    }
}

/// The last write of each key, unless a range behind it removes the key. Sorted, because an insert
/// next to the one before it finds the way there in the processor's cache.
pub(crate) fn resolve<'a>(ops: impl Iterator<Item = BatchOp<'a>>) -> Resolved<'a> {
    // The first bytes beside the write: most comparisons then need not look at the keys.
    let mut points: Vec<(u64, Point<'a>)> = Vec::with_capacity(ops.size_hint().0);
    let mut ranges: Vec<(&[u8], &[u8])> = Vec::new();
    for op in ops {
        match op {
            BatchOp::Put { key, value } => points.push((first_bytes(key), (key, Some(value)))),
            BatchOp::Delete { key } => points.push((first_bytes(key), (key, None))),
            BatchOp::DeleteRange { from, to } if from < to => {
                points.retain(|(_, (key, _))| *key < from || *key >= to);
                ranges.push((from, to));
            }
            BatchOp::DeleteRange { .. } => {}
        }
    }
    // Stable, so the last write of a key is the last of its run; `dedup` keeps the first.
    points.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.0.cmp(b.1.0)));
    points.reverse();
    points.dedup_by(|a, b| a.0 == b.0 && a.1.0 == b.1.0);
    points.reverse();
    Resolved { ranges, points: points.into_iter().map(|(_, point)| point).collect() }
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
        let ops = keys.iter().zip(values).map(|(key, value)| BatchOp::Put { key, value });
        let sorted = resolve(ops).points;
        assert!(sorted.windows(2).all(|w| w[0].0 < w[1].0), "{sorted:?}");
        assert_eq!(sorted.len(), 8);
        assert_eq!(sorted[0], (&b""[..], Some(&b"6"[..])));
    }

    #[test]
    fn a_range_removes_what_came_before_it_and_nothing_behind() {
        let put = |key: &'static [u8]| BatchOp::Put { key, value: b"" };
        let range = |from: &'static [u8], to: &'static [u8]| BatchOp::DeleteRange { from, to };
        let ops = [
            put(b"a"),
            put(b"b"),
            BatchOp::Delete { key: b"bb" },
            put(b"c"),
            range(b"b", b"c"),
            put(b"bc"),
            range(b"z", b"a"),
        ];
        let resolved = resolve(ops.into_iter());
        assert_eq!(resolved.ranges, [(&b"b"[..], &b"c"[..])]);
        let keys: Vec<&[u8]> = resolved.points.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, [&b"a"[..], b"bc", b"c"]);
        assert!(resolved.has_point(b"bc") && !resolved.has_point(b"b"));
    }
}
