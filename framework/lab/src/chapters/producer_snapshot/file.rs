//! The snapshot file of the chapter: its fields, and what they stand for.
//!
//! Knows no stage and no broker.

use oncestream_broker::ProducerView;
use oncestream_inspect::snapshot::{ProducerSnapshot, SnapshotProducer};

use crate::Table;
use crate::text::text;

/// What a broker knows of a producer, as the file has it.
pub(super) fn entry(view: &ProducerView) -> SnapshotProducer {
    SnapshotProducer {
        producer_id: view.producer_id,
        epoch: view.epoch,
        last_sequence: view.last_sequence,
        last_offset: view.last_offset,
        offset_delta: view.last_offset_delta,
        timestamp_ms: view.last_timestamp_ms,
        coordinator_epoch: view.coordinator_epoch,
        open_since_offset: view.open_transaction_start,
    }
}

/// What a broker that reads the file knows of a producer.
pub(super) fn view(entry: &SnapshotProducer) -> ProducerView {
    let mut view = ProducerView::new(entry.producer_id);
    view.epoch = entry.epoch;
    view.last_sequence = entry.last_sequence;
    view.last_offset = entry.last_offset;
    view.last_offset_delta = entry.offset_delta;
    view.last_timestamp_ms = entry.timestamp_ms;
    view.coordinator_epoch = entry.coordinator_epoch;
    view.open_transaction_start = entry.open_since_offset;
    view
}

/// The bytes of the file: one table for its head, and one for each producer.
///
/// The names are those of Apache Kafka's schema, `ProducerSnapshot`.
pub(super) fn of_fields(bytes: &[u8], snapshot: &ProducerSnapshot) -> Vec<Table> {
    let mut rest = bytes;
    let mut table = |caption, fields: &[(usize, &str, String)]| {
        let rows = fields.iter().map(|(length, field, value)| {
            let (these, others) = rest.split_at_checked(*length).unwrap_or((rest, &[]));
            rest = others;
            let hex: Vec<_> = these.iter().map(|byte| format!("{byte:02x}")).collect();
            vec![hex.join(" "), (*field).to_owned(), value.clone()]
        });
        Table::new(caption, &["bytes", "field", "value"], rows.collect())
    };
    let count = snapshot.producers.len();
    let head = [
        (2, "version", "1".to_owned()),
        (4, "crc", format!("{:#010x}", snapshot.crc())),
        (4, "producer_entries", count.to_string()),
    ];
    let mut tables = vec![table(text!("The header of the file", "파일 헤더"), &head)];
    for producer in &snapshot.producers {
        let id = producer.producer_id;
        let start = producer.open_since_offset.unwrap_or(-1);
        let fields = [
            (8, "producer_id", id.to_string()),
            (2, "epoch", producer.epoch.to_string()),
            (4, "last_sequence", producer.last_sequence.to_string()),
            (8, "last_offset", producer.last_offset.to_string()),
            (4, "offset_delta", producer.offset_delta.to_string()),
            (8, "timestamp", producer.timestamp_ms.to_string()),
            (4, "coordinator_epoch", producer.coordinator_epoch.to_string()),
            (8, "current_txn_first_offset", start.to_string()),
        ];
        tables.push(table(
            text!("Producer {id} in the file", "파일에 기록된 프로듀서 {id}"),
            &fields,
        ));
    }
    tables
}
