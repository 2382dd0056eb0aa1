//! What became of the records that were handed to a producer, as the client reports it.
//!
//! Runs in the client's callback: it remembers, and decides nothing. Of a record that was delivered
//! and has no changelog nothing is remembered, and no lock is taken.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oncestream_core::commit::Verdict;
use oncestream_core::task::ChangelogId;
use oncestream_engine::ports::DeliveryFailure;
use oncestream_engine::{ClientFault as _, Step};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message};
use rdkafka::producer::ProducerContext;

use super::context;
use super::refused::RefusedRecord;
use super::verdict::{client_error, is_of_neighbour, is_of_time, may_still_arrive};

/// What travels with a record of a sink, and with a dead letter; a changelog's is its id plus one.
pub(super) const SINK: usize = 0;
pub(super) const DEAD_LETTER: usize = usize::MAX;

/// A refused record and its partition.
type Refused = (i32, RefusedRecord);

/// What became of the records since the last commit or abort.
#[derive(Default)]
pub(super) struct Deliveries {
    pub(super) failure: Option<DeliveryFailure>,
    /// A record was given up that may still be on its way to the broker.
    pub(super) stray: bool,
    /// The topic that the broker keeps out of the transaction, which is lost by that.
    pub(super) denied: Option<String>,
    /// Records of sinks that the broker refused for good.
    refused: Vec<Refused>,
    /// Partitions with a batch of which the broker has named the records at fault.
    named: HashSet<(String, i32)>,
    /// The next offset of each changelog, after its last acknowledged record; 0 where there is none.
    /// The ids of a worker's changelogs lie together, and begin here with `first_changelog`.
    changelogs: VecDeque<i64>,
    first_changelog: usize,
}

#[derive(Default)]
pub(crate) struct DeliveryContext {
    deliveries: Mutex<Deliveries>,
}

impl DeliveryContext {
    pub(super) fn lock(&self) -> MutexGuard<'_, Deliveries> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for DeliveryContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        if let Some(topic) = context::denied_in_transaction(facility, line) {
            self.lock().denied.get_or_insert_with(|| topic.to_owned());
        }
        context::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        context::error(&error, reason);
    }
}

impl ProducerContext for DeliveryContext {
    /// Who sent it: [`SINK`], [`DEAD_LETTER`], or the changelog's id plus one.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, origin: usize) {
        match result {
            // Nothing to remember, and nothing to lock: the common case.
            Ok(_) if origin == SINK || origin == DEAD_LETTER => {}
            Ok(message) => {
                self.lock().acknowledged(origin - 1, message.offset() + 1);
            }
            Err((error, message)) => self.lock().failed(error, message, origin),
        }
    }
}

impl Deliveries {
    /// All records of a changelog before the offset `next` have arrived.
    fn acknowledged(&mut self, changelog: usize, next: i64) {
        if self.changelogs.is_empty() {
            self.first_changelog = changelog;
        }
        while changelog < self.first_changelog {
            self.changelogs.push_front(0);
            self.first_changelog -= 1;
        }
        let at = changelog - self.first_changelog;
        if self.changelogs.len() <= at {
            self.changelogs.resize(at + 1, 0);
        }
        if let Some(known) = self.changelogs.get_mut(at) {
            *known = next.max(*known);
        }
    }

    /// The next offset of each changelog that was written to.
    pub(super) fn changelogs(&self) -> HashMap<ChangelogId, i64> {
        let ids = (self.first_changelog as u32..).map(ChangelogId);
        let known = ids.zip(self.changelogs.iter().copied());
        known.filter(|(_, next)| *next > 0).collect()
    }

    #[cold]
    fn failed(&mut self, error: &KafkaError, message: &BorrowedMessage<'_>, origin: usize) {
        let error = client_error(error.clone());
        let at_fault = error.judge(Step::Delivery, None) == Verdict::Refused;
        let is_refusal = origin == SINK && at_fault;
        self.stray |= may_still_arrive(&error);
        let of_neighbour = is_of_neighbour(&error);
        if of_neighbour {
            self.named.insert((message.topic().to_owned(), message.partition()));
        }
        // The record at fault says more than those that were refused with it.
        let told = self.failure.as_ref();
        if told.is_none_or(|told| !of_neighbour && is_of_neighbour(&told.error)) {
            self.failure = Some(DeliveryFailure {
                topic: message.topic().to_owned(),
                partition: message.partition(),
                timestamp: -1,
                error: error.clone(),
                is_refusal,
            });
        }
        if is_refusal {
            let record = RefusedRecord {
                topic: message.topic().to_owned(),
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                error,
                named: false,
            };
            self.refused.push((message.partition(), record));
        }
    }

    /// The records that were refused, with what the broker has said of their batches.
    pub(super) fn take_refused(&mut self) -> Vec<RefusedRecord> {
        let named = std::mem::take(&mut self.named);
        let refused = std::mem::take(&mut self.refused).into_iter();
        refused
            .map(|(partition, record)| {
                // One that is too large is refused before the broker looks at single records.
                let single = is_of_time(&record.error);
                let named = single && named.contains(&(record.topic.clone(), partition));
                RefusedRecord { named, ..record }
            })
            .collect()
    }
}

/// The earliest and the latest time of some records. A delivery that fails does not tell the time
/// of its record, but where a time is refused, one that lies farther off is refused as well.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    earliest: i64,
    latest: i64,
}

impl Default for Times {
    fn default() -> Self {
        Self { earliest: i64::MAX, latest: -1 }
    }
}

impl Times {
    pub(super) fn add(&mut self, timestamp: i64) {
        self.earliest = self.earliest.min(timestamp);
        self.latest = self.latest.max(timestamp);
    }

    /// A time in the future, or else the one farthest in the past.
    pub(super) fn farthest(self, now_ms: i64) -> i64 {
        if self.latest > now_ms { self.latest } else { self.earliest.min(self.latest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_changelog_has_the_offset_after_its_last_record_in_whatever_order_they_come() {
        let mut deliveries = Deliveries::default();
        assert!(deliveries.changelogs().is_empty());
        for (changelog, next) in [(7, 3), (9, 5), (4, 1), (7, 2), (9, 6)] {
            deliveries.acknowledged(changelog, next);
        }
        let known = [(4, 1), (7, 3), (9, 6)].map(|(id, next)| (ChangelogId(id), next));
        assert_eq!(deliveries.changelogs(), HashMap::from(known));
    }
}
