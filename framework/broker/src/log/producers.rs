//! What a log knows of the producers that wrote to it: epochs, the last five batches of each, and
//! the transactions that are open. The rules are those of Kafka's `ProducerAppendInfo`.
//!
//! It does not know records or the transaction coordinator.
//! Invariant: a producer has `transaction_start` set exactly if `open` has that offset with it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use kafka_protocol::error::ResponseError;

use super::batch::Header;
use super::validate::AppendError;
use super::view::ProducerView;

/// How many batches back a duplicate is recognised.
const BATCHES_KEPT: usize = 5;

/// A batch that a producer has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    first_sequence: i32,
    last_sequence: i32,
    pub(crate) base_offset: i64,
    last_offset: i64,
    pub(crate) max_timestamp: i64,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    coordinator_epoch: i32,
    last_timestamp: i64,
    transaction_start: Option<i64>,
    batches: VecDeque<Sent>,
}

impl Producer {
    fn new() -> Self {
        Self {
            epoch: -1,
            coordinator_epoch: -1,
            last_timestamp: -1,
            transaction_start: None,
            batches: VecDeque::new(),
        }
    }

    fn enter_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.batches.clear();
            self.epoch = epoch;
        }
    }
}

/// All producers of a log.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    by_id: HashMap<i64, Producer>,
    /// First offset of each open transaction, and whose it is.
    open: BTreeMap<i64, i64>,
}

impl Producers {
    /// The batch as it was appended before, if it is one of its producer's last five.
    pub(crate) fn duplicate(&self, header: &Header) -> Option<Sent> {
        let producer = self.by_id.get(&header.producer_id)?;
        if producer.epoch != header.producer_epoch {
            return None;
        }
        let range = (header.base_sequence, header.last_sequence());
        producer.batches.iter().copied().find(|b| (b.first_sequence, b.last_sequence) == range)
    }

    /// May this batch be appended? Producers without an id may always.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` for an older epoch, `OUT_OF_ORDER_SEQUENCE_NUMBER` for a gap or for
    /// a new epoch that does not start at 0, `INVALID_TXN_STATE` for a plain write inside a
    /// transaction.
    pub(crate) fn check(&self, header: &Header) -> Result<(), AppendError> {
        let (id, epoch, sequence) =
            (header.producer_id, header.producer_epoch, header.base_sequence);
        let Some(producer) = self.by_id.get(&id).filter(|_| id >= 0) else {
            return Ok(());
        };
        if epoch < producer.epoch {
            let seen = producer.epoch;
            return Err(AppendError::new(
                ResponseError::InvalidProducerEpoch,
                format!("Epoch of producer {id} is {epoch}, which is < the last seen epoch {seen}"),
            ));
        }
        let out_of_order =
            |message| Err(AppendError::new(ResponseError::OutOfOrderSequenceNumber, message));
        if epoch > producer.epoch {
            if sequence != 0 && producer.epoch != -1 {
                return out_of_order(format!(
                    "Invalid sequence number for new epoch {epoch} of producer {id}: {sequence}"
                ));
            }
        } else {
            let last = producer.batches.back().map_or(-1, |batch| batch.last_sequence);
            let next = if last == i32::MAX { 0 } else { last + 1 };
            if sequence != next && producer.epoch != -1 {
                return out_of_order(format!(
                    "Out of order sequence number for producer {id}: {sequence} (incoming seq. \
                     number), {last} (current end sequence number)"
                ));
            }
        }
        if producer.transaction_start.is_some() && !header.transactional() {
            let message = format!("Expected transactional write from producer {id}");
            return Err(AppendError::new(ResponseError::InvalidTxnState, message));
        }
        Ok(())
    }

    /// Takes note of a batch that was checked and appended.
    pub(crate) fn appended(&mut self, header: &Header) {
        if header.producer_id < 0 {
            return;
        }
        let producer = self.by_id.entry(header.producer_id).or_insert_with(Producer::new);
        producer.enter_epoch(header.producer_epoch);
        if producer.batches.len() == BATCHES_KEPT {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Sent {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
        });
        producer.last_timestamp = header.max_timestamp;
        if header.transactional() && producer.transaction_start.is_none() {
            producer.transaction_start = Some(header.base_offset);
            self.open.insert(header.base_offset, header.producer_id);
        }
    }

