//! What a cleaner leaves of a log: the newest of each key, at its old offset.

use oncestream_tests::raw::{Batch, Fetched};

use crate::Target;
use crate::calls::{Client, Isolation, eventually};

/// Kafka never cleans the segment that is written to, so each batch soon gets one of its own.
const SOON: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("min.cleanable.dirty.ratio", "0.0001"),
    ("segment.ms", "100"),
    ("min.compaction.lag.ms", "0"),
    ("delete.retention.ms", "0"),
];

fn settings(delete_retention_ms: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut settings = SOON.to_vec();
    settings[4].1 = delete_retention_ms;
    settings
}

/// Writes to another key until a read shows what is looked for: writing is what makes Kafka begin
/// a new segment, and leave the ones before to the cleaner.
fn clean<T>(client: &mut Client, topic: &str, mut look: impl FnMut(&[Fetched]) -> Option<T>) -> T {
    eventually("the cleaner", || {
        client.produce(topic, &Batch::of(&[(Some("filler"), Some("filler"))])).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
        look(&read_all(client, topic))
    })
}

/// The whole log. Kafka answers a fetch from one segment, so it takes several.
fn read_all(client: &mut Client, topic: &str) -> Vec<Fetched> {
    let (mut batches, mut next) = (Vec::new(), 0);
    loop {
        let mut more = client.fetch(topic, next, Isolation::Uncommitted).batches;
        let Some(last) = more.last() else { return batches };
        next = last.last_offset() + 1;
        batches.append(&mut more);
    }
}

/// Offset, key and value of what is not filler.
fn kept(batches: &[Fetched]) -> Vec<(i64, String, Option<String>)> {
    let text = |bytes: &bytes::Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let data = batches.iter().filter(|b| b.marker().is_none());
    data.flat_map(|b| &b.records)
        .map(|r| (r.offset, r.key.as_ref().map(text).unwrap(), r.value.as_ref().map(text)))
        .filter(|(_, key, _)| key != "filler")
        .collect()
}

fn record(offset: i64, key: &str, value: &str) -> (i64, String, Option<String>) {
    (offset, key.to_owned(), Some(value.to_owned()))
}

pub(crate) fn the_newest_of_each_key_stays_where_it_was(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "compact-newest");
    client.create_topic(topic, 1, &settings("0"));
    let of = |records: &[(&str, &str)]| {
        let records: Vec<_> = records.iter().map(|(k, v)| (Some(*k), Some(*v))).collect();
        Batch::of(&records)
    };
    client.produce(topic, &of(&[("a", "1"), ("b", "1"), ("a", "2")])).unwrap();
    client.produce(topic, &of(&[("c", "1"), ("a", "3"), ("d", "1")])).unwrap();
    client.produce(topic, &of(&[("c", "2")])).unwrap();
    let expected =
        [record(1, "b", "1"), record(4, "a", "3"), record(5, "d", "1"), record(6, "c", "2")];
    let bounds = clean(&mut client, topic, |read| {
        let first = &read[0];
        (kept(read) == expected).then(|| (first.base_offset(), first.last_offset()))
    });
    assert_eq!(bounds, (0, 2), "a batch keeps its bounds");
    let read = client.fetch(topic, 0, Isolation::Uncommitted);
    assert_eq!(read.log_start_offset, 0);
    assert!(read.high_watermark > 7, "the end stays");
    let from_gap = client.fetch(topic, 2, Isolation::Uncommitted);
    let next = from_gap.batches.iter().flat_map(|b| &b.records).find(|r| r.offset >= 2).unwrap();
    assert_eq!(next.offset, 4, "an offset that is gone leads to the next");
}

