//! The rows of one keyspace that wait in memory: what several batches did to it, each key once.
//!
//! Keys and values lie in one buffer, with an index by hash beside it, so that a hot row that is set
//! again costs a look-up and a copy. What is read by ranges gets an order by key with the first range.
//!
//! Invariant: a range that was deleted hides what lies below in the backend. Its rows in memory are
//! hidden too, until they are set again.

use hashbrown::{DefaultHashBuilder, HashTable};
use oncestream_core::state::{BatchOp, WriteBatch};
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::mem::size_of;
use std::ops::Bound;

use crate::bounds;

/// From the first key to before the second.
pub(super) type Range = (Vec<u8>, Vec<u8>);

/// Rows that are set, or deleted (`None`), in the order of their keys.
pub(super) type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    Set,
    Deleted,
    /// A range was deleted in which it lies: it says nothing of its own.
    Hidden,
}

/// What waits for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits<'a> {
    /// It gets this value.
    Set(&'a [u8]),
    /// It is to go.
    Deleted,
}

#[derive(Clone, Copy)]
struct Row {
    hash: u64,
    key_at: usize,
    value_at: usize,
    value_len: usize,
    key_len: u32,
    is: Is,
}

/// Waiting rows.
#[derive(Default)]
pub(super) struct Waiting {
    bytes: Vec<u8>,
    rows: Vec<Row>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    ranges: Vec<Range>,
    /// By key, once somebody has read a range.
    order: Option<BTreeMap<Vec<u8>, u32>>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.ranges.is_empty()
    }

    /// The memory it takes, about.
    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.len() + self.rows.len() * (size_of::<Row>() + size_of::<u64>())
    }

    /// What waits for a key, if something does.
    pub(super) fn get(&self, key: &[u8]) -> Option<Waits<'_>> {
        let row = self.find(self.hasher.hash_one(key), key).map(|at| self.rows[at as usize]);
        match row {
            Some(row) if row.is == Is::Set => Some(Waits::Set(self.value(&row))),
            Some(row) if row.is == Is::Deleted => Some(Waits::Deleted),
            _ => is_within(&self.ranges, key).then_some(Waits::Deleted),
        }
    }

    /// Does to the rows what a batch does, in its order.
    pub(super) fn apply<'a>(&mut self, ops: impl Iterator<Item = BatchOp<'a>>) {
        for op in ops {
            match op {
                BatchOp::Put { key, value } => self.set(key, Some(value)),
                BatchOp::Delete { key } => self.set(key, None),
                BatchOp::DeleteRange { from, to } => self.hide(from, to),
            }
        }
    }

    /// Adds all of it to a batch: the ranges first, because a row that was set later stays.
    pub(super) fn write_to(&self, keyspace: &str, batch: &mut WriteBatch) {
        for (from, to) in &self.ranges {
            batch.delete_range(keyspace, from, to);
        }
        for row in &self.rows {
            match row.is {
                Is::Set => batch.put(keyspace, self.key(row), self.value(row)),
                Is::Deleted => batch.delete(keyspace, self.key(row)),
                Is::Hidden => {}
            }
        }
    }

    /// Does what a newer one did.
    pub(super) fn absorb(&mut self, newer: &Self) {
        for (from, to) in &newer.ranges {
            self.hide(from, to);
        }
        for row in &newer.rows {
            match row.is {
                Is::Set => self.set(newer.key(row), Some(newer.value(row))),
                Is::Deleted => self.set(newer.key(row), None),
                Is::Hidden => {}
            }
        }
    }

    /// Forgets the rows, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
        self.index.clear();
        self.ranges.clear();
        if let Some(order) = &mut self.order {
            order.clear();
        }
    }

    pub(super) fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.order.is_some()
    }

    /// From now on it has an order.
    pub(super) fn put_in_order(&mut self) {
        if self.order.is_none() {
            let keys = self.rows.iter().zip(0..).map(|(row, at)| (self.key(row).to_vec(), at));
            self.order = Some(keys.collect());
        }
    }

    /// Adds the rows between two bounds that do not cross.
    pub(super) fn add_between(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, rows: &mut Rows) {
        let mut add = |row: &Row| {
            let key = self.key(row).to_vec();
            match row.is {
                Is::Set => drop(rows.insert(key, Some(self.value(row).to_vec()))),
                Is::Deleted => drop(rows.insert(key, None)),
                Is::Hidden => {}
            }
        };
        if let Some(order) = &self.order {
            order.range::<[u8], _>((from, to)).for_each(|(_, at)| add(&self.rows[*at as usize]));
            return;
        }
        let is_between = |row: &&Row| std::ops::RangeBounds::contains(&(from, to), self.key(row));
        self.rows.iter().filter(is_between).for_each(add);
    }

    fn key(&self, row: &Row) -> &[u8] {
        &self.bytes[row.key_at..row.key_at + row.key_len as usize]
    }

    fn value(&self, row: &Row) -> &[u8] {
        &self.bytes[row.value_at..row.value_at + row.value_len]
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let is_it = |at: &u32| {
            let row = &self.rows[*at as usize];
            row.hash == hash && self.key(row) == key
        };
        self.index.find(hash, is_it).copied()
    }

    fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        let hash = self.hasher.hash_one(key);
        let is = if value.is_some() { Is::Set } else { Is::Deleted };
        let Some(at) = self.find(hash, key) else { return self.add(hash, key, value, is) };
        let known = &mut self.rows[at as usize];
        known.is = is;
        let Some(value) = value else { return };
        if value.len() > known.value_len {
            known.value_at = self.bytes.len();
            self.bytes.extend_from_slice(value);
        } else {
            self.bytes[known.value_at..known.value_at + value.len()].copy_from_slice(value);
        }
        known.value_len = value.len();
    }

    fn add(&mut self, hash: u64, key: &[u8], value: Option<&[u8]>, is: Is) {
        let at = self.rows.len() as u32;
        let value = value.unwrap_or_default();
        let key_at = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let value_at = self.bytes.len();
        self.bytes.extend_from_slice(value);
        let (key_len, value_len) = (key.len() as u32, value.len());
        self.rows.push(Row { hash, key_at, value_at, value_len, key_len, is });
        let rows = &self.rows;
        self.index.insert_unique(hash, at, |at| rows[*at as usize].hash);
        if let Some(order) = &mut self.order {
            order.insert(key.to_vec(), at);
        }
    }

    fn hide(&mut self, from: &[u8], to: &[u8]) {
        let (first, last) = (Bound::Included(from), Bound::Excluded(to));
        if bounds::is_empty(first, last) {
            return;
        }
        if let Some(order) = &self.order {
            for at in order.range::<[u8], _>((first, last)).map(|(_, at)| *at) {
                self.rows[at as usize].is = Is::Hidden;
            }
        } else {
            for at in 0..self.rows.len() {
                let key = self.key(&self.rows[at]);
                if from <= key && key < to {
                    self.rows[at].is = Is::Hidden;
                }
            }
        }
        // What expires does so in ranges that touch each other.
        match self.ranges.last_mut() {
            Some((start, end)) if &start[..] <= from && from <= &end[..] => {
                if &end[..] < to {
                    to.clone_into(end);
                }
            }
            _ => self.ranges.push((from.to_vec(), to.to_vec())),
        }
    }
}

