//! Writes to several keyspaces that go down together: [`WriteBatch`].
//!
//! It knows nothing of stores. A store's sealed layer is in it by reference: the rows of a commit
//! are in memory once, for the backend and for whoever reads the layer.

use std::sync::Arc;

use super::rows::{BatchOp, Rows};
use super::sealed::SealedLayer;

/// Writes to several keyspaces that go down together.
///
/// ```
/// use oncestream_core::state::WriteBatch;
/// let mut batch = WriteBatch::default();
/// batch.put("counts", b"word", b"7");
/// batch.delete("counts", b"gone");
/// batch.delete_range("counts", b"old-", b"old.");
/// assert_eq!(batch.len(), 3);
/// ```
#[derive(Default, Debug)]
pub struct WriteBatch {
    sections: Vec<Section>,
    /// Cleared ones, for their memory.
    spare: Vec<Rows>,
    len: usize,
    byte_len: usize,
}

#[derive(Debug)]
struct Section {
    keyspace: Arc<str>,
    writes: Writes,
}

#[derive(Debug)]
enum Writes {
    Own(Rows),
    Layer(Arc<SealedLayer>),
}

impl Section {
    fn rows(&self) -> &Rows {
        match &self.writes {
            Writes::Own(rows) => rows,
            Writes::Layer(layer) => layer.rows(),
        }
    }
}

impl WriteBatch {
    /// Sets a key.
    pub fn put(&mut self, keyspace: &str, key: &[u8], value: &[u8]) {
        self.write(keyspace, |rows| rows.put(key, &[value]));
    }

    /// Sets a key to the concatenation of `parts`, without an intermediate buffer.
    pub fn put_parts(&mut self, keyspace: &str, key: &[u8], parts: &[&[u8]]) {
        self.write(keyspace, |rows| rows.put(key, parts));
    }

    /// Removes a key.
    pub fn delete(&mut self, keyspace: &str, key: &[u8]) {
        self.write(keyspace, |rows| rows.delete(key));
    }

    /// Removes the keys from `from` to before `to`, those that were put before in this batch too.
    /// Crossed bounds remove nothing.
    pub fn delete_range(&mut self, keyspace: &str, from: &[u8], to: &[u8]) {
        self.write(keyspace, |rows| rows.delete_range(from, to));
    }

    /// See [`Rows::put_first`].
    pub(crate) fn put_first(&mut self, keyspace: &str, key: &[u8], value: &[u8]) {
        self.write(keyspace, |rows| rows.put_first(key, value));
    }

    /// Adds the rows of a sealed layer, without a copy if they are the first of their keyspace.
    pub(crate) fn add_layer(&mut self, keyspace: &Arc<str>, layer: &Arc<SealedLayer>) {
        if self.sections.iter().any(|s| s.keyspace == *keyspace) {
            self.write(keyspace, |rows| rows.extend(layer.rows()));
            return;
        }
        self.len += layer.rows().len();
        self.byte_len += layer.rows().byte_len();
        let writes = Writes::Layer(layer.clone());
        self.sections.push(Section { keyspace: keyspace.clone(), writes });
    }

    fn write(&mut self, keyspace: &str, write: impl FnOnce(&mut Rows)) {
        // Writes come in runs of one keyspace: the last section is nearly always the right one.
        let found = self.sections.iter().rposition(|s| &*s.keyspace == keyspace);
        let at = found.unwrap_or_else(|| {
            let writes = Writes::Own(self.spare.pop().unwrap_or_default());
            self.sections.push(Section { keyspace: keyspace.into(), writes });
            self.sections.len() - 1
        });
        let writes = &mut self.sections[at].writes;
        if let Writes::Layer(layer) = writes {
            *writes = Writes::Own(layer.rows().clone());
        }
        let Writes::Own(rows) = writes else { return };
        let before = (rows.len(), rows.byte_len());
        write(rows);
        self.len += rows.len() - before.0;
        self.byte_len += rows.byte_len() - before.1;
    }

    /// The number of writes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The size of all keys and values, in bytes.
    pub fn byte_len(&self) -> usize {
        self.byte_len
    }

    /// Forgets the writes and keeps the memory.
    pub fn clear(&mut self) {
        for section in self.sections.drain(..) {
            if let Writes::Own(mut rows) = section.writes {
                rows.clear();
                self.spare.push(rows);
            }
        }
        (self.len, self.byte_len) = (0, 0);
    }

    /// The writes by keyspace, each keyspace once, its writes in the order they were made.
    pub fn sections(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = BatchOp<'_>>)> {
        self.sections.iter().map(|s| (&*s.keyspace, s.rows().iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(key: &[u8]) -> Arc<SealedLayer> {
        let mut rows = Rows::default();
        rows.put(key, &[b"v"]);
        Arc::new(SealedLayer::new(rows))
    }

    fn keys(batch: &WriteBatch) -> Vec<(&str, &[u8])> {
        let mut keys = Vec::new();
        for (keyspace, ops) in batch.sections() {
            keys.extend(ops.map(|op| match op {
                BatchOp::Put { key, .. } | BatchOp::Delete { key } => (keyspace, key),
                BatchOp::DeleteRange { from, .. } => (keyspace, from),
            }));
        }
        keys
    }

    #[test]
    fn a_layer_is_shared_and_what_comes_behind_it_is_not_written_into_it() {
        let (name, shared): (Arc<str>, _) = ("a".into(), layer(b"1"));
        let mut batch = WriteBatch::default();
        batch.add_layer(&name, &shared);
        assert_eq!(Arc::strong_count(&shared), 2);
        batch.put("b", b"x", b"");
        batch.put("a", b"2", b"");
        batch.add_layer(&name, &layer(b"3"));
        assert_eq!(keys(&batch), [("a", &b"1"[..]), ("a", b"2"), ("a", b"3"), ("b", b"x")]);
        assert_eq!((batch.len(), batch.byte_len()), (4, 6));
        assert_eq!((Arc::strong_count(&shared), shared.rows().len()), (1, 1));
        batch.clear();
        assert_eq!((batch.len(), batch.byte_len(), batch.sections().count()), (0, 0, 0));
    }
}
