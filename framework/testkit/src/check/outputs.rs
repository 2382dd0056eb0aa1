//! What a `read_committed` consumer sees of the outputs, and how two runs differ in it.

use std::collections::{BTreeMap, BTreeSet};

use super::settings::Caching;
use super::stage::Stage;

/// So many differences are told.
const SHOWN: usize = 8;
/// So many records of a key are shown.
const SHOWN_RECORDS: usize = 12;

/// A value and its headers. Timestamps are left out: where records of several partitions meet,
/// they depend on which came first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

/// The outputs of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outputs {
    /// By topic, partition and key, in their order.
    keyed: BTreeMap<(String, i32, Vec<u8>), Vec<Seen>>,
    /// Without a key a record may go to any partition.
    keyless: BTreeMap<String, Vec<Seen>>,
}

/// How closely two runs must agree.
#[derive(Clone, Debug)]
pub(super) struct Agreement {
    /// The topics for which a cache may hold updates back.
    pub(super) held_back: BTreeSet<String>,
    pub(super) ordered: bool,
}

impl Agreement {
    /// Whether a run agrees in the records of one key and partition of a topic.
    fn holds(&self, topic: &str, expected: &[Seen], actual: &[Seen]) -> bool {
        let held_back = self.held_back.contains(topic);
        agree(expected, actual, if held_back { Caching::On } else { Caching::Off }, self.ordered)
    }
}

impl Outputs {
    /// Reads all outputs.
    pub(super) fn read(stage: &Stage<'_>) -> Self {
        let mut outputs = Self::default();
        for topic in stage.outputs() {
            for partition in 0..stage.setup.partitions {
                for record in stage.readable(&topic, partition) {
                    let headers = record.headers.into_iter();
                    let seen = Seen {
                        value: record.value.map(|v| v.to_vec()),
                        headers: headers.map(|(k, v)| (k, v.map(|v| v.to_vec()))).collect(),
                    };
                    match record.key {
                        Some(key) => {
                            let at = (topic.clone(), partition, key.to_vec());
                            outputs.keyed.entry(at).or_default().push(seen);
                        }
                        None => outputs.keyless.entry(topic.clone()).or_default().push(seen),
                    }
                }
            }
        }
        outputs.keyless.values_mut().for_each(|records| records.sort());
        outputs
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.keyed.values().chain(self.keyless.values()).map(Vec::len).sum()
    }

    /// How `other` differs from this, in words; empty if it agrees.
    pub(super) fn differences(&self, other: &Self, agreement: &Agreement) -> Vec<String> {
        let none = Vec::new();
        let mut found = Vec::new();
        let mut add = |place: String, expected: &[Seen], actual: &[Seen], agree: bool| {
            if !agree {
                found.push(format!(
                    "{place}: {} instead of {}",
                    shown_all(actual),
                    shown_all(expected)
                ));
            }
        };
        let mut keys: Vec<_> = self.keyed.keys().chain(other.keyed.keys()).collect();
        keys.sort();
        keys.dedup();
        for at in keys {
            let expected = self.keyed.get(at).unwrap_or(&none);
            let actual = other.keyed.get(at).unwrap_or(&none);
            let (topic, partition, key) = at;
            let place = format!("output {topic}-{partition}, key {}", shown(key));
            add(place, expected, actual, agreement.holds(topic, expected, actual));
        }
        let mut topics: Vec<_> = self.keyless.keys().chain(other.keyless.keys()).collect();
        topics.sort();
        topics.dedup();
        for topic in topics {
            let expected = self.keyless.get(topic).unwrap_or(&none);
            let actual = other.keyless.get(topic).unwrap_or(&none);
            add(format!("output {topic}, no key"), expected, actual, expected == actual);
        }
        bounded(found)
    }
}

/// The first differences, and how many more there are.
pub(super) fn bounded(mut found: Vec<String>) -> Vec<String> {
    let more = found.len().saturating_sub(SHOWN);
    found.truncate(SHOWN);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    found
}

fn agree(expected: &[Seen], actual: &[Seen], caching: Caching, ordered: bool) -> bool {
    match (caching, ordered) {
        (Caching::On, _) => is_some_of(expected, actual),
        (Caching::Off, true) => expected == actual,
        (Caching::Off, false) => {
            let sorted = |seen: &[Seen]| {
                let mut seen = seen.to_vec();
                seen.sort();
                seen
            };
            sorted(expected) == sorted(actual)
        }
    }
}

/// Updates that a cache lets through: some of all, in their order, the last among them. A key that
/// came and went within a commit may not show at all.
fn is_some_of(all: &[Seen], some: &[Seen]) -> bool {
    let mut rest = all.iter();
    if !some.iter().all(|wanted| rest.any(|seen| seen == wanted)) {
        return false;
    }
    match (all.last(), some.last()) {
        (Some(last), None) => last.value.is_none(),
        (last, end) => last == end,
    }
}

/// Bytes for people: text, a number, or hexadecimal.
pub(super) fn shown(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.chars().any(char::is_control)
    {
        return format!("{text:?}");
    }
    match <[u8; 8]>::try_from(bytes) {
        Ok(number) => i64::from_be_bytes(number).to_string(),
        Err(_) => bytes.iter().fold("0x".to_owned(), |hex, byte| format!("{hex}{byte:02x}")),
    }
}

fn shown_all(records: &[Seen]) -> String {
    let value = |seen: &Seen| seen.value.as_deref().map_or("null".to_owned(), shown);
    let mut all: Vec<String> = records.iter().take(SHOWN_RECORDS).map(value).collect();
    if records.len() > SHOWN_RECORDS {
        all.push(format!("... {} in all", records.len()));
    }
    format!("[{}]", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(values: &[i64]) -> Vec<Seen> {
        let value = |v: &i64| (*v != 0).then(|| v.to_be_bytes().to_vec());
        values.iter().map(|v| Seen { value: value(v), headers: Vec::new() }).collect()
    }

    fn agrees(caching: Caching, ordered: bool, actual: &[i64]) -> bool {
        agree(&seen(&[1, 2, 3]), &seen(actual), caching, ordered)
    }

    #[test]
    fn without_a_cache_every_record_counts_and_its_order_too_if_asked() {
        assert!(agrees(Caching::Off, true, &[1, 2, 3]));
        for wrong in [&[1, 2][..], &[1, 2, 2, 3], &[2, 1, 3], &[]] {
            assert!(!agrees(Caching::Off, true, wrong), "{wrong:?}");
        }
        assert!(agrees(Caching::Off, false, &[2, 1, 3]));
        assert!(!agrees(Caching::Off, false, &[1, 2, 3, 3]));
    }

    #[test]
    fn with_a_cache_updates_may_be_missing_but_not_the_last_and_none_may_come_twice() {
        for right in [&[3][..], &[1, 3], &[1, 2, 3]] {
            assert!(agrees(Caching::On, true, right), "{right:?}");
        }
        for wrong in [&[][..], &[1, 2], &[1, 1, 3], &[2, 1, 3], &[3, 3], &[4]] {
            assert!(!agrees(Caching::On, true, wrong), "{wrong:?}");
        }
        assert!(is_some_of(&seen(&[1, 0]), &[]), "came and went");
    }
}
