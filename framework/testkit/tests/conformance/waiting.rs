//! What waits in a left or outer join, in the lines of the golden files.
//!
//! Knows the bytes of its changelog as Kafka Streams' deserializers read them; not the serdes that wrote
//! them.

use std::collections::BTreeMap;

use oncestream_testkit::TopologyTestDriver;

/// The lines of a store of what was joined with none, in the order of its keys.
pub(crate) fn waiting(driver: &TopologyTestDriver, store: &str) -> Vec<String> {
    let mut rows = BTreeMap::new();
    for record in driver.changelog(store) {
        let key = record.key.expect("a row has a key");
        match record.value {
            Some(value) => drop(rows.insert(key, value)),
            None => drop(rows.remove(&key)),
        }
    }
    let lines = rows.iter().flat_map(|(key, values)| {
        let key = key_text(key);
        list(values).into_iter().map(move |value| format!("store\t{store}\t{key}\t{value}\t\\N"))
    });
    lines.collect()
}

/// `TimestampedKeyAndJoinSide`: a time, a side, and the key.
fn key_text(bytes: &[u8]) -> String {
    let (time, rest) = bytes.split_first_chunk().expect("a time");
    let (side, key) = rest.split_first().expect("a side");
    format!("<{},{}:{}>", side_text(*side), text(key), i64::from_be_bytes(*time))
}

/// `ListSerde` of `LeftOrRightValue`: a byte for entries of different lengths, how many there are, and each
/// with its length, a side, and the value.
fn list(bytes: &[u8]) -> Vec<String> {
    let (strategy, rest) = bytes.split_first().expect("a strategy");
    assert_eq!(*strategy, 1);
    let (count, mut rest) = rest.split_first_chunk().expect("a count");
    let mut values = Vec::new();
    for _ in 0..i32::from_be_bytes(*count) {
        let (length, behind) = rest.split_first_chunk().expect("a length");
        let (value, behind) = behind.split_at(i32::from_be_bytes(*length) as usize);
        let (side, value) = value.split_first().expect("a side");
        values.push(format!("<{},{}>", side_text(*side), text(value)));
        rest = behind;
    }
    assert!(rest.is_empty());
    values
}

fn side_text(side: u8) -> &'static str {
    if side == 1 { "left" } else { "right" }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
