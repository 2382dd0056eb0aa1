//! The offsets of a group, for a caller that is no member of it: where its inputs begin and end, what is
//! committed, and commits. Brokers take such a commit only while the group has no members.
//!
//! It knows no application. Invariant: a commit counts as done only after it was read back.

use std::time::Duration;

use oncestream_core::TopicPartition;
use oncestream_core::task::OffsetMetadata;
use oncestream_engine::ports::Committed;
use oncestream_engine::{Resource, StreamsError};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::consumer::committed;
use super::context::{self, LogContext};
use super::lists;
use super::offsets::{ask_offsets, ask_offsets_since};
use super::patience::{is_of_members, patiently};
use super::verdict::{client_failed, code_of, reading_failed};
use crate::config::ClientSettings;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// How long one look at committed offsets may take. A client that may not ask for the coordinator
/// of the group says so beside it, and goes on asking.
const COMMITTED_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the client is listened to then. A poll of no length takes one event, a line of its log
/// maybe.
const LISTEN: Duration = Duration::from_millis(100);
/// How long leaders and coordinators may be away, and a transaction open on an offset.
const PATIENCE: Duration = Duration::from_secs(90);

/// A client of the group that is no member.
pub(crate) struct GroupOffsets {
    client: BaseConsumer<LogContext>,
    group: String,
}

impl GroupOffsets {
    /// The settings are a consumer's, with the id of the group.
    pub(crate) fn new(settings: &ClientSettings) -> Result<Self, StreamsError> {
        let client = context::create(settings, LogContext)
            .map_err(|e| client_failed("creating the consumer of the reset", e))?;
        Ok(Self { client, group: settings.get("group.id").unwrap_or_default().to_owned() })
    }

    /// What is committed, once no transaction is open on it.
    pub(crate) fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<Committed>>, StreamsError> {
        let action = format!(
            "reading the committed offsets of group {}, for which its open transactions are waited \
             for (they end by their transaction.timeout.ms)",
            self.group
        );
        let topic = partitions.first().map_or("", |p| &*p.topic);
        patiently(PATIENCE, || {
            let found = committed(&self.client, partitions, COMMITTED_TIMEOUT);
            found.map_err(|error| self.heard_denied().unwrap_or(error))
        })
        .map_err(|e| self.named(action, topic, e))
    }

    /// What the client said since it was listened to last, if that is that it has no right on the
    /// group.
    fn heard_denied(&self) -> Option<KafkaError> {
        std::iter::from_fn(|| self.client.poll(LISTEN))
            .filter_map(Result::err)
            .find(|error| code_of(error) == Some(Code::GroupAuthorizationFailed))
    }

    /// Whether some of these offsets were committed by an application like this one. What may not be
    /// looked at says nothing.
    pub(crate) fn is_of_application(&self, partitions: &[TopicPartition]) -> bool {
        let found =
            self.client.committed_offsets(lists::of_partitions(partitions), REQUEST_TIMEOUT);
        found.is_ok_and(|found| {
            found.elements().iter().any(|e| {
                OffsetMetadata::is_own(e.metadata()) || OffsetMetadata::is_resetting(e.metadata())
            })
        })
    }

    /// The first offset of each partition.
    pub(crate) fn beginnings(&self, of: &[TopicPartition]) -> Result<Vec<i64>, StreamsError> {
        look_up(of, || ask_offsets(&self.client, of, Offset::Beginning, REQUEST_TIMEOUT))
    }

    /// The end of each partition as the application sees it: the last stable offset.
    pub(crate) fn ends(&self, of: &[TopicPartition]) -> Result<Vec<i64>, StreamsError> {
        look_up(of, || ask_offsets(&self.client, of, Offset::End, REQUEST_TIMEOUT))
    }

    /// The first offsets with a record of that time or later; `None` where there is none.
    pub(crate) fn since(
        &self,
        of: &[TopicPartition],
        since_ms: i64,
    ) -> Result<Vec<Option<i64>>, StreamsError> {
        look_up(of, || ask_offsets_since(&self.client, of, since_ms, REQUEST_TIMEOUT))
    }

    /// Commits offsets with texts beside them in one request, and reads them back.
    ///
    /// # Errors
    /// Among others that the group has a member, as [`is_refused_for_members`] tells.
    pub(crate) fn commit(
        &self,
        offsets: &[(TopicPartition, i64, String)],
    ) -> Result<Vec<Option<Committed>>, StreamsError> {
        let topic = offsets.first().map_or("", |(p, ..)| &*p.topic);
        let action = || format!("committing offsets of group {}", self.group);
        let failed = |e| self.named(action(), topic, e);
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (p, offset, metadata) in offsets {
            let mut element = list.add_partition(&p.topic, p.partition);
            element.set_offset(Offset::Offset(*offset)).map_err(failed)?;
            element.set_metadata(metadata);
        }
        if !offsets.is_empty() {
            patiently(PATIENCE, || self.client.commit(&list, CommitMode::Sync)).map_err(failed)?;
        }
        // A refusal of some partitions is no error to the client.
        let partitions: Vec<TopicPartition> = offsets.iter().map(|(p, ..)| p.clone()).collect();
        self.committed(&partitions)
    }

    fn named(&self, action: String, topic: &str, error: KafkaError) -> StreamsError {
        match error.rdkafka_error_code() {
            Some(Code::GroupAuthorizationFailed) => {
                StreamsError::not_authorized(Resource::Group, &self.group, "Read")
            }
            _ => reading_failed(action, topic, error),
        }
    }
}

/// The answers for all partitions, or the first error with its topic.
fn look_up<T>(
    partitions: &[TopicPartition],
    ask: impl Fn() -> Result<Vec<Result<T, KafkaError>>, KafkaError>,
) -> Result<Vec<T>, StreamsError> {
    let mut at = 0;
    let found = patiently(PATIENCE, || {
        let answers = ask()?.into_iter().enumerate();
        answers.map(|(i, answer)| answer.inspect_err(|_| at = i)).collect()
    });
    found.map_err(|e| {
        let (name, topic) =
            partitions.get(at).map_or_else(Default::default, |p| (p.to_string(), p.topic.clone()));
        reading_failed(format!("looking up offsets of {name}"), &topic, e)
    })
}

/// Whether a commit was refused because the group has members.
pub(crate) fn is_refused_for_members(error: &StreamsError) -> bool {
    matches!(error, StreamsError::Client { source, .. } if is_of_members(source))
}
