//! The consumer of a worker: its membership in the group, and the partitions it reads.
//!
//! A rebalance is queued until the worker has handled it; meanwhile the member keeps its generation.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use oncestream_broker::LogRecord;
use oncestream_core::task::{Position, RawRecord};
use oncestream_core::{Headers, TopicPartition};
use oncestream_engine::ClientError;
use oncestream_engine::ports::{Committed, GroupConsumer, Message, Rebalance, Subscription, Taken};

use super::super::crash::CommitStep;
use super::fetcher::Fetcher;
use super::link::Link;
use super::membership::{GroupOptions, Membership, Step};
use super::offsets::{self, At, Generation};
use super::site::Phase;

struct Parts {
    membership: Membership,
    fetcher: Fetcher,
    events: VecDeque<Rebalance>,
    /// The last event was told, or will be, and is not answered.
    unanswered: bool,
    /// What was assigned, and not given up.
    owned: Option<Vec<TopicPartition>>,
    is_lost: bool,
}

/// A member of the application's group.
pub(in super::super) struct LocalConsumer {
    link: Link,
    parts: RefCell<Parts>,
}

impl LocalConsumer {
    /// # Errors
    /// A pattern is none.
    pub(super) fn new(
        link: Link,
        options: GroupOptions,
        subscription: &Subscription,
    ) -> Result<Self, regex::Error> {
        let read_committed = link.site.is_exactly_once;
        let parts = Parts {
            membership: Membership::new(link.clone(), options, subscription)?,
            fetcher: Fetcher::new(link.clone(), read_committed),
            events: VecDeque::new(),
            unanswered: false,
            owned: None,
            is_lost: false,
        };
        Ok(Self { link, parts: RefCell::new(parts) })
    }

    fn group(&self) -> String {
        self.parts.borrow().membership.group().to_owned()
    }
}

impl Parts {
    /// Takes the membership further, until something is to be told or waited for.
    fn drive(&mut self) -> Result<(), ClientError> {
        while !self.unanswered {
            match self.membership.step()? {
                Step::Nothing => return Ok(()),
                Step::Assigned(partitions) => {
                    self.owned = Some(partitions.clone());
                    self.is_lost = false;
                    self.tell(Rebalance::Assign(partitions));
                }
                Step::Rebalance => match self.owned.clone() {
                    Some(owned) => self.tell(Rebalance::Revoke(owned)),
                    None => self.membership.rejoin(),
                },
                Step::Lost => {
                    if let Some(owned) = self.owned.clone() {
                        self.is_lost = true;
                        self.tell(Rebalance::Lost(owned));
                    }
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, event: Rebalance) {
        self.events.push_back(event);
        self.unanswered = true;
    }
}

/// A record, with the partition it is of.
pub(in super::super) struct LocalMessage {
    partition: TopicPartition,
    record: LogRecord,
}

impl Message for LocalMessage {
    fn topic(&self) -> &str {
        &self.partition.topic
    }

    fn partition(&self) -> i32 {
        self.partition.partition
    }

    fn record(&self) -> RawRecord<'_> {
        raw(&self.record)
    }
}

/// A record as a worker takes it.
pub(crate) fn raw(record: &LogRecord) -> RawRecord<'_> {
    RawRecord {
        offset: record.offset,
        timestamp: record.timestamp_ms,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: headers(record),
        unreadable_headers: None,
    }
}

/// The headers of a record.
pub(in super::super) fn headers(record: &LogRecord) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in &record.headers {
        headers.add(name.as_str(), value.as_ref().map(|value| value.to_vec()));
    }
    headers
}

impl GroupConsumer for LocalConsumer {
    type Generation = Arc<Generation>;
    type Message<'a> = LocalMessage;

    fn poll(&self, _timeout: Duration) -> Option<Result<LocalMessage, ClientError>> {
        let mut parts = self.parts.borrow_mut();
        if let Err(error) = self.link.site.check().and_then(|()| parts.drive()) {
            return Some(Err(error));
        }
        if !parts.events.is_empty() {
            return None;
        }
        let next = parts.fetcher.next().transpose()?;
        Some(next.map(|(partition, record)| LocalMessage { partition, record }))
    }

