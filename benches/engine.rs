//! The engine without Kafka: records per second and core through a task, from bytes to bytes.
//!
//!     cargo bench --bench engine
//!
//! `pipeline` is source, `map_values`, filter, sink over records of 100 B. `count` counts records
//! over a million keys drawn by Zipf's law (s = 1) and commits to a backend every 200,000 records:
//! every 100 ms at 2 M/s. Caches flush, changelog records are serialised and the backend is
//! written, as in a worker; `behind` lets batches wait in front of fjall until they have 16 MiB, as the
//! runtime does. `wide` has a cache that holds all keys, `default` the default 10 MiB.

#![allow(clippy::expect_used)] // A benchmark that cannot run says so and ends.

mod support;

use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use oncestream::prelude::*;
use oncestream_core::state::{Backend, WriteBatch};
use oncestream_stores::{FjallBackend, FjallOptions, MemoryBackend, WriteBehind};
use support::{Counting, DEFAULT_CACHE, count_topology, raw, task, zipf_keys};

/// Holds all keys of `count`.
const WIDE_CACHE: usize = 512 << 20;
const RECORDS: usize = 200_000;
/// What may wait in memory in front of fjall, as in the runtime.
const WAITING_MAX_BYTES: usize = 16 << 20;

fn pipeline(c: &mut Criterion) {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Vec<u8>, Vec<u8>>("in")
        .map_values(|mut value| {
            value.make_ascii_uppercase();
            value
        })
        .filter(|_, value| value.first() != Some(&b'!'))
        .to("out");
    let topology = builder.build().expect("a topology");
    let (mut task, input) = task(&topology, &MemoryBackend::new(), DEFAULT_CACHE);
    let value = [b'v'; 100];
    let mut out = Counting::default();
    let mut next = 0;
    let mut group = c.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function("source_map_values_filter_sink", |b| {
        b.iter(|| {
            for offset in next..next + RECORDS as i64 {
                let key = offset.to_be_bytes();
                task.add_record(input, raw(offset, &key, &value), 0, &mut out).expect("processed");
            }
            next += RECORDS as i64;
        });
    });
}

fn count_on(c: &mut Criterion, name: &str, backend: &Arc<dyn Backend>, cache: usize) {
    let topology = count_topology();
    let (mut task, input) = task(&topology, &**backend, cache);
    let keys = zipf_keys(20 * RECORDS);
    let value = [b'v'; 100];
    let mut out = Counting::default();
    let mut batch = WriteBatch::default();
    let mut at = 0;
    let mut group = c.benchmark_group("count");
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            for _ in 0..RECORDS {
                let key = keys[at % keys.len()].as_bytes();
                task.add_record(input, raw(at as i64, key, &value), 0, &mut out).expect("counted");
                at += 1;
            }
            let _ = task.flush(&mut out, &mut batch).expect("flushed");
            backend.commit(&batch).expect("applied");
            batch.clear();
            task.committed();
        });
    });
}

fn count_zipf(c: &mut Criterion) {
    for (name, cache) in [("wide", WIDE_CACHE), ("default", DEFAULT_CACHE)] {
        let memory: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
        count_on(c, &format!("zipf_memory_{name}"), &memory, cache);
        let dir = tempfile::tempdir().expect("a directory");
        count_on(c, &format!("zipf_fjall_{name}"), &fjall(dir.path()), cache);
        let dir = tempfile::tempdir().expect("a directory");
        let behind: Arc<dyn Backend> =
            Arc::new(WriteBehind::new(fjall(dir.path()), WAITING_MAX_BYTES));
        count_on(c, &format!("zipf_behind_{name}"), &behind, cache);
    }
}

fn fjall(dir: &Path) -> Arc<dyn Backend> {
    Arc::new(FjallBackend::open(dir, &FjallOptions::default()).expect("a database"))
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = pipeline, count_zipf
}
criterion_main!(benches);
