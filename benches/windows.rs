//! Windows that are emitted when they close: what a record costs with 10^3 to 10^6 windows open.
//!
//!     cargo bench --bench windows
//!
//! Each record has a key of its own and a time a millisecond after the last one, so each opens a window
//! and closes another: as many are open as the windows last milliseconds. A cost that grew with the open
//! windows would show as a throughput that falls from one line to the next.

#![allow(clippy::expect_used)] // A benchmark that cannot run says so and ends.

#[allow(dead_code, reason = "keys by Zipf's law are for other benches")]
mod support;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use oncestream::prelude::*;
use oncestream_core::state::{Backend, WriteBatch};
use oncestream_stores::MemoryBackend;
use support::{Counting, DEFAULT_CACHE, raw, task};

const RECORDS: i64 = 10_000;
const OPEN: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Counts in windows that stay open for this time.
type Windows = fn(&KGroupedStream<String, Vec<u8>>, Duration);

fn tumbling(grouped: &KGroupedStream<String, Vec<u8>>, open: Duration) {
    let windows = TimeWindows::of_size_with_no_grace(open);
    let emit = EmitStrategy::on_window_close();
    let counts = grouped.windowed_by(windows).emit_strategy(emit).count("counts");
    counts.to_stream().map(|window, count| (window.key, count)).to("out");
}

fn sliding(grouped: &KGroupedStream<String, Vec<u8>>, open: Duration) {
    let windows = SlidingWindows::of_time_difference_and_grace(Duration::from_millis(10), open);
    let emit = EmitStrategy::on_window_close();
    let counts = grouped.windowed_by(windows).emit_strategy(emit).count("counts");
    counts.to_stream().map(|window, count| (window.key, count)).to("out");
}

fn sessions(grouped: &KGroupedStream<String, Vec<u8>>, open: Duration) {
    let windows = SessionWindows::of_inactivity_gap_with_no_grace(open);
    let emit = EmitStrategy::on_window_close();
    let counts = grouped.windowed_by(windows).emit_strategy(emit).count("counts");
    counts.to_stream().map(|window, count| (window.key, count)).to("out");
}

/// Each result waits in the buffer until its window closes.
fn suppressed(grouped: &KGroupedStream<String, Vec<u8>>, open: Duration) {
    let windows = TimeWindows::of_size_and_grace(Duration::from_millis(10), open);
    let closes = Suppressed::until_window_closes(BufferConfig::unbounded());
    let counts = grouped.windowed_by(windows).count("counts").suppress(closes);
    counts.to_stream().map(|window, count| (window.key, count)).to("out");
}

fn closing(c: &mut Criterion) {
    let kinds: [(&str, Windows); 4] = [
        ("tumbling", tumbling),
        ("sliding", sliding),
        ("sessions", sessions),
        ("suppressed", suppressed),
    ];
    for (kind, add) in kinds {
        let mut group = c.benchmark_group(kind);
        group.throughput(Throughput::Elements(RECORDS.unsigned_abs()));
        for open in OPEN {
            let builder = StreamsBuilder::new();
            let grouped = builder.stream::<String, Vec<u8>>("in").group_by_key();
            add(&grouped, Duration::from_millis(open));
            let topology = builder.build().expect("a topology");
            let backend = MemoryBackend::new();
            let (mut task, input) = task(&topology, &backend, DEFAULT_CACHE);
            let (mut out, mut batch) = (Counting::default(), WriteBatch::default());
            let mut next = 0;
            let mut run = || {
                for offset in next..next + RECORDS {
                    let key = format!("{offset:010}");
                    let record = raw(offset, key.as_bytes(), b"");
                    task.add_record(input, record, 0, &mut out).expect("counted");
                }
                next += RECORDS;
                let _ = task.flush(&mut out, &mut batch).expect("flushed");
                backend.commit(&batch).expect("applied");
                batch.clear();
                task.committed();
            };
            for _ in 0..2 * open.div_ceil(RECORDS.unsigned_abs()) {
                run();
            }
            group.bench_function(BenchmarkId::from_parameter(open), |b| b.iter(&mut run));
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = closing
}
criterion_main!(benches);
