//! Figures of a disk backend: commit time of a batch, and how long an open takes after a load.
//!
//! `cargo run --release -p oncestream-stores --example figures [fjall|sled|memory]`
//! One million records of 100 B under random keys, in batches of 5,000 over one keyspace; then the
//! same over 64 keyspaces.

use oncestream_core::state::{Backend, BackendError, WriteBatch};
use oncestream_stores::MemoryBackend;
use std::path::Path;
use std::time::Instant;

const RECORDS: u64 = 1_000_000;
const BATCH: u64 = 5_000;

fn open(name: &str, dir: &Path) -> Result<Box<dyn Backend>, BackendError> {
    Ok(match name {
        #[cfg(feature = "fjall")]
        "fjall" => Box::new(oncestream_stores::FjallBackend::open(
            dir,
            &oncestream_stores::FjallOptions::default(),
        )?),
        #[cfg(feature = "sled")]
        "sled" => Box::new(oncestream_stores::SledBackend::open(
            dir,
            &oncestream_stores::SledOptions::default(),
        )?),
        _ => Box::new(MemoryBackend::new()),
    })
}

fn measure(name: &str, keyspaces: u64) -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let backend = open(name, dir.path())?;
    let names: Vec<String> = (0..keyspaces).map(|k| format!("0_{k}-counts")).collect();
    for keyspace in &names {
        backend.keyspace(keyspace)?;
    }
    let (mut batch, mut commits_us) = (WriteBatch::default(), Vec::new());
    let start = Instant::now();
    for record in 0..RECORDS {
        // A multiplication by an odd number visits every key once, out of order.
        let key = record.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let keyspace = &names[(record % keyspaces) as usize];
        batch.put_parts(keyspace, &key.to_be_bytes(), &[&key.to_le_bytes(), &[b'.'; 92]]);
        if (record + 1) % BATCH == 0 {
            let commit = Instant::now();
            backend.commit(&batch)?;
            commits_us.push(commit.elapsed().as_micros());
            batch.clear();
        }
    }
    let load = start.elapsed();
    commits_us.sort_unstable();
    let at = |percent: usize| commits_us[(commits_us.len() - 1) * percent / 100];
    println!(
        "{name}, {keyspaces} keyspaces: load {load:.1?}, commit p50 {} us, p99 {} us, max {} us",
        at(50),
        at(99),
        at(100)
    );
    drop(backend);
    let start = Instant::now();
    let backend = open(name, dir.path())?;
    println!("{name}, {keyspaces} keyspaces: reopen {:.1?}", start.elapsed());
    drop(backend);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "fjall".to_owned());
    measure(&name, 1)?;
    measure(&name, 64)
}
