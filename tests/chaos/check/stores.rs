//! Changelogs and stores against what must be in them.

use oncestream_tests::app::PARTITIONS;
use oncestream_tests::check::Counts;
use oncestream_tests::kafka::read_committed;
use oncestream_tests::stores::{by_changelog_key, fold, read_stores};

use super::{Checked, number, text};
use crate::instance::number_and_time_ms;
use crate::plan::INSTANCES;
use crate::workload::Workload;

/// The store of `pairs` that keeps the odd numbers.
pub(super) const ODD: &str = "pairs-other-join-store";
/// The windowed store of `word_count`.
pub(super) const WINDOWS: &str = "windows";

/// The changelog folds to what must be; each slot's store is its fold up to its checkpoint; and
/// of each partition one store has it all.
pub(super) fn check_store(workload: &Workload, name: &str, should: &Counts, checked: &mut Checked) {
    let changelog = read_committed(&workload.changelog(name));
    let mut folded = Counts::new();
    let mut complete = vec![false; PARTITIONS as usize];
    let full: Vec<_> = (0..PARTITIONS).map(|p| fold(&changelog, p, i64::MAX)).collect();
    for content in &full {
        let shown = |key: &Vec<u8>| if is_windowed(name) { windowed(key) } else { text(Some(key)) };
        folded.extend(content.iter().map(|(k, (_, v))| (shown(k), stored(name, v))));
    }
    if folded != *should {
        let off = should.iter().filter(|(k, v)| folded.get(*k) != Some(v)).count();
        checked.problems.push(format!("the changelog of {name} is wrong for {off} keys"));
    }
    for slot in 0..INSTANCES.1 {
        let state_dir = workload.state_dir(slot);
        if !state_dir.join(&workload.id).join("stores").is_dir() {
            continue; // Nobody was ever in it.
        }
        for mut store in read_stores(&state_dir, &workload.id, name) {
            if is_windowed(name) {
                store.content = by_changelog_key(store.content);
            }
            checked.stores += 1;
            let p = store.partition as usize;
            complete[p] |= store.content == full[p];
            if store.content != fold(&changelog, store.partition, store.checkpoint) {
                checked.problems.push(format!(
                    "slot {slot}: {name}-{p} is not its changelog up to {}",
                    store.checkpoint
                ));
            }
        }
    }
    if complete.contains(&false) {
        checked.problems.push(format!("{name}: complete stores: {complete:?}"));
    }
}

/// Whether the rows of a store are of a key and a time.
fn is_windowed(store: &str) -> bool {
    store == WINDOWS || store.starts_with("pairs-")
}

/// The number in a row of a store.
fn stored(store: &str, value: &Vec<u8>) -> i64 {
    match store {
        "even" | "odd" => text(Some(value)).parse().unwrap_or(-1),
        _ if store.starts_with("pairs-") => number_and_time_ms(&text(Some(value))).0,
        _ => number(Some(value)),
    }
}

/// The word and the start in the changelog key of a window.
fn windowed(key: &[u8]) -> String {
    let Some((key, _)) = key.split_last_chunk::<4>() else { return String::new() };
    let Some((word, start)) = key.split_last_chunk() else { return String::new() };
    format!("{}@{}", String::from_utf8_lossy(word), i64::from_be_bytes(*start))
}
