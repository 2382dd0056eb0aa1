//! What must hold after each case, whatever happened in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use oncestream_broker::TransactionState;

use super::outputs::{Agreement, Outputs, bounded, shown};
use super::settings::Caching;
use super::stage::Stage;
use super::stores;

/// How long a transaction that its owner left behind may stay open: its timeout, and ample time for
/// a machine that is busy.
const SETTLED: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(2);
/// The time in front of a row's value: not compared, since it may depend on which input came first.
const TIME_LEN: usize = 8;

/// The value of each row that a changelog partition keeps.
type Latest = BTreeMap<(String, i32, Vec<u8>), Vec<u8>>;

/// What a run without faults leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) outputs: Outputs,
    pub(super) changelogs: Latest,
}

impl Outcome {
    /// Reads what a run left behind.
    pub(super) fn read(stage: &Stage<'_>) -> Result<Self, String> {
        let mut changelogs = Latest::new();
        for ((topic, partition), rows) in stores::changelogs(stage)? {
            changelogs.extend(rows.into_iter().map(|(key, row)| {
                let value = row.get(TIME_LEN..).unwrap_or_default().to_vec();
                ((topic.clone(), partition, key), value)
            }));
        }
        Ok(Self { outputs: Outputs::read(stage), changelogs })
    }

    /// How another run differs from this one.
    pub(super) fn differences(&self, other: &Self, agreement: &Agreement) -> Vec<String> {
        let mut found = self.outputs.differences(&other.outputs, agreement);
        let (mine, others) = (&self.changelogs, &other.changelogs);
        let mut changed = Vec::new();
        for at in mine.keys().chain(others.keys().filter(|at| !mine.contains_key(*at))) {
            let (should, is) = (mine.get(at), others.get(at));
            if should != is {
                let (topic, partition, key) = at;
                let text = |v: Option<&Vec<u8>>| v.map_or("nothing".to_owned(), |v| shown(v));
                changed.push(format!(
                    "changelog {topic}-{partition}, key {}: ends with {} instead of {}",
                    shown(key),
                    text(is),
                    text(should)
                ));
            }
        }
        found.extend(bounded(changed));
        found
    }
}

/// Everything that is wrong after a case, in words; empty if it is exact.
pub(super) fn verify(
    stage: &Stage<'_>,
    expected: &Outcome,
    state_dirs: &[PathBuf],
    caching: Caching,
) -> Vec<String> {
    let mut found = unsettled(stage);
    if !stage.is_done() {
        found.push("committed offsets are not at the end of the inputs".to_owned());
    }
    let agreement = stage.setup.agreement(&stage.topology, caching);
    match Outcome::read(stage) {
        Ok(outcome) => found.extend(expected.differences(&outcome, &agreement)),
        Err(error) => found.push(error),
    }
    match stores::differences(stage, state_dirs) {
        Ok(differences) => found.extend(bounded(differences)),
        Err(error) => found.push(error),
    }
    found
}

/// Transactions that stay open past their timeout.
fn unsettled(stage: &Stage<'_>) -> Vec<String> {
    let until = Instant::now() + SETTLED;
    loop {
        let open = open_transactions(stage);
        if open.is_empty() || Instant::now() >= until {
            return open;
        }
        std::thread::sleep(LOOK);
    }
}

/// What is not settled at this moment, in words.
pub(super) fn open_transactions(stage: &Stage<'_>) -> Vec<String> {
    let view = stage.broker.view();
    let transactions = view.transactions.iter().filter_map(|t| {
        let settled = matches!(
            t.state,
            TransactionState::Empty
                | TransactionState::CompleteCommit
                | TransactionState::CompleteAbort
        );
        (!settled).then(|| format!("transaction {} is left {:?}", t.transactional_id, t.state))
    });
    let partitions = view.partitions.iter().filter_map(|p| {
        let (stable, end) = (p.last_stable_offset, p.high_watermark);
        let (topic, partition) = (&p.topic, p.partition);
        (stable < end).then(|| format!("{topic}-{partition} is stable to {stable} of {end}"))
    });
    let pending = view.groups.iter().flat_map(|group| {
        group.pending_offsets.iter().map(|(_, topic, partition, offset)| {
            format!("offset {offset} of {topic}-{partition} is pending")
        })
    });
    transactions.chain(partitions).chain(pending).collect()
}
