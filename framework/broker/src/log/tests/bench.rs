//! How fast appending and reading are. Ignored, since it judges nothing: run it in release with
//! `--ignored --nocapture`.

use std::time::Instant;

use super::*;

const BATCHES: usize = 20_000;
const PER_BATCH: usize = 100;

#[test]
#[ignore = "prints numbers, judges nothing"]
fn records_per_second() {
    let value = "v".repeat(90);
    for (name, codec, settings) in [
        ("uncompressed", Codec::None, LogSettings::default()),
        ("lz4", Codec::Lz4, LogSettings::default()),
        ("log append time", Codec::None, LogSettings { log_append_time: true, ..<_>::default() }),
        ("compacted", Codec::None, compacting()),
        ("compacted, lz4", Codec::Lz4, compacting()),
    ] {
        let mut batch = send([]).codec(codec);
        for i in 0..PER_BATCH {
            batch.records.push((Some(format!("k{i}")), Some(value.clone()), NOW));
        }
        let bytes = batch.bytes();
        let mut log = PartitionLog::new();
        let start = Instant::now();
        for _ in 0..BATCHES {
            log.append(&bytes, &settings, NOW).unwrap();
        }
        let append = start.elapsed();
        let start = Instant::now();
        let mut offset = 0;
        while offset < log.high_watermark() {
            let read =
                log.read(offset, 1 << 20, true, Isolation::ReadCommitted, log.ends(0)).unwrap();
            offset += (read.records.len() / bytes.len() * PER_BATCH) as i64;
        }
        let read = start.elapsed();
        let start = Instant::now();
        log.clean(&compacting(), NOW);
        let million = |elapsed: std::time::Duration| {
            (BATCHES * PER_BATCH) as f64 / elapsed.as_secs_f64() / 1e6
        };
        let clean = start.elapsed();
        println!(
            "{name}: append {:.1} M records/s, read {:.1} M, compact {:.1} M",
            million(append),
            million(read),
            million(clean)
        );
    }
}
