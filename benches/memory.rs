//! Whether memory stays flat over many records: the engine without Kafka.
//!
//!     cargo bench --bench memory                 # 50 M records each; Linux
//!     cargo bench --bench memory -- 5000000
//!
//! Prints the resident memory of the process at each tenth of a run, and fails if the last is
//! more than a tenth above the largest of the first half. `count` has a million keys, the default
//! cache and the fjall backend, so what it may keep is bounded by `statestore.cache.max.bytes`
//! and by fjall's own caches. `windowcount` counts the same keys in windows of a minute, 200,000 records
//! to a minute of their times, with what waits in memory in front of fjall in the runtime.

#![allow(clippy::expect_used)] // A benchmark that cannot run says so and ends.

mod support;

use std::sync::Arc;
use std::time::Duration;

use oncestream::prelude::*;
use oncestream_core::state::{Backend, WriteBatch};
use oncestream_core::task::RawRecord;
use oncestream_stores::{FjallBackend, FjallOptions, MemoryBackend, WriteBehind};
use support::{Counting, DEFAULT_CACHE, count_topology, raw, task, zipf_keys};

const COMMIT_EVERY: u64 = 30_000;
/// Of `windowcount`.
const RECORDS_PER_MINUTE: u64 = 200_000;
/// What may wait in memory in front of fjall, as in the runtime.
const WAITING_MAX_BYTES: usize = 16 << 20;

/// Resident memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("a line for VmRSS");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

/// Runs `step` for records 0 to `records` and gives the memory at each tenth, in KiB.
fn watch(name: &str, records: u64, mut step: impl FnMut(u64)) -> bool {
    let tenth = (records / 10).max(1);
    let mut seen = Vec::new();
    for at in 0..records {
        step(at);
        if (at + 1) % tenth == 0 {
            seen.push(resident_kib());
        }
    }
    let half = seen.len() / 2;
    let before = seen[..half].iter().max().copied().unwrap_or(0);
    let last = seen.last().copied().unwrap_or(0);
    let flat = last <= before + before / 10;
    let mib: Vec<u64> = seen.iter().map(|kib| kib >> 10).collect();
    println!(
        "{name}: {records} records, MiB at each tenth {mib:?}: {}",
        if flat { "flat" } else { "GROWS" }
    );
    flat
}

fn pipeline(records: u64) -> bool {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Vec<u8>, Vec<u8>>("in")
        .map_values(|value| value)
        .filter(|_, value| !value.is_empty())
        .to("out");
    let topology = builder.build().expect("a topology");
    let (mut task, input) = task(&topology, &MemoryBackend::new(), DEFAULT_CACHE);
    let mut out = Counting::default();
    watch("pipeline", records, |at| {
        let record = raw(at.cast_signed(), b"key", &[7; 100]);
        task.add_record(input, record, 0, &mut out).expect("processed");
    })
}

fn count(records: u64) -> bool {
    counted("count", records, &count_topology(), &|fjall| fjall, |at| at)
}

fn window_count(records: u64) -> bool {
    let builder = StreamsBuilder::new();
    let minute = Duration::from_mins(1);
    builder
        .stream::<String, Vec<u8>>("in")
        .group_by_key()
        .windowed_by(TimeWindows::of_size_with_no_grace(minute))
        .count("counts")
        .to_stream()
        .to(Produced::with("out", Windowed::time_serde(String::serde(), minute), Option::serde()));
    let topology = builder.build().expect("a topology");
    let behind =
        |fjall| -> Arc<dyn Backend> { Arc::new(WriteBehind::new(fjall, WAITING_MAX_BYTES)) };
    counted("windowcount", records, &topology, &behind, |at| at * 60_000 / RECORDS_PER_MINUTE)
}

/// Counts keys on fjall, with commits; `time_of` is the time of a record.
fn counted(
    name: &str,
    records: u64,
    topology: &Topology,
    in_front: &dyn Fn(Arc<dyn Backend>) -> Arc<dyn Backend>,
    time_of: fn(u64) -> u64,
) -> bool {
    let dir = tempfile::tempdir().expect("a directory");
    let fjall = FjallBackend::open(dir.path(), &FjallOptions::default()).expect("a database");
    let backend = in_front(Arc::new(fjall));
    let (mut task, input) = task(topology, &*backend, DEFAULT_CACHE);
    let keys = zipf_keys(2_000_000);
    let mut out = Counting::default();
    let mut batch = WriteBatch::default();
    watch(name, records, |at| {
        let key = keys[at as usize % keys.len()].as_bytes();
        let record = raw(at.cast_signed(), key, b"v");
        let record = RawRecord { timestamp: time_of(at).cast_signed(), ..record };
        task.add_record(input, record, 0, &mut out).expect("counted");
        if at % COMMIT_EVERY == 0 {
            let _ = task.flush(&mut out, &mut batch).expect("flushed");
            backend.commit(&batch).expect("applied");
            batch.clear();
            task.committed();
        }
    })
}

fn main() {
    let records = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(50_000_000);
    let flat = [pipeline(records), count(records), window_count(records)];
    assert!(flat.iter().all(|f| *f), "memory grows with the records");
}
