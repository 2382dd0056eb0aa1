//! Writes to one keyspace, in their order, in one buffer.
//!
//! They are filled once, by a restore or by the seal of a store, and then only read: by the backend,
//! and of a sealed layer by whoever holds it.

/// Writes to one keyspace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    bytes: Vec<u8>,
    ops: Vec<Op>,
}

#[derive(Clone, Copy, Debug)]
struct Op {
    start: usize,
    key_len: usize,
    rest: Rest,
}

/// What lies behind the key of a write.
#[derive(Clone, Copy, Debug)]
enum Rest {
    Value(usize),
    Nothing,
    /// The end of a range, whose beginning is the key.
    End(usize),
}

/// One write of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchOp<'a> {
    /// Sets a key.
    Put {
        /// The key.
        key: &'a [u8],
        /// Its value from now on.
        value: &'a [u8],
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// Removes every key from `from` to before `to`.
    DeleteRange {
        /// The first key that goes.
        from: &'a [u8],
        /// The first key behind them, which stays.
        to: &'a [u8],
    },
}

impl Rows {
    pub(crate) fn put(&mut self, key: &[u8], parts: &[&[u8]]) {
        let start = self.append(key);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        let rest = Rest::Value(self.bytes.len() - start - key.len());
        self.ops.push(Op { start, key_len: key.len(), rest });
    }

    pub(crate) fn delete(&mut self, key: &[u8]) {
        let start = self.append(key);
        self.ops.push(Op { start, key_len: key.len(), rest: Rest::Nothing });
    }

    pub(crate) fn delete_range(&mut self, from: &[u8], to: &[u8]) {
        let start = self.append(from);
        self.append(to);
        self.ops.push(Op { start, key_len: from.len(), rest: Rest::End(to.len()) });
    }

    /// Puts a pair whose value always has one length, in place of itself if it is the first write:
    /// what is set with each record takes no more room than once.
    pub(crate) fn put_first(&mut self, key: &[u8], value: &[u8]) {
        let first = self.ops.first().copied();
        let of_first = first.map(|op| self.op(op));
        match (first, of_first) {
            (Some(op), Some(BatchOp::Put { key: known, value: old }))
                if known == key && old.len() == value.len() =>
            {
                let at = op.start + op.key_len;
                self.bytes[at..at + value.len()].copy_from_slice(value);
            }
            _ => self.put(key, &[value]),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start
    }

    pub(crate) fn len(&self) -> usize {
        self.ops.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The size of all keys and values, in bytes.
    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the writes and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ops.clear();
    }

    /// The writes, in the order they were made.
    pub(crate) fn iter(&self) -> impl Iterator<Item = BatchOp<'_>> {
        self.ops.iter().map(|op| self.op(*op))
    }

    /// One write, by its place; `None` past the last.
    pub(crate) fn get(&self, at: usize) -> Option<BatchOp<'_>> {
        self.ops.get(at).map(|op| self.op(*op))
    }

    /// Adds the writes of another, behind one's own.
    pub(crate) fn extend(&mut self, other: &Self) {
        let shift = self.append(&other.bytes);
        self.ops.extend(other.ops.iter().map(|op| Op { start: op.start + shift, ..*op }));
    }

    fn op(&self, op: Op) -> BatchOp<'_> {
        let rest_at = op.start + op.key_len;
        let key = &self.bytes[op.start..rest_at];
        match op.rest {
            Rest::Value(len) => BatchOp::Put { key, value: &self.bytes[rest_at..rest_at + len] },
            Rest::Nothing => BatchOp::Delete { key },
            Rest::End(len) => {
                BatchOp::DeleteRange { from: key, to: &self.bytes[rest_at..rest_at + len] }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_read_back_in_their_order_and_behind_those_of_another() {
        let mut first = Rows::default();
        first.put(b"a", &[b"1", b"", b"2"]);
        first.delete(b"");
        let mut both = first.clone();
        let mut second = Rows::default();
        second.delete_range(b"b", b"cc");
        second.put(b"c", &[b""]);
        both.extend(&second);
        let all: Vec<BatchOp<'_>> = both.iter().collect();
        assert_eq!(all[0], BatchOp::Put { key: b"a", value: b"12" });
        assert_eq!(all[1], BatchOp::Delete { key: b"" });
        assert_eq!(all[2], BatchOp::DeleteRange { from: b"b", to: b"cc" });
        assert_eq!(all[3], BatchOp::Put { key: b"c", value: b"" });
        assert_eq!((both.len(), both.byte_len(), both.get(4)), (4, 7, None));
    }

    #[test]
    fn what_is_put_first_again_takes_the_place_of_itself() {
        let mut rows = Rows::default();
        rows.put_first(b"note", b"1");
        rows.put(b"row", &[b"v"]);
        rows.put_first(b"note", b"2");
        let all: Vec<BatchOp<'_>> = rows.iter().collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0], BatchOp::Put { key: b"note", value: b"2" });
        // Behind another write it is one more, and the last one counts.
        let mut rows = Rows::default();
        rows.put(b"row", &[b"v"]);
        rows.put_first(b"note", b"3");
        assert_eq!(rows.get(1), Some(BatchOp::Put { key: b"note", value: b"3" }));
    }
}
