//! A producer's transactions, as chapters use them.

use oncestream_broker::Broker;
use rdkafka::producer::Producer as _;

use crate::LabError;
use crate::clients::{Sender, failed};
use crate::receiver::Receiver;
use crate::stage::LIMIT;

/// A transactional producer. Dropping it ends it as a crash does: an open transaction stays open.
pub(crate) struct Transactions {
    sender: Sender,
    name: String,
}

impl Transactions {
    /// `name` is its `client.id` and its `transactional.id`. What a producer of that id before it left
    /// open is aborted here.
    pub(crate) fn open(output: &Broker, name: &str) -> Result<Self, LabError> {
        let settings = [("transactional.id", name)];
        let sender = Sender::open(output.bootstrap_servers(), name, &settings)?;
        sender.client().init_transactions(LIMIT).map_err(failed(name))?;
        Ok(Self { sender, name: name.to_owned() })
    }

    pub(crate) fn begin(&self) -> Result<(), LabError> {
        self.sender.client().begin_transaction().map_err(failed(&self.name))
    }

    /// Sends a record to partition 0 of a topic, and waits until it is stored.
    pub(crate) fn send(&self, topic: &str, key: &str, value: &str) -> Result<(), LabError> {
        self.sender.send_bytes(topic, 0, Some(key.as_bytes()), value.as_bytes())?;
        self.sender.wait().map(drop)
    }

    /// Adds the offset of the next record to the transaction.
    pub(crate) fn add_offset(&self, receiver: &Receiver, next: i64) -> Result<(), LabError> {
        let (offsets, group) = (receiver.position(next)?, receiver.group()?);
        let added = self.sender.client().send_offsets_to_transaction(&offsets, &group, LIMIT);
        added.map_err(failed(&self.name))
    }

    pub(crate) fn commit(&self) -> Result<(), LabError> {
        self.sender.client().commit_transaction(LIMIT).map_err(failed(&self.name))
    }

    pub(crate) fn abort(&self) -> Result<(), LabError> {
        self.sender.client().abort_transaction(LIMIT).map_err(failed(&self.name))
    }
}