pub(crate) fn a_tombstone_is_kept_then_goes(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "compact-tombstone");
    client.create_topic(topic, 1, &settings("15000"));
    client.produce(topic, &Batch::of(&[(Some("a"), Some("1")), (Some("b"), Some("1"))])).unwrap();
    client.produce(topic, &Batch::of(&[(Some("a"), None)])).unwrap();
    let with = [record(1, "b", "1"), (2, "a".to_owned(), None)];
    let attributes = clean(&mut client, topic, |read| {
        let tombstone = read.iter().find(|b| b.base_offset() == 2);
        (kept(read) == with).then(|| tombstone.unwrap().attributes())
    });
    assert_eq!(attributes & 0x40, 0x40, "its batch tells until when it stays");
    clean(&mut client, topic, |read| (kept(read) == [record(1, "b", "1")]).then_some(()));
}

pub(crate) fn aborted_records_go_first(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "compact-aborted");
    client.create_topic(topic, 1, &settings("0"));
    client.produce(topic, &Batch::of(&[(Some("a"), Some("committed"))])).unwrap();
    let producer = client.init(topic);
    let of = |sequence, value| {
        Batch::of(&[(Some("a"), Some(value))]).of_producer(producer.id, 0, sequence)
    };
    client.begin(&producer, topic);
    client.send_batch(&producer, topic, of(0, "aborted")).unwrap();
    client.end(&producer, false);
    let expected = [record(0, "a", "committed")];
    clean(&mut client, topic, |read| (kept(read) == expected).then_some(()));
    client.begin(&producer, topic);
    let offset = client.send_batch(&producer, topic, of(1, "newer")).unwrap();
    client.end(&producer, true);
    let expected = [record(offset, "a", "newer")];
    clean(&mut client, topic, |read| (kept(read) == expected).then_some(()));
    let aborted = client.fetch(topic, 0, Isolation::Committed).aborted;
    let later = aborted.iter().filter(|(_, first)| *first >= offset).count();
    assert_eq!(later, 0, "{aborted:?}");
}

pub(crate) fn what_is_past_the_last_stable_offset_is_left_alone(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "compact-open");
    client.create_topic(topic, 1, &settings("0"));
    client.produce(topic, &Batch::of(&[(Some("a"), Some("1"))])).unwrap();
    client.produce(topic, &Batch::of(&[(Some("a"), Some("2"))])).unwrap();
    let expected = [record(1, "a", "2")];
    clean(&mut client, topic, |read| (kept(read) == expected).then_some(()));
    let producer = client.init(topic);
    client.begin(&producer, topic);
    let batch = Batch::of(&[(Some("a"), Some("3"))]).of_producer(producer.id, 0, 0);
    let open = client.send_batch(&producer, topic, batch).unwrap();
    let last = client.produce(topic, &Batch::of(&[(Some("a"), Some("4"))])).unwrap();
    let expected = [record(1, "a", "2"), record(open, "a", "3"), record(last, "a", "4")];
    let mut rounds = 0;
    clean(&mut client, topic, |read| {
        assert_eq!(kept(read), expected);
        rounds += 1;
        (rounds == 15).then_some(())
    });
    client.end(&producer, true);
    let expected = [record(last, "a", "4")];
    clean(&mut client, topic, |read| (kept(read) == expected).then_some(()));
}

pub(crate) fn a_producer_is_remembered_over_compaction(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "compact-producer");
    client.create_topic(topic, 1, &settings("0"));
    let producer = client.idempotent();
    let of = |sequence, value| {
        Batch::of(&[(Some("a"), Some(value))]).of_producer(producer.id, 0, sequence)
    };
    client.produce(topic, &of(0, "1")).unwrap();
    let old = of(1, "2");
    client.produce(topic, &old).unwrap();
    client.produce(topic, &Batch::of(&[(Some("a"), Some("3"))])).unwrap();
    clean(&mut client, topic, |read| (kept(read) == [record(2, "a", "3")]).then_some(()));
    assert_eq!(client.produce(topic, &old), Ok(1), "a duplicate of a record that is gone");
    assert!(client.produce(topic, &of(2, "4")).is_ok());
}
