//! Reads what a run left behind in Kafka and on disk, and has it verified.
//!
//! - `expected.rs` says what must come out, and what must be in the stores, from what is in the input topics.
//! - `stores.rs` holds changelogs and stores against that; `transactions.rs` counts how transactions ended.
//!
//! Everything is read from the topics, with committed isolation, after all instances have ended.
//! What was fed is counted apart, so that a loss on the way into Kafka is not mistaken for ours.

mod expected;
mod stores;
mod transactions;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use oncestream_tests::app::Guarantee;
use oncestream_tests::kafka::{Isolation, committed, consumer, ends, for_each, partitions};

pub(crate) use transactions::{Transactions, transactions};

use crate::verify::Tally;
use crate::workload::Workload;
use expected::Expected;
use stores::check_store;

/// Everything that is known of one application after a run.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) job: &'static str,
    /// Records in its input topics.
    pub(crate) records_in: u64,
    /// Of each input topic its partitions, in the end.
    pub(crate) inputs: Vec<i32>,
    /// Committed records in its output topic.
    pub(crate) records_out: u64,
    /// Records of aborted transactions in the topics it writes.
    pub(crate) hidden: u64,
    /// What is wrong with the output.
    pub(crate) tally: Tally,
    /// Stores that were compared with their changelogs.
    pub(crate) stores: usize,
    /// What else is wrong.
    pub(crate) problems: Vec<String>,
}

/// Waits until the group has committed everything there is to read. False when it does not.
pub(crate) fn drained(workload: &Workload, within: Duration) -> bool {
    // What was struck last may still be on its way back; who asks then is refused, and asks again.
    came_true(within, || {
        catch_unwind(AssertUnwindSafe(|| finished(workload, within))).unwrap_or(false)
    })
}

fn finished(workload: &Workload, within: Duration) -> bool {
    let asks = consumer(&workload.id, Isolation::Committed);
    workload.sources().iter().all(|topic| {
        let mut before = Vec::new();
        came_true(within, || {
            let now = committed(&asks, topic);
            // Markers count as offsets, so only reading tells; which is worth it only when the
            // offsets stand still.
            let still = now == before;
            let mut left = 0;
            if still {
                for_each(topic, Isolation::Committed, &now, |_| left += 1);
            }
            before = now;
            still && left == 0
        })
    })
}

fn came_true(within: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

/// Checks an application whose instances have ended. `fed` records were acknowledged.
pub(crate) fn check(workload: &Workload, guarantee: Guarantee, fed: u64) -> Checked {
    let mut checked = Checked { job: workload.job, ..Checked::default() };
    checked.inputs = workload.inputs.counts();
    settle(workload, &mut checked);
    if !drained(workload, Duration::from_secs(30)) {
        checked.problems.push("after the last commits, input is left to be read".to_owned());
    }
    let expected = Expected::read(workload, &mut checked);
    if checked.records_in != fed {
        let held = checked.records_in;
        checked.problems.push(format!("{fed} records were fed, and {held} are in the input"));
    }
    checked.tally = expected.verify(&workload.output);
    checked.records_out = checked.tally.records;
    // At least once, a crash leaves changelogs that are ahead of the stores.
    if guarantee == Guarantee::ExactlyOnce {
        for store in workload.stores() {
            let should = expected.store(store);
            check_store(workload, store, &should, &mut checked);
        }
    }
    checked
}

/// No transaction is left open; and what the aborted ones left behind is counted.
fn settle(workload: &Workload, checked: &mut Checked) {
    for topic in workload.written() {
        // Markers are written soon after the answer to a commit.
        let settled = came_true(Duration::from_secs(30), || {
            ends(&topic, Isolation::Committed) == ends(&topic, Isolation::Uncommitted)
        });
        if !settled {
            checked.problems.push(format!("a transaction is left open on {topic}"));
        }
        let count = |isolation| {
            let mut count = 0_u64;
            let all = partitions(&consumer("count", isolation), &topic);
            for_each(&topic, isolation, &vec![None; all as usize], |_| count += 1);
            count
        };
        let (all, visible) = (count(Isolation::Uncommitted), count(Isolation::Committed));
        checked.hidden += all.saturating_sub(visible);
    }
}

fn text(bytes: Option<&Vec<u8>>) -> String {
    bytes.map_or_else(String::new, |b| String::from_utf8_lossy(b).into_owned())
}

/// A value that is no number is nobody's: no number comes out as -1.
fn number(bytes: Option<&Vec<u8>>) -> i64 {
    bytes.and_then(|b| b.as_slice().try_into().ok()).map_or(-1, i64::from_be_bytes)
}
