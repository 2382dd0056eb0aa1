//! How transactions ended, as their coordinators wrote it down.

use oncestream_tests::kafka::{Isolation, consumer, for_each, partitions};

/// Transactions that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transactions {
    pub(crate) committed: u64,
    pub(crate) aborted: u64,
}

/// Reads the coordinators' log.
pub(crate) fn transactions() -> Transactions {
    let topic = "__transaction_state";
    let all = partitions(&consumer("transactions", Isolation::Uncommitted), topic);
    let mut ended = Transactions::default();
    for_each(topic, Isolation::Uncommitted, &vec![None; all as usize], |r| {
        match r.value.as_deref().and_then(prepared) {
            Some(true) => ended.committed += 1,
            Some(false) => ended.aborted += 1,
            None => {}
        }
    });
    ended
}

/// Whether a record of the coordinators' log decides on a transaction: to commit it, or not.
fn prepared(value: &[u8]) -> Option<bool> {
    // Kafka's TransactionLogValue: version, producer id, epoch, timeout, and then the state.
    match value.get(2 + 8 + 2 + 4) {
        Some(2) => Some(true),
        Some(3) => Some(false),
        _ => None,
    }
}
