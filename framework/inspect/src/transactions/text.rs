//! A report on transactions for people. Pure.

use std::fmt;

use super::{HangingTransaction, Transaction, TransactionsReport, Why};
use crate::table::{NONE, or_none, shown, span, table, time};

/// So many partitions are named; of the others, their number.
const PARTITIONS_NAMED: usize = 5;

impl fmt::Display for TransactionsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.transactions.is_empty() {
            writeln!(f, "No coordinator knows a transactional id that this user may see.")?;
        } else {
            let heads = [
                "TRANSACTIONAL ID",
                "STATE",
                "PRODUCER ID",
                "EPOCH",
                "OPEN FOR",
                "TIMEOUT",
                "COORDINATOR",
                "PARTITIONS",
            ];
            let rows: Vec<Vec<String>> = self.transactions.iter().map(row).collect();
            f.write_str(&table(&heads, &rows))?;
        }
        let searched = self.partitions_searched;
        if self.hanging.is_empty() {
            return writeln!(f, "\nNo transaction hangs in the {searched} partitions searched.");
        }
        writeln!(f, "\nHanging: open in a partition, and no coordinator will end them.\n")?;
        let heads = [
            "TOPIC",
            "PARTITION",
            "PRODUCER ID",
            "EPOCH",
            "COORDINATOR EPOCH",
            "OPEN SINCE OFFSET",
            "LAST TIMESTAMP",
            "TRANSACTIONAL ID",
            "WHY",
        ];
        let rows: Vec<Vec<String>> = self.hanging.iter().map(hanging_row).collect();
        f.write_str(&table(&heads, &rows))?;
        if self.hanging.iter().any(|hanging| hanging.why == Why::UnknownProducer) {
            writeln!(
                f,
                "\nA coordinator tells a user only of transactional ids that he may see (right Describe)."
            )?;
        }
        writeln!(f, "\nThese commands of Apache Kafka end them. They were not run.")?;
        self.hanging
            .iter()
            .try_for_each(|hanging| writeln!(f, "  {}", shown(&hanging.abort_command)))
    }
}

fn row(transaction: &Transaction) -> Vec<String> {
    vec![
        shown(&transaction.transactional_id),
        shown(&transaction.state),
        transaction.producer_id.to_string(),
        transaction.epoch.to_string(),
        or_none(transaction.open_for_ms.map(span)),
        span(i64::from(transaction.timeout_ms)),
        transaction.coordinator.to_string(),
        partitions(transaction),
    ]
}

fn partitions(transaction: &Transaction) -> String {
    let named = transaction.partitions.iter().take(PARTITIONS_NAMED);
    let mut parts: Vec<String> =
        named.map(|at| format!("{}-{}", shown(&at.topic), at.partition)).collect();
    let others = transaction.partitions.len().saturating_sub(PARTITIONS_NAMED);
    if others > 0 {
        parts.push(format!("and {others} more"));
    }
    if parts.is_empty() { NONE.to_owned() } else { parts.join(", ") }
}

fn hanging_row(hanging: &HangingTransaction) -> Vec<String> {
    vec![
        shown(&hanging.topic),
        hanging.partition.to_string(),
        hanging.producer_id.to_string(),
        hanging.epoch.to_string(),
        or_none(hanging.coordinator_epoch),
        hanging.start_offset.to_string(),
        hanging.last_timestamp_ms.map_or_else(|| NONE.to_owned(), time),
        or_none(hanging.transactional_id.as_deref().map(shown)),
        hanging.why.text().to_owned(),
    ]
}
