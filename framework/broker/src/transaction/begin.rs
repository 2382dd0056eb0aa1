//! `InitProducerId`, `AddPartitionsToTxn` and `AddOffsetsToTxn`: who may write, and what a
//! transaction holds.

use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;

use super::{Producer, Transaction, TransactionState, Transactions};

/// An epoch at or above this one is not bumped any more; a new producer id is taken.
const LAST_EPOCH: i16 = i16::MAX - 1;

impl Transactions {
    /// A producer id with an epoch above all older ones. `expected` is what a producer that goes
    /// on after an error has (KIP-360).
    ///
    /// A transaction of the former producer is aborted first; until then the answer is
    /// `ConcurrentTransactions`, and the client asks again.
    pub(crate) fn init_producer_id(
        &mut self,
        transactional_id: Option<&str>,
        timeout: Duration,
        expected: Option<Producer>,
        now: Instant,
    ) -> Result<Producer, ResponseError> {
        let Some(transactional_id) = transactional_id else {
            return Ok(self.new_producer());
        };
        if transactional_id.is_empty() {
            return Err(ResponseError::InvalidRequest);
        }
        if timeout.is_zero() || timeout > self.max_timeout {
            return Err(ResponseError::InvalidTransactionTimeout);
        }
        let Some(transaction) = self.by_id.get_mut(transactional_id) else {
            let producer = self.new_producer();
            self.by_id.insert(transactional_id.to_owned(), Transaction::new(producer, timeout));
            return Ok(producer);
        };
        let current = transaction.producer;
        if let Some(expected) = expected {
            let known = expected.id == current.id
                || (expected.id == transaction.previous_producer_id
                    && expected.epoch >= LAST_EPOCH);
            if !known {
                return Err(ResponseError::ProducerFenced);
            }
        }
        match transaction.state {
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => {
                return Err(ResponseError::ConcurrentTransactions);
            }
            TransactionState::Ongoing => {
                self.fence(transactional_id, now);
                return Err(ResponseError::ConcurrentTransactions);
            }
            TransactionState::Empty
            | TransactionState::CompleteCommit
            | TransactionState::CompleteAbort => {}
        }
        let keeps_last = match expected {
            None => false,
            Some(expected) if expected.epoch == current.epoch => true,
            // The answer to the same request was lost.
            Some(expected) if expected.epoch == transaction.last_epoch => return Ok(current),
            Some(_) => return Err(ResponseError::ProducerFenced),
        };
        let next = if current.epoch >= LAST_EPOCH {
            self.new_producer()
        } else {
            Producer { id: current.id, epoch: current.epoch + 1 }
        };
        if let Some(transaction) = self.by_id.get_mut(transactional_id) {
            if next.id != current.id {
                transaction.previous_producer_id = current.id;
            }
            transaction.last_epoch = if keeps_last { current.epoch } else { -1 };
            transaction.producer = next;
            transaction.timeout = timeout;
            transaction.state = TransactionState::Empty;
        }
        Ok(next)
    }

    /// Adds partitions to the transaction, which begins with the first of them.
    pub(crate) fn add_partitions(
        &mut self,
        transactional_id: &str,
        producer: Producer,
        partitions: impl IntoIterator<Item = (String, i32)>,
        now: (Instant, i64),
    ) -> Result<(), ResponseError> {
        let transaction = self.begin(transactional_id, producer, now)?;
        transaction.partitions.extend(partitions);
        Ok(())
    }

    /// Adds the offsets of a group to the transaction.
    pub(crate) fn add_offsets(
        &mut self,
        transactional_id: &str,
        producer: Producer,
        group: &str,
        now: (Instant, i64),
    ) -> Result<(), ResponseError> {
        let transaction = self.begin(transactional_id, producer, now)?;
        transaction.groups.insert(group.to_owned());
        Ok(())
    }

    fn begin(
        &mut self,
        transactional_id: &str,
        producer: Producer,
        now: (Instant, i64),
    ) -> Result<&mut Transaction, ResponseError> {
        if transactional_id.is_empty() {
            return Err(ResponseError::InvalidRequest);
        }
        let transaction =
            self.by_id.get_mut(transactional_id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        transaction.check(producer)?;
        if transaction.state.is_ending() {
            return Err(ResponseError::ConcurrentTransactions);
        }
        if transaction.state != TransactionState::Ongoing {
            transaction.state = TransactionState::Ongoing;
            transaction.started = Some(now);
        }
        Ok(transaction)
    }
}