/// Whether a key lies in one of these ranges.
pub(super) fn is_within(ranges: &[Range], key: &[u8]) -> bool {
    ranges.iter().any(|(from, to)| &from[..] <= key && key < &to[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(waiting: &Waiting) -> Vec<String> {
        let mut batch = WriteBatch::default();
        waiting.write_to("a", &mut batch);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let told = |op: BatchOp<'_>| match op {
            BatchOp::Put { key, value } => format!("{}={}", text(key), text(value)),
            BatchOp::Delete { key } => format!("-{}", text(key)),
            BatchOp::DeleteRange { from, to } => format!("-{}..{}", text(from), text(to)),
        };
        batch.sections().flat_map(|(_, ops)| ops.map(told).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn a_row_that_is_set_again_and_again_goes_down_once() {
        let mut waiting = Waiting::default();
        for value in [&b"1"[..], b"22", b"3", b"", b"4444"] {
            waiting.set(b"hot", Some(value));
        }
        waiting.set(b"gone", Some(b"x"));
        waiting.set(b"gone", None);
        assert_eq!(waiting.get(b"hot"), Some(Waits::Set(b"4444")));
        assert_eq!((waiting.get(b"gone"), waiting.get(b"other")), (Some(Waits::Deleted), None));
        assert_eq!(written(&waiting), ["hot=4444", "-gone"]);
    }

    #[test]
    fn ranges_that_touch_are_one_and_hide_what_was_before_them() {
        for ordered in [false, true] {
            let mut waiting = Waiting::default();
            if ordered {
                waiting.put_in_order();
            }
            waiting.set(b"b", Some(b"1"));
            waiting.set(b"x", Some(b"2"));
            waiting.hide(b"a", b"c");
            waiting.hide(b"c", b"d");
            waiting.hide(b"z", b"y");
            waiting.set(b"c", Some(b"3"));
            assert_eq!(waiting.get(b"b"), Some(Waits::Deleted));
            assert_eq!(waiting.get(b"d"), None);
            assert_eq!(written(&waiting), ["-a..d", "x=2", "c=3"]);
            let mut rows = Rows::new();
            waiting.add_between(Bound::Unbounded, Bound::Excluded(b"x"), &mut rows);
            assert_eq!(rows.into_keys().collect::<Vec<_>>(), [b"c"]);
        }
    }
}
