//! The stores in a state directory, read after their instance has ended, however it ended.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

use oncestream_core::state::{Backend as _, CHECKPOINTS, Checkpoint};
use oncestream_stores::{FjallBackend, FjallOptions};

use crate::kafka::Read;

/// Of each key the record time and the value.
pub type Content = BTreeMap<Vec<u8>, (i64, Vec<u8>)>;

/// One store of one partition.
#[derive(Debug)]
pub struct Store {
    /// The partition of its changelog.
    pub partition: i32,
    /// The next changelog offset it would read.
    pub checkpoint: i64,
    /// What is in it.
    pub content: Content,
}

/// All stores of that name in `<state_dir>/<application_id>`, one per partition that was there.
pub fn read_stores(state_dir: &Path, application_id: &str, name: &str) -> Vec<Store> {
    let data = state_dir.join(application_id).join("stores");
    assert!(data.is_dir(), "no stores in {}", data.display());
    let backend = FjallBackend::open(&data, &FjallOptions::default()).unwrap();
    let checkpoints = backend.keyspace(CHECKPOINTS).unwrap();
    let mut stores = Vec::new();
    for keyspace in backend.keyspace_names() {
        let Some(partition) =
            keyspace.strip_prefix(name).and_then(|p| p.strip_prefix('-')?.parse().ok())
        else {
            continue;
        };
        let mut checkpoint = None;
        checkpoints
            .get(keyspace.as_bytes(), &mut |bytes| checkpoint = Checkpoint::read(bytes))
            .unwrap();
        let entries = backend.keyspace(&keyspace).unwrap();
        let content: Content = entries
            .range(Bound::Unbounded, Bound::Unbounded)
            .map(|pair| {
                let (key, value) = pair.unwrap();
                // A key-value store puts the record's time before the value.
                let (time, value) = value.split_at(8);
                (key, (i64::from_be_bytes(time.try_into().unwrap()), value.to_vec()))
            })
            .collect();
        let Some(checkpoint) = checkpoint else {
            assert!(content.is_empty(), "{keyspace} has data and no checkpoint");
            continue;
        };
        stores.push(Store { partition, checkpoint: checkpoint.offset, content });
    }
    stores
}

/// The content of a window store by the keys of its changelog: its own begin with the number of a
/// segment, and one row is the store's note.
pub fn by_changelog_key(content: Content) -> Content {
    let rows = content.into_iter().filter(|(key, _)| key.len() > 8);
    rows.map(|(key, row)| (key[8..].to_vec(), row)).collect()
}

/// What a changelog partition makes of a store, up to an offset.
pub fn fold(changelog: &[Read], partition: i32, up_to: i64) -> Content {
    let mut content = Content::new();
    for record in changelog.iter().filter(|r| r.partition == partition && r.offset < up_to) {
        let key = record.key.clone().expect("a changelog record has a key");
        match &record.value {
            Some(value) => content.insert(key, (record.timestamp_ms, value.clone())),
            None => content.remove(&key),
        };
    }
    content
}
