//! What clients are sized by: how many brokers and partitions an application deals with. Pure.
//!
//! librdkafka holds what it has fetched as one message of some 400 bytes for each record, however
//! small that is. Its limits leave that out:
//!
//! - `queued.min.messages` and `queued.max.messages.kbytes` only hold the next fetch back. One
//!   answer is taken in whole, and each broker is asked on its own.
//! - An answer has up to `max.partition.fetch.bytes` of each partition and `fetch.max.bytes` of
//!   all, by default 1 MiB and 50 MiB. So with two topics of 4 partitions it is 8 MiB, and with 50
//!   partitions it would be 50 MiB: of records of 20 bytes, 2.5 million.
//! - The queues of a restore are those of single partitions, each with limits of its own. So are those of
//!   inputs that are read apart, because their tasks have several.
//!
//! What a few partitions have by default is what all have together.

use super::ClientSettings;

const MIB: usize = 1 << 20;
const KIB: usize = 1 << 10;
/// What the brokers may answer at once, all of them together.
const FETCH_BYTES: usize = 8 * MIB;
/// librdkafka's default of `message.max.bytes`, which `fetch.max.bytes` must not be below.
const MESSAGE_BYTES: usize = 1_000_000;
/// librdkafka's own limits of a queue.
const QUEUED_MESSAGES: usize = 100_000;
const QUEUED_KBYTES: usize = 65_536;
/// So many partitions with a queue of their own may each queue that much.
const FULL_QUEUES: usize = 4;
/// The setting, and another name of it.
const PARTITION_FETCH: &[&str] = &["max.partition.fetch.bytes", "fetch.message.max.bytes"];
/// How long batches grow at least and, with many partitions, at most.
const LINGER_MS: usize = 5;
const MOST_LINGER_MS: usize = 50;
/// So many partitions that are written to make it a millisecond longer.
const PER_LINGER_MS: usize = 16;

/// What an application deals with, as seen at its start. An upper bound for one worker, which may
/// be all that is left of the group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scale {
    pub(crate) brokers: usize,
    /// Partitions of all topics that are written to, changelogs among them.
    pub(crate) outputs: usize,
    /// Partitions of all changelogs, and of the topics that are those of tables.
    pub(crate) changelogs: usize,
    /// Partitions of inputs whose tasks have several.
    pub(crate) apart: usize,
    /// Partitions of the topics of global tables.
    pub(crate) globals: usize,
}

impl Scale {
    /// The consumer of inputs, where the user has set nothing else. A partition's share stays what
    /// it is: many records of one partition in a row change fewer keys than those of many do, so a
    /// commit writes less.
    pub(super) fn size_consumer(self, settings: &mut ClientSettings) {
        bound_queues(self.apart, settings);
        self.bound_fetches(settings);
    }

    /// The consumer of changelogs, likewise. Each partition has a queue of its own there.
    pub(super) fn size_restore_consumer(self, settings: &mut ClientSettings) {
        let share = shared(FETCH_BYTES, self.changelogs, 64 * KIB, MIB);
        settings.put_absent(PARTITION_FETCH, share);
        bound_queues(self.changelogs, settings);
        self.bound_fetches(settings);
    }

    /// The consumer of global tables, likewise.
    pub(super) fn size_global_consumer(self, settings: &mut ClientSettings) {
        let share = shared(FETCH_BYTES, self.globals, 64 * KIB, MIB);
        settings.put_absent(PARTITION_FETCH, share);
        bound_queues(self.globals, settings);
        self.bound_fetches(settings);
    }

    /// How much one broker may answer at once. librdkafka refuses less than the largest message,
    /// and would itself not ask for more than may be queued.
    fn bound_fetches(self, settings: &mut ClientSettings) {
        let number = |setting| settings.get(setting).and_then(|value| value.parse::<usize>().ok());
        let queued = number("queued.max.messages.kbytes").map_or(usize::MAX, |n| n * KIB);
        let message = number("message.max.bytes").unwrap_or(MESSAGE_BYTES);
        let share = shared(FETCH_BYTES, self.brokers, MIB, FETCH_BYTES);
        settings.put_absent(&["fetch.max.bytes"], share.min(queued).max(message));
    }

    /// How long a producer lets a batch grow. librdkafka makes a request for each partition, and
    /// looks at all of them for each, so with many partitions short batches cost as much as the
    /// work itself. In a transaction longer ones delay nobody: nothing is read before the commit,
    /// which sends all at once.
    pub(super) fn size_producer(self, is_transactional: bool, settings: &mut ClientSettings) {
        let most = if is_transactional { MOST_LINGER_MS } else { LINGER_MS };
        let linger_ms = (self.outputs / PER_LINGER_MS).clamp(LINGER_MS, most);
        settings.put_absent(&["linger.ms", "queue.buffering.max.ms"], linger_ms);
    }
}

