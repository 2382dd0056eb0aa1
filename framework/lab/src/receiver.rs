//! A consumer that reads one partition by itself, and keeps its position in a group.
//!
//! It joins no group: the broker assigns nothing, and nobody else reads the partition.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::LabError;
use crate::clients::{Reports, config, failed};
use crate::stage::LIMIT;

/// A record as the consumer read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) offset: i64,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// A consumer of partition 0 of a topic.
pub(crate) struct Receiver {
    consumer: BaseConsumer<Reports>,
    topic: String,
    name: String,
}

impl Receiver {
    /// `name` is its `client.id` and its group.
    pub(crate) fn open(
        servers: &str,
        name: &str,
        topic: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self, LabError> {
        let consumer: BaseConsumer<Reports> = config(servers, name, settings)
            .set("group.id", name)
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "10")
            .create_with_context(Reports::default())
            .map_err(failed(name))?;
        // Without the leader at hand, librdkafka may look for it a second later.
        consumer.fetch_metadata(Some(topic), LIMIT).map_err(failed(name))?;
        Ok(Self { consumer, topic: topic.to_owned(), name: name.to_owned() })
    }

    /// The offset that its group has committed, or 0.
    pub(crate) fn committed(&self) -> Result<i64, LabError> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&self.topic, 0);
        let found = self.consumer.committed_offsets(asked, LIMIT).map_err(failed(&self.name))?;
        let offset = found.find_partition(&self.topic, 0).map(|partition| partition.offset());
        Ok(match offset {
            Some(Offset::Offset(offset)) => offset,
            _ => 0,
        })
    }

    /// What there is to read, from an offset to the end.
    pub(crate) fn read_from(&self, offset: i64) -> Result<Vec<Received>, LabError> {
        let list = self.position(offset)?;
        self.consumer.assign(&list).map_err(failed(&self.name))?;
        let until = Instant::now() + LIMIT;
        let mut all = Vec::new();
        loop {
            match self.consumer.poll(Duration::from_millis(50)) {
                Some(Ok(message)) => {
                    let text = |bytes: Option<&[u8]>| {
                        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
                    };
                    all.push(Received {
                        offset: message.offset(),
                        key: text(message.key()),
                        value: text(message.payload()),
                    });
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(all),
                Some(Err(error)) => return Err(failed(&self.name)(error)),
                None if Instant::now() > until => {
                    let what = format!("{} reads {}", self.name, self.topic);
                    return Err(LabError::Late { what, seconds: LIMIT.as_secs() });
                }
                None => {}
            }
        }
    }

    /// Commits the offset of the next record, in no transaction.
    pub(crate) fn commit(&self, next: i64) -> Result<(), LabError> {
        let list = self.position(next)?;
        self.consumer.commit(&list, CommitMode::Sync).map_err(failed(&self.name))
    }

    /// The offset of the next record, as a transaction takes it.
    pub(crate) fn position(&self, next: i64) -> Result<TopicPartitionList, LabError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, 0, Offset::Offset(next))
            .map_err(failed(&self.name))?;
        Ok(list)
    }

    /// The group whose offsets a transaction commits.
    pub(crate) fn group(&self) -> Result<ConsumerGroupMetadata, LabError> {
        let none = || LabError::Late { what: "the group's metadata".to_owned(), seconds: 0 };
        self.consumer.group_metadata().ok_or_else(none)
    }
}