    fn take_apart(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.parts.borrow_mut().fetcher.take_apart(partitions);
        Ok(())
    }

    fn take<E>(
        &self,
        partition: &TopicPartition,
        max: usize,
        mut each: impl FnMut(Taken<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        for taken in 0..max {
            // Not held while the record is processed.
            let next = self.parts.borrow_mut().fetcher.next_of(partition);
            match next {
                Ok(Ok(record)) => each(Taken::Record(raw(&record)))?,
                Ok(Err(offset)) => {
                    each(Taken::End { offset })?;
                    return Ok(taken + 1);
                }
                Err(error) => {
                    each(Taken::Failed(error))?;
                    return Ok(taken + 1);
                }
            }
        }
        Ok(max)
    }

    fn next_rebalance(&self) -> Option<Rebalance> {
        self.parts.borrow_mut().events.pop_front()
    }

    fn newest_generation(&self) -> Option<Arc<Generation>> {
        self.parts.borrow().membership.generation().map(Arc::new)
    }

    fn member_id(&self) -> Option<String> {
        self.parts.borrow().membership.member_id()
    }

    fn client_id(&self) -> String {
        self.link.client_id().to_owned()
    }

    fn committed(
        &self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<Option<Committed>>, ClientError> {
        offsets::committed(&self.link, &self.group(), partitions, timeout)
    }

    fn assign(&self, positions: &[(TopicPartition, i64)]) -> Result<(), ClientError> {
        self.link.site.set_phase(Phase::Idle);
        self.link.site.pass(CommitStep::BeforeAssign)?;
        let mut parts = self.parts.borrow_mut();
        parts.unanswered = !parts.events.is_empty();
        parts.fetcher.assign(positions);
        Ok(())
    }

    fn unassign(&self) -> Result<(), ClientError> {
        let mut parts = self.parts.borrow_mut();
        parts.unanswered = !parts.events.is_empty();
        parts.owned = None;
        parts.is_lost = false;
        parts.fetcher.assign(&[]);
        parts.membership.rejoin();
        Ok(())
    }

    fn is_rebalancing(&self) -> bool {
        let parts = self.parts.borrow();
        !parts.events.is_empty() || parts.is_lost
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.parts.borrow_mut().fetcher.pause(partitions, true);
        Ok(())
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.parts.borrow_mut().fetcher.pause(partitions, false);
        Ok(())
    }

    fn wake(&self, _resumed: &[TopicPartition]) {}

    fn end_offset(
        &self,
        partition: &TopicPartition,
        _timeout: Duration,
    ) -> Result<i64, ClientError> {
        let committed = self.link.site.is_exactly_once;
        let at = if committed { At::LastStable } else { At::HighWatermark };
        offsets::offset(&self.link, partition, at)
    }

    fn look_for_topics(&self) {
        self.parts.borrow_mut().membership.look_for_topics();
    }

    fn commit(&self, positions: &[Position]) -> Result<(), ClientError> {
        let is_commit = self.link.site.phase() == Phase::Applied;
        if !is_commit {
            self.link.site.pass(CommitStep::BeforeStart)?;
        }
        // Of a group that nobody has joined the offsets are anybody's.
        let generation = self.newest_generation().unwrap_or_else(|| {
            Arc::new(Generation { group: self.group(), member: String::new(), id: -1 })
        });
        offsets::commit(&self.link, positions, &generation)?;
        if is_commit {
            self.link.site.set_phase(Phase::Idle);
            self.link.site.pass(CommitStep::AfterCommit)?;
        }
        Ok(())
    }
}

impl Drop for LocalConsumer {
    /// A worker that ends leaves its group; one that has crashed does not.
    fn drop(&mut self) {
        if !self.link.site.is_dead() {
            self.parts.borrow_mut().membership.leave();
        }
    }
}