/// What each of so many partitions may queue by itself.
fn bound_queues(partitions: usize, settings: &mut ClientSettings) {
    let messages = shared(FULL_QUEUES * QUEUED_MESSAGES, partitions, 1_000, QUEUED_MESSAGES);
    settings.put_absent(&["queued.min.messages"], messages);
    let kbytes = shared(FULL_QUEUES * QUEUED_KBYTES, partitions, KIB, QUEUED_KBYTES);
    settings.put_absent(&["queued.max.messages.kbytes"], kbytes);
}

/// A part of the whole for each, within bounds.
fn shared(whole: usize, among: usize, least: usize, most: usize) -> usize {
    (whole / among.max(1)).clamp(least, most)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn word_count(partitions: usize) -> Scale {
        let (outputs, changelogs) = (3 * partitions, partitions);
        Scale { brokers: 1, outputs, changelogs, ..Scale::default() }
    }

    fn bound(brokers: usize, given: &[(&str, &str)]) -> String {
        let mut settings = ClientSettings::default();
        settings.put_all(given);
        Scale { brokers, ..Scale::default() }.size_consumer(&mut settings);
        settings.get("fetch.max.bytes").unwrap().to_owned()
    }

    #[test]
    fn brokers_answer_together_what_a_few_partitions_hold() {
        let table =
            [(0, "8388608"), (1, "8388608"), (2, "4194304"), (3, "2796202"), (50, "1048576")];
        for (brokers, expected) in table {
            assert_eq!(bound(brokers, &[]), expected, "{brokers}");
        }
    }

    #[test]
    fn what_the_user_has_set_is_followed() {
        let queued = ("queued.max.messages.kbytes", "2048");
        assert_eq!(bound(1, &[queued]), "2097152");
        assert_eq!(bound(1, &[("queued.max.messages.kbytes", "1")]), "1000000");
        assert_eq!(bound(1, &[("message.max.bytes", "9000000")]), "9000000");
        assert_eq!(bound(1, &[queued, ("fetch.max.bytes", "7")]), "7");
        assert_eq!(bound(1, &[("queued.max.messages.kbytes", "no number")]), "8388608");
    }

    /// librdkafka would take the one or the other, whichever comes last.
    #[test]
    fn a_setting_under_its_other_name_is_a_setting() {
        let mut settings = ClientSettings::default();
        settings.put("fetch.message.max.bytes", 7);
        settings.put("queue.buffering.max.ms", 8);
        let before = settings.clone();
        word_count(256).size_producer(true, &mut settings);
        assert_eq!(settings, before);
        word_count(256).size_restore_consumer(&mut settings);
        assert_eq!(settings.get("max.partition.fetch.bytes"), None);
    }

    #[test]
    fn queues_of_single_partitions_share_what_four_have() {
        let table = [
            // Partitions, messages, KiB, bytes of a fetch.
            (0, "100000", "65536", "1048576"),
            (4, "100000", "65536", "1048576"),
            (64, "6250", "4096", "131072"),
            (256, "1562", "1024", "65536"),
            (10_000, "1000", "1024", "65536"),
        ];
        for (partitions, messages, kbytes, bytes) in table {
            let mut settings = ClientSettings::default();
            word_count(partitions).size_restore_consumer(&mut settings);
            assert_eq!(settings.get("queued.min.messages"), Some(messages), "{partitions}");
            assert_eq!(settings.get("queued.max.messages.kbytes"), Some(kbytes), "{partitions}");
            assert_eq!(settings.get("max.partition.fetch.bytes"), Some(bytes), "{partitions}");
            let mut inputs = ClientSettings::default();
            Scale { apart: partitions, ..Scale::default() }.size_consumer(&mut inputs);
            assert_eq!(inputs.get("queued.min.messages"), Some(messages), "{partitions}");
            assert_eq!(inputs.get("queued.max.messages.kbytes"), Some(kbytes), "{partitions}");
        }
    }

    #[test]
    fn batches_grow_longer_with_the_partitions_they_are_spread_over() {
        let table = [(0, "5"), (4, "5"), (64, "12"), (256, "48"), (10_000, "50")];
        for (partitions, expected) in table {
            for (is_transactional, expected) in [(true, expected), (false, "5")] {
                let mut settings = ClientSettings::default();
                word_count(partitions).size_producer(is_transactional, &mut settings);
                assert_eq!(settings.get("linger.ms"), Some(expected), "{partitions}");
            }
        }
    }
}
