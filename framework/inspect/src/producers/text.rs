//! A report on producers for people. Pure.

use std::fmt;

use super::{Missing, PartitionProducers, Producer, ProducersReport};
use crate::table::{NONE, or_none, shown, span, table, time};

/// A table for people.
impl fmt::Display for ProducersReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<Vec<String>> = self
            .partitions
            .iter()
            .flat_map(|partition| {
                partition.producers.iter().map(|producer| row(partition, producer))
            })
            .collect();
        if rows.is_empty() {
            let count = self.partitions.len();
            return writeln!(
                f,
                "No idempotent or transactional producer is known to {count} partitions."
            );
        }
        let heads = [
            "TOPIC",
            "PARTITION",
            "PRODUCER ID",
            "EPOCH",
            "LAST SEQUENCE",
            "LAST TIMESTAMP",
            "COORDINATOR EPOCH",
            "OPEN SINCE OFFSET",
            "OPEN FOR",
            "TRANSACTIONAL ID",
        ];
        f.write_str(&table(&heads, &rows))
    }
}

fn row(partition: &PartitionProducers, producer: &Producer) -> Vec<String> {
    let open = producer.open.as_ref();
    vec![
        shown(&partition.topic),
        partition.partition.to_string(),
        producer.producer_id.to_string(),
        producer.epoch.to_string(),
        or_none(producer.last_sequence),
        producer.last_timestamp_ms.map_or_else(|| NONE.to_owned(), time),
        or_none(producer.coordinator_epoch),
        or_none(open.map(|open| open.start_offset)),
        or_none(open.and_then(|open| open.open_for_ms).map(span)),
        or_none(open.and_then(|open| open.transactional_id.as_deref()).map(shown)),
    ]
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", shown(&self.what), shown(&self.reason))
    }
}
