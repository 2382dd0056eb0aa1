//! Stores by themselves: ranges over a million entries that the backend does not have yet, and over
//! a million that it has and the cache too.
//!
//!     cargo bench --bench state
//!
//! Each range gives 10 entries. `window` fetches the 10 windows of one of 100,000 keys.

#![allow(clippy::expect_used)] // A benchmark that cannot run says so and ends.

use std::hint::black_box;
use std::rc::Rc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use oncestream::BoxError;
use oncestream_core::serde::HasSerde;
use oncestream_core::state::{
    Backend, CacheBudget, KeyValueStore, StateStore, StoreInit, Window, WindowStore, WriteBatch,
};
use oncestream_core::task::{Collector, Outgoing};
use oncestream_stores::MemoryBackend;

const ENTRIES: u64 = 1_000_000;
const KEYSPACE: &str = "0_0-store";

struct Nowhere;

impl Collector for Nowhere {
    fn send(&mut self, _record: &Outgoing<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    fn partition_count(&mut self, _topic: &str) -> Result<i32, BoxError> {
        Ok(1)
    }
}

fn init(backend: &MemoryBackend) -> StoreInit {
    StoreInit {
        name: "store".into(),
        keyspace_name: KEYSPACE.into(),
        keyspace: backend.keyspace(KEYSPACE).expect("a keyspace"),
        changelog: None,
        serde_topic: "store-changelog".into(),
        budget: Rc::new(CacheBudget::new(1 << 30)),
    }
}

fn commit(store: &mut impl StateStore, backend: &MemoryBackend) {
    let mut batch = WriteBatch::default();
    store.seal(&mut Nowhere, &mut batch).expect("sealed");
    backend.commit(&batch).expect("applied");
    store.committed();
}

fn key_value(c: &mut Criterion) {
    let backend = MemoryBackend::new();
    let mut store = KeyValueStore::<u64, u64>::new(init(&backend), u64::serde(), u64::serde());
    for key in 0..ENTRIES {
        store.put(key, Some(key), 0).expect("put");
    }
    let mut at = 0;
    let mut range = |store: &KeyValueStore<u64, u64>| {
        at = (at + 7_919) % (ENTRIES - 10);
        let found = store.range(&at, &(at + 9)).expect("a range");
        let found: Vec<_> = found.map(|entry| entry.expect("an entry")).collect();
        assert_eq!(found.len(), 10);
        black_box(found);
    };
    let mut group = c.benchmark_group("range_10_of_a_million");
    group.bench_function("uncommitted", |b| b.iter(|| range(&store)));
    commit(&mut store, &backend);
    group.bench_function("cached", |b| b.iter(|| range(&store)));
}

fn window(c: &mut Criterion) {
    let backend = MemoryBackend::new();
    let window = Window::new(Duration::from_secs(86_400));
    let mut store =
        WindowStore::<u64, u64>::of_kind(window, init(&backend), u64::serde(), u64::serde());
    for entry in 0..ENTRIES {
        let (key, start) = (entry % (ENTRIES / 10), entry / (ENTRIES / 10));
        store.put_at(key, start as i64 * 1_000, Some(entry), 0).expect("put");
    }
    let mut at = 0;
    let mut fetch = |store: &mut WindowStore<u64, u64>| {
        at = (at + 7_919) % (ENTRIES / 10);
        let found = store.fetch_between(&at, 0..=i64::MAX).expect("a range");
        let found: Vec<_> = found.map(|entry| entry.expect("an entry")).collect();
        assert_eq!(found.len(), 10);
        black_box(found);
    };
    let mut group = c.benchmark_group("fetch_10_windows_of_a_million");
    group.bench_function("uncommitted", |b| b.iter(|| fetch(&mut store)));
    commit(&mut store, &backend);
    group.bench_function("cached", |b| b.iter(|| fetch(&mut store)));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = key_value, window
}
criterion_main!(benches);
