//! Tables of what lies in logs and what brokers know.

use oncestream_broker::{Broker, ControlKind, LogRecord};

use crate::Text;
use crate::text::text;

/// A table: a caption, the names of its columns (Kafka's own), and rows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Table {
    /// What it shows.
    pub caption: Text,
    /// The names of its columns.
    pub columns: Vec<&'static str>,
    /// Its rows, with as many cells as there are columns.
    pub rows: Vec<Vec<String>>,
}

/// More rows than this are not shown: the middle is left out.
const ROWS: usize = 16;

impl Table {
    /// A table with rows of its own.
    pub(crate) fn new(caption: Text, columns: &[&'static str], rows: Vec<Vec<String>>) -> Self {
        Self { caption, columns: columns.to_vec(), rows: shortened(rows, columns.len()) }
    }

    /// The log of a partition: offset, producer id, epoch, sequence, and the value or the marker.
    pub(crate) fn of_log(broker: &Broker, topic: &str, partition: i32) -> Self {
        let rows = broker.records(topic, partition).iter().map(row).collect();
        let caption =
            text!("The log of partition {topic}-{partition}", "파티션 {topic}-{partition}의 로그");
        let columns = ["offset", "producer id", "epoch", "sequence", "value", ""];
        Self::new(caption, &columns, rows)
    }

    /// The same log in runs: records of one producer and one fate are one row.
    pub(crate) fn of_runs(broker: &Broker, topic: &str, partition: i32) -> Self {
        let records = broker.records(topic, partition);
        let alike = |a: &LogRecord, b: &LogRecord| a.producer == b.producer && fate(a) == fate(b);
        let rows = records.chunk_by(alike).map(|run| {
            let offset = |record: Option<&LogRecord>| record.map_or(-1, |record| record.offset);
            let (first, last) = (offset(run.first()), offset(run.last()));
            let producer = run.first().and_then(|record| record.producer);
            let (id, epoch) = producer.map_or((-1, -1), |(id, epoch)| (id, i64::from(epoch)));
            vec![
                if first == last { known(first) } else { format!("{first}..{last}") },
                run.len().to_string(),
                known(id),
                known(epoch),
                run.first().map_or("", fate).to_owned(),
            ]
        });
        let caption = text!(
            "The log of partition {topic}-{partition}; similar records in a row are one line",
            "파티션 {topic}-{partition}의 로그(같은 종류의 연속된 레코드는 한 줄로 묶음)"
        );
        let columns = ["offsets", "records", "producer id", "epoch", ""];
        Self::new(caption, &columns, rows.collect())
    }

    /// What a partition knows of the producers that wrote to it.
    pub(crate) fn of_producers(broker: &Broker, topic: &str, partition: i32) -> Self {
        let view = broker.view();
        let producers = view.partition(topic, partition).map(|found| found.producers.clone());
        let rows = producers.unwrap_or_default().into_iter().map(|producer| {
            let open = producer.open_transaction_start;
            vec![
                producer.producer_id.to_string(),
                producer.epoch.to_string(),
                known(i64::from(producer.last_sequence)),
                known(producer.last_offset),
                open.map_or_else(|| "-".to_owned(), |offset| offset.to_string()),
            ]
        });
        let caption = text!(
            "What the leader of {topic}-{partition} knows about producers",
            "{topic}-{partition}의 리더가 프로듀서에 대해 아는 것"
        );
        let columns =
            ["producer id", "epoch", "last sequence", "last offset", "open transaction from"];
        Self::new(caption, &columns, rows.collect())
    }
}

fn row(record: &LogRecord) -> Vec<String> {
    let (id, epoch) = record.producer.map_or((-1, -1), |(id, epoch)| (id, i64::from(epoch)));
    let value = record.value.as_ref().map(|value| String::from_utf8_lossy(value).into_owned());
    let value = value.filter(|_| record.control.is_none()).unwrap_or_default();
    vec![
        record.offset.to_string(),
        known(id),
        known(epoch),
        known(i64::from(record.sequence)),
        value,
        fate(record).to_owned(),
    ]
}

/// What a record is to a reader.
fn fate(record: &LogRecord) -> &'static str {
    match record.control {
        Some(ControlKind::Commit) => "COMMIT marker",
        Some(ControlKind::Abort) => "ABORT marker",
        None if record.aborted => "aborted",
        None if record.transactional => "in a transaction",
        None => "",
    }
}

/// -1 stands for "none" in the protocol.
fn known(number: i64) -> String {
    if number < 0 { "-".to_owned() } else { number.to_string() }
}

fn shortened(mut rows: Vec<Vec<String>>, columns: usize) -> Vec<Vec<String>> {
    if rows.len() > ROWS {
        let left_out = rows.len() - ROWS + 1;
        let gap = vec![format!("... {left_out}")].into_iter();
        let gap = gap.chain(std::iter::repeat_n(String::new(), columns - 1)).collect();
        rows.splice(ROWS / 2..ROWS / 2 + left_out, [gap]);
    }
    rows
}
