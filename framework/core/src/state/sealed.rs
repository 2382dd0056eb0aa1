//! The rows that one commit changed, as they went into its batch: [`SealedLayer`].
//!
//! It cannot be changed any more and is shared between threads. Who reads it first sorts it; a
//! commit that nobody reads sorts nothing.

use std::ops::Bound;
use std::sync::OnceLock;

use super::rows::{BatchOp, Rows};

/// The rows that one commit of a store changed.
///
/// It is there from the seal until the commit is applied to the backend, and for as long as someone
/// holds it. Of several layers the newest that tells of a row is right, and the backend for a row
/// of which none tells.
#[derive(Debug, Default)]
pub struct SealedLayer {
    rows: Rows,
    /// The places of puts and deletions, by key, and those of ranges, in order.
    sorted: OnceLock<Sorted>,
}

#[derive(Debug)]
struct Sorted {
    points: Vec<u32>,
    ranges: Vec<u32>,
}

impl SealedLayer {
    /// The layer of these rows, each key once.
    pub(crate) fn new(rows: Rows) -> Self {
        Self { rows, sorted: OnceLock::new() }
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Its rows, for their memory.
    pub(crate) fn into_rows(self) -> Rows {
        self.rows
    }

    /// What the commit did to a row: `None` if nothing, `Some(None)` if it is gone, else its bytes.
    pub fn get(&self, row_key: &[u8]) -> Option<Option<&[u8]>> {
        let points = &self.sorted().points;
        let at = points.partition_point(|at| self.point(*at).0 < row_key);
        let found = points.get(at).map(|at| self.point(*at)).filter(|(key, _)| *key == row_key);
        found.map(|(_, row)| row).or_else(|| self.is_expired(row_key).then_some(None))
    }

    /// The rows that the commit put or removed one by one, between two keys in byte order; forwards
    /// and backwards.
    pub fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = (&[u8], Option<&[u8]>)> {
        let points = &self.sorted().points;
        let start = points.partition_point(|at| match from {
            Bound::Included(from) => self.point(*at).0 < from,
            Bound::Excluded(from) => self.point(*at).0 <= from,
            Bound::Unbounded => false,
        });
        let end = points.partition_point(|at| match to {
            Bound::Included(to) => self.point(*at).0 <= to,
            Bound::Excluded(to) => self.point(*at).0 < to,
            Bound::Unbounded => true,
        });
        points.get(start..end).unwrap_or_default().iter().map(|at| self.point(*at))
    }

    /// Whether the commit removed the row with a whole range: what was in the backend then counts no
    /// more. What [`Self::range`] tells is newer.
    pub fn is_expired(&self, row_key: &[u8]) -> bool {
        self.sorted().ranges.iter().any(|at| {
            matches!(self.rows.get(*at as usize), Some(BatchOp::DeleteRange { from, to })
                if from <= row_key && row_key < to)
        })
    }

    fn sorted(&self) -> &Sorted {
        self.sorted.get_or_init(|| {
            let all = 0..self.rows.len() as u32;
            let is_range =
                |at: &u32| matches!(self.rows.get(*at as usize), Some(BatchOp::DeleteRange { .. }));
            let (ranges, mut points): (Vec<u32>, Vec<u32>) = all.partition(is_range);
            points.sort_by(|a, b| self.point(*a).0.cmp(self.point(*b).0));
            Sorted { points, ranges }
        })
    }

    fn point(&self, at: u32) -> (&[u8], Option<&[u8]>) {
        match self.rows.get(at as usize) {
            Some(BatchOp::Put { key, value }) => (key, Some(value)),
            Some(BatchOp::Delete { key } | BatchOp::DeleteRange { from: key, .. }) => (key, None),
            None => (&[], None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer() -> SealedLayer {
        let mut rows = Rows::default();
        rows.delete_range(b"a", b"c");
        rows.put(b"d", &[b"4"]);
        rows.delete(b"c");
        rows.put(b"e", &[b"5"]);
        SealedLayer::new(rows)
    }

    #[test]
    fn a_layer_tells_of_puts_deletions_and_ranges_alone() {
        let layer = layer();
        assert_eq!(layer.get(b"d"), Some(Some(&b"4"[..])));
        assert_eq!(layer.get(b"c"), Some(None));
        assert_eq!(layer.get(b"b"), Some(None), "by its range");
        assert_eq!(layer.get(b"0"), None);
        assert_eq!(layer.get(b"f"), None);
    }

    #[test]
    fn a_layer_is_in_order_forwards_and_backwards() {
        let layer = layer();
        let all = || layer.range(Bound::Unbounded, Bound::Unbounded);
        assert_eq!(all().map(|(key, _)| key).collect::<Vec<_>>(), [b"c", b"d", b"e"]);
        assert_eq!(all().next_back(), Some((&b"e"[..], Some(&b"5"[..]))));
        let some = layer.range(Bound::Excluded(b"c"), Bound::Excluded(b"e"));
        assert_eq!(some.map(|(key, _)| key).collect::<Vec<_>>(), [b"d"]);
        let crossed = layer.range(Bound::Included(b"e"), Bound::Included(b"c"));
        assert_eq!(crossed.count(), 0);
    }
}