    /// May this marker be written?
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` or `TRANSACTION_COORDINATOR_FENCED` if either epoch is older than
    /// one seen before.
    pub(crate) fn check_marker(
        &self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
    ) -> Result<(), ResponseError> {
        match self.by_id.get(&producer_id) {
            Some(producer) if epoch < producer.epoch => Err(ResponseError::InvalidProducerEpoch),
            Some(producer) if coordinator_epoch < producer.coordinator_epoch => {
                Err(ResponseError::TransactionCoordinatorFenced)
            }
            _ => Ok(()),
        }
    }

    /// Takes note of a marker. Answers where the transaction it ends began, if one was open here.
    pub(crate) fn ended(
        &mut self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
        now_ms: i64,
    ) -> Option<i64> {
        let producer = self.by_id.entry(producer_id).or_insert_with(Producer::new);
        producer.enter_epoch(epoch);
        producer.coordinator_epoch = coordinator_epoch;
        producer.last_timestamp = now_ms;
        let start = producer.transaction_start.take()?;
        self.open.remove(&start);
        Some(start)
    }

    pub(crate) fn has_open_transaction(&self, producer_id: i64) -> bool {
        self.by_id.get(&producer_id).is_some_and(|producer| producer.transaction_start.is_some())
    }

    /// Where the oldest open transaction began.
    pub(crate) fn first_unstable_offset(&self) -> Option<i64> {
        self.open.keys().next().copied()
    }

    /// True if the producer's state would be lost with this batch: it is the producer's last data,
    /// or, of a producer with no data in its epoch, a marker of that epoch.
    pub(crate) fn is_last_of_producer(&self, header: &Header) -> bool {
        let Some(producer) = self.by_id.get(&header.producer_id) else {
            return false;
        };
        match producer.batches.back() {
            Some(last) => header.last_offset() == last.last_offset,
            None => header.control() && header.producer_epoch == producer.epoch,
        }
    }

    /// Forgets all producers, but for those with an open transaction.
    pub(crate) fn forget(&mut self) {
        self.by_id.retain(|_, producer| producer.transaction_start.is_some());
    }

    /// Knows these producers and no others. Of each, the last batch alone is known, as it is to Kafka
    /// after `ProducerStateManager.readSnapshot`.
    pub(crate) fn restore(&mut self, producers: &[ProducerView]) {
        *self = Self::default();
        for view in producers {
            let last = Sent {
                first_sequence: sequence_before(view.last_sequence, view.last_offset_delta),
                last_sequence: view.last_sequence,
                base_offset: view.last_offset - i64::from(view.last_offset_delta),
                last_offset: view.last_offset,
                max_timestamp: view.last_timestamp_ms,
            };
            let producer = Producer {
                epoch: view.epoch,
                coordinator_epoch: view.coordinator_epoch,
                last_timestamp: view.last_timestamp_ms,
                transaction_start: view.open_transaction_start,
                batches: Some(last).filter(|last| last.last_offset >= 0).into_iter().collect(),
            };
            self.by_id.insert(view.producer_id, producer);
            if let Some(start) = view.open_transaction_start {
                self.open.insert(start, view.producer_id);
            }
        }
    }

    /// All producers, by id.
    pub(crate) fn view(&self) -> Vec<ProducerView> {
        let mut views: Vec<_> = self
            .by_id
            .iter()
            .map(|(id, producer)| ProducerView {
                producer_id: *id,
                epoch: producer.epoch,
                last_sequence: producer.batches.back().map_or(-1, |batch| batch.last_sequence),
                last_offset: producer.batches.back().map_or(-1, |batch| batch.last_offset),
                last_offset_delta: producer
                    .batches
                    .back()
                    .map_or(0, |batch| (batch.last_offset - batch.base_offset) as i32),
                coordinator_epoch: producer.coordinator_epoch,
                last_timestamp_ms: producer.last_timestamp,
                open_transaction_start: producer.transaction_start,
            })
            .collect();
        views.sort_by_key(|view| view.producer_id);
        views
    }
}

/// The sequence number so many records before this one: they wrap around from `i32::MAX` to 0.
fn sequence_before(sequence: i32, records: i32) -> i32 {
    let before = i64::from(sequence) - i64::from(records);
    before.rem_euclid(i64::from(i32::MAX) + 1) as i32
}
