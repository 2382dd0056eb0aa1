//! `EndTxn`, timeouts and fencing: how a transaction comes to its end.

use std::time::Instant;

use kafka_protocol::error::ResponseError;

use super::{Ending, Producer, Transaction, TransactionState, Transactions};

impl Transactions {
    /// Commits or aborts. The decision is final when this returns; markers follow.
    pub(crate) fn end(
        &mut self,
        transactional_id: &str,
        producer: Producer,
        commit: bool,
        now: Instant,
    ) -> Result<(), ResponseError> {
        if transactional_id.is_empty() {
            return Err(ResponseError::InvalidRequest);
        }
        let delay = self.marker_delay;
        let transaction =
            self.by_id.get_mut(transactional_id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        transaction.check(producer)?;
        match (transaction.state, commit) {
            (TransactionState::Ongoing, _) => {
                transaction.prepare(commit, now + delay);
                Ok(())
            }
            // The answer to the same request was lost.
            (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) => {
                Ok(())
            }
            (TransactionState::PrepareCommit, true) | (TransactionState::PrepareAbort, false) => {
                Err(ResponseError::ConcurrentTransactions)
            }
            _ => Err(ResponseError::InvalidTxnState),
        }
    }

    /// Aborts an open transaction and fences its producer. False if none is open.
    pub(crate) fn fence(&mut self, transactional_id: &str, now: Instant) -> bool {
        let delay = self.marker_delay;
        match self.by_id.get_mut(transactional_id) {
            Some(transaction) if transaction.state == TransactionState::Ongoing => {
                transaction.fence(now + delay);
                true
            }
            _ => false,
        }
    }

    /// Aborts what is open for longer than its timeout.
    pub(crate) fn expire(&mut self, now: Instant) {
        let delay = self.marker_delay;
        for transaction in self.by_id.values_mut() {
            let Some((started, _)) = transaction.started else { continue };
            if transaction.state == TransactionState::Ongoing
                && now.saturating_duration_since(started) > transaction.timeout
            {
                transaction.fence(now + delay);
            }
        }
    }

    /// The transactions whose markers are to be written now.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Ending> {
        if self.hold_markers {
            return Vec::new();
        }
        let mut due = Vec::new();
        for (id, transaction) in &mut self.by_id {
            if transaction.markers_due.is_some_and(|at| at <= now) {
                transaction.markers_due = None;
                due.push(Ending {
                    transactional_id: id.clone(),
                    producer: transaction.producer,
                    commit: transaction.state == TransactionState::PrepareCommit,
                    partitions: std::mem::take(&mut transaction.partitions),
                    groups: std::mem::take(&mut transaction.groups),
                });
            }
        }
        due
    }

    /// All markers of a transaction are written.
    pub(crate) fn complete(&mut self, transactional_id: &str) {
        if let Some(transaction) = self.by_id.get_mut(transactional_id) {
            transaction.state = match transaction.state {
                TransactionState::PrepareCommit => TransactionState::CompleteCommit,
                TransactionState::PrepareAbort => TransactionState::CompleteAbort,
                other => other,
            };
            transaction.started = None;
        }
    }
}

impl Transaction {
    fn prepare(&mut self, commit: bool, markers_due: Instant) {
        self.state =
            if commit { TransactionState::PrepareCommit } else { TransactionState::PrepareAbort };
        self.markers_due = Some(markers_due);
    }

    /// The new epoch shuts the old one out. Only who shows the old one may have it, if nobody
    /// else came in between.
    fn fence(&mut self, markers_due: Instant) {
        self.last_epoch = self.producer.epoch;
        self.producer.epoch = self.producer.epoch.saturating_add(1);
        self.prepare(false, markers_due);
    }
}
