//! Joins: what a record costs with 10^3 to 10^6 rows in the window, or in the cache of a table.
//!
//!     cargo bench --bench joins
//!
//! A cost that grew with them would show as a throughput that falls from one line to the next.

#![allow(clippy::expect_used)] // A benchmark that cannot run says so and ends.

#[allow(dead_code, reason = "keys by Zipf's law are for other benches")]
mod support;

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use oncestream::prelude::*;
use oncestream_core::state::{Backend, WriteBatch};
use oncestream_core::task::{InputId, Task};
use oncestream_stores::MemoryBackend;
use support::{Counting, raw, task};

const RECORDS: u64 = 10_000;
const HELD: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// All rows of a table fit in.
const LARGE_CACHE: usize = 1 << 30;
const LEFT: &[u8] = b"l";
const RIGHT: &[u8] = b"r";

/// A task with what was committed of it.
struct Bench {
    task: Task,
    input: InputId,
    backend: MemoryBackend,
    out: Counting,
    batch: WriteBatch,
}

impl Bench {
    fn new(topology: &Topology) -> Self {
        let backend = MemoryBackend::new();
        let (task, input) = task(topology, &backend, LARGE_CACHE);
        Self { task, input, backend, out: Counting::default(), batch: WriteBatch::default() }
    }

    fn add(&mut self, offset: u64, key: u64, value: &[u8]) {
        let key = format!("{key:010}");
        let record = raw(offset.cast_signed(), key.as_bytes(), value);
        self.task.add_record(self.input, record, 0, &mut self.out).expect("joined");
    }

    fn commit(&mut self) {
        let _ = self.task.flush(&mut self.out, &mut self.batch).expect("flushed");
        self.backend.commit(&self.batch).expect("applied");
        self.batch.clear();
        self.task.committed();
    }
}

/// The two sides of a join, told by their values.
fn sides(builder: &StreamsBuilder) -> [KStream<String, Vec<u8>>; 2] {
    let all = builder.stream::<String, Vec<u8>>("in");
    [LEFT, RIGHT].map(|side| all.filter(move |_, value| value == side))
}

fn run(
    group: &mut BenchmarkGroup<'_, WallTime>,
    held: u64,
    topology: &Topology,
    fill: impl Fn(u64) -> (u64, &'static [u8]),
    record: impl Fn(u64) -> (u64, &'static [u8]),
) {
    let mut bench = Bench::new(topology);
    let mut next = 0;
    while next < 2 * held {
        let (key, value) = fill(next);
        bench.add(next, key, value);
        next += 1;
        if next % RECORDS == 0 {
            bench.commit();
        }
    }
    bench.commit();
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function(BenchmarkId::from_parameter(held), |b| {
        b.iter(|| {
            for offset in next..next + RECORDS {
                let (key, value) = record(offset);
                bench.add(offset, key, value);
            }
            next += RECORDS;
            bench.commit();
        });
    });
}

/// Each right record meets a left one from half a window before.
fn stream_join(c: &mut Criterion) {
    let mut group = c.benchmark_group("stream_join");
    for held in HELD {
        let builder = StreamsBuilder::new();
        let [left, right] = sides(&builder);
        let windows =
            JoinWindows::of_time_difference_with_no_grace(Duration::from_millis(held / 2));
        let joined = left.join(&right, windows, |left, right| [&left[..], &right[..]].concat());
        joined.to("out");
        let topology = builder.build().expect("a topology");
        let record = |at: u64| {
            if at.is_multiple_of(2) {
                (at, LEFT)
            } else {
                (at.saturating_sub((held / 4) | 1), RIGHT)
            }
        };
        run(&mut group, held, &topology, record, record);
    }
}

/// Each record meets a row of the table's cache.
fn table_join(c: &mut Criterion) {
    let mut group = c.benchmark_group("table_join");
    for held in HELD {
        let builder = StreamsBuilder::new();
        let [left, right] = sides(&builder);
        let table = right.to_table().materialized("table");
        left.join_table(&table, |left, right| [&left[..], &right[..]].concat()).to("out");
        let topology = builder.build().expect("a topology");
        // Far from the last one, as keys of a stream are.
        let key = |at: u64| at.wrapping_mul(0x9e37_79b9) % held;
        run(&mut group, held, &topology, |at| (at % held, RIGHT), |at| (key(at), LEFT));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = stream_join, table_join
}
criterion_main!(benches);
