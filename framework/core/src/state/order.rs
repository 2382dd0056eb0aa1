//! The uncommitted slots of a store by their row keys, and their rows merged with the backend's.
//!
//! A range costs what it returns: it begins at its first row in both. Rows are bytes here; what is
//! in a slot is its store's business.

use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;
use std::ops::Bound;

use super::backend::{BackendError, Keyspace, Pair, PairIter};
use super::overlay::SlotId;

/// The slots that the backend may not have yet, by row key.
pub(crate) type Order = BTreeMap<Vec<u8>, SlotId>;

/// Bounds of row keys.
pub(crate) type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Which end of a range comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forwards,
    Backwards,
}

/// A row, from where it is newest.
#[derive(Debug)]
pub(crate) enum MergedRow<'a> {
    Uncommitted(&'a [u8], SlotId),
    Stored(Pair),
}

/// The rows between two bounds, each once.
pub(crate) struct Merge<'a> {
    ours: Peekable<Ours<'a>>,
    theirs: Peekable<PairIter<'a>>,
    direction: Direction,
}

struct Ours<'a> {
    rows: btree_map::Range<'a, Vec<u8>, SlotId>,
    direction: Direction,
}

impl<'a> Iterator for Ours<'a> {
    type Item = (&'a Vec<u8>, &'a SlotId);

    fn next(&mut self) -> Option<Self::Item> {
        match self.direction {
            Direction::Forwards => self.rows.next(),
            Direction::Backwards => self.rows.next_back(),
        }
    }
}

impl<'a> Merge<'a> {
    /// `None` for bounds between which nothing can lie; maps and backends may refuse those.
    pub(crate) fn new(
        order: &'a Order,
        keyspace: &'a dyn Keyspace,
        bounds: &Bounds,
        direction: Direction,
    ) -> Option<Self> {
        let (from, to) = (as_slice(&bounds.0), as_slice(&bounds.1));
        if is_empty(from, to) {
            return None;
        }
        let theirs = match direction {
            Direction::Forwards => keyspace.range(from, to),
            Direction::Backwards => keyspace.range_rev(from, to),
        };
        let ours = Ours { rows: order.range::<[u8], _>((from, to)), direction };
        Some(Self { ours: ours.peekable(), theirs: theirs.peekable(), direction })
    }

    /// The next row. One that is in both is newer in the order.
    pub(crate) fn next(&mut self) -> Option<Result<MergedRow<'a>, BackendError>> {
        let first = match (self.ours.peek(), self.theirs.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) | (_, Some(Err(_))) => Ordering::Greater,
            (Some((ours, _)), Some(Ok((theirs, _)))) => match self.direction {
                Direction::Forwards => ours.cmp(&theirs),
                Direction::Backwards => theirs.cmp(ours),
            },
        };
        if first == Ordering::Greater {
            return self.theirs.next().map(|row| row.map(MergedRow::Stored));
        }
        if first == Ordering::Equal {
            self.theirs.next();
        }
        self.ours.next().map(|(key, slot)| Ok(MergedRow::Uncommitted(key, *slot)))
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

/// True when the bounds meet or cross, so that no key can lie between them.
fn is_empty(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
        | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs in order, of which the last may be a failure.
    struct Fixed(Vec<&'static [u8]>);

    impl Keyspace for Fixed {
        fn get(&self, _: &[u8], _: &mut dyn FnMut(&[u8])) -> Result<(), BackendError> {
            Ok(())
        }

        fn range<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> PairIter<'a> {
            let within = |key: &&[u8]| std::ops::RangeBounds::contains(&(from, to), *key);
            let keys: Vec<_> = self.0.iter().copied().filter(within).collect();
            Box::new(keys.into_iter().map(|key| Ok((key.to_vec(), Vec::new()))))
        }

        fn range_rev<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> PairIter<'a> {
            let mut all: Vec<_> = self.range(from, to).collect();
            all.reverse();
            Box::new(all.into_iter())
        }
    }

    fn merged(bounds: &Bounds, direction: Direction) -> Vec<String> {
        let order: Order = [(b"b".to_vec(), 1), (b"c".to_vec(), 2), (b"e".to_vec(), 3)].into();
        let keyspace = Fixed(vec![b"a", b"c", b"d", b"f"]);
        let mut rows = Vec::new();
        if let Some(mut merge) = Merge::new(&order, &keyspace, bounds, direction) {
            while let Some(row) = merge.next() {
                rows.push(match row.unwrap() {
                    MergedRow::Uncommitted(key, slot) => {
                        format!("{}{slot}", String::from_utf8_lossy(key))
                    }
                    MergedRow::Stored((key, _)) => String::from_utf8_lossy(&key).into_owned(),
                });
            }
        }
        rows
    }

    #[test]
    fn rows_of_both_are_in_order_and_the_uncommitted_one_is_newer() {
        let all = (Bound::Unbounded, Bound::Unbounded);
        assert_eq!(merged(&all, Direction::Forwards), ["a", "b1", "c2", "d", "e3", "f"]);
        assert_eq!(merged(&all, Direction::Backwards), ["f", "e3", "d", "c2", "b1", "a"]);
        let some = (Bound::Excluded(b"a".to_vec()), Bound::Included(b"e".to_vec()));
        assert_eq!(merged(&some, Direction::Backwards), ["e3", "d", "c2", "b1"]);
    }

    #[test]
    fn crossed_bounds_are_empty() {
        let of =
            |from: &[u8], to: &[u8]| (Bound::Included(from.to_vec()), Bound::Excluded(to.to_vec()));
        assert!(merged(&of(b"c", b"c"), Direction::Forwards).is_empty());
        assert!(merged(&of(b"d", b"b"), Direction::Backwards).is_empty());
        assert_eq!(merged(&of(b"c", b"d"), Direction::Forwards), ["c2"]);
    }
}
