//! `OffsetCommit`, `TxnOffsetCommit`, `OffsetFetch` and `OffsetDelete`.
//!
//! Owns who may commit. Does not know topics: whether a partition exists is the caller's check.
//! Invariant: a member of an earlier generation, a fenced or an expired one cannot commit.

use std::time::Instant;

use kafka_protocol::error::ResponseError;

use super::Groups;
use super::request::CommitOffsets;
use super::state::{Group, GroupState};
use super::view::CommittedOffset;

/// One answer per partition, in the order of the request.
type PerPartition = Vec<Result<(), ResponseError>>;

impl Groups {
    /// Handles an `OffsetCommit`. From a member it counts as a heartbeat. Generation -1 with no
    /// member is a consumer outside the group protocol: allowed while the group is empty; it
    /// creates the group.
    ///
    /// # Errors
    ///
    /// `GroupIdNotFound` for a generation of an unknown group, which Kafka answers from version 9
    /// on, and `IllegalGeneration` before: the caller translates. `UnknownMemberId`,
    /// `FencedInstanceId`, `IllegalGeneration`, and `RebalanceInProgress` while the assignment is
    /// awaited. Per partition `OffsetMetadataTooLarge`.
    pub(crate) fn commit_offsets(
        &mut self,
        commit: CommitOffsets,
        now: Instant,
    ) -> Result<PerPartition, ResponseError> {
        self.group_to_commit_in(&commit, ResponseError::GroupIdNotFound, now)?;
        let checked = self.change(&commit.group, now, |group, cx| {
            if let Some(index) = group.validate_commit(&commit, false)? {
                group.members[index].renew_session(cx.now);
            }
            Ok(())
        });
        checked.unwrap_or(Err(ResponseError::GroupIdNotFound))?;
        self.store_offsets(commit, None)
    }

    /// Handles a `TxnOffsetCommit`: the offsets are pending until [`Groups::end_transaction`].
    /// Without a generation and a member it is not checked against the group, as old clients
    /// send it. The group's state does not matter, and no session is renewed.
    ///
    /// # Errors
    ///
    /// `InvalidProducerEpoch` if a later epoch of the producer was seen, `InvalidGroupId`,
    /// `IllegalGeneration` (also for a generation of an unknown group), `UnknownMemberId`,
    /// `FencedInstanceId`. Per partition `OffsetMetadataTooLarge`.
    pub(crate) fn commit_offsets_in_transaction(
        &mut self,
        commit: CommitOffsets,
        producer_id: i64,
        producer_epoch: i16,
        now: Instant,
    ) -> Result<PerPartition, ResponseError> {
        if commit.group.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        if self.producer_epochs.get(&producer_id).is_some_and(|seen| *seen > producer_epoch) {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        let group = self.group_to_commit_in(&commit, ResponseError::IllegalGeneration, now)?;
        group.validate_commit(&commit, true)?;
        self.producer_epochs.insert(producer_id, producer_epoch);
        self.store_offsets(commit, Some(producer_id))
    }

    fn group_to_commit_in(
        &mut self,
        commit: &CommitOffsets,
        unknown: ResponseError,
        now: Instant,
    ) -> Result<&mut Group, ResponseError> {
        if commit.generation >= 0 && !self.by_name.contains_key(&commit.group) {
            return Err(unknown);
        }
        Ok(self.get_or_create(&commit.group, now))
    }

    fn store_offsets(
        &mut self,
        commit: CommitOffsets,
        producer_id: Option<i64>,
    ) -> Result<PerPartition, ResponseError> {
        let limit = self.settings.offset_metadata_max_bytes;
        let group = self.by_name.get_mut(&commit.group).ok_or(ResponseError::GroupIdNotFound)?;
        let mut answers = Vec::with_capacity(commit.offsets.len());
        for offset in commit.offsets {
            let length = offset.metadata.as_ref().map_or(0, |text| text.encode_utf16().count());
            if length > limit {
                answers.push(Err(ResponseError::OffsetMetadataTooLarge));
            } else {
                group.offsets.store(offset, producer_id);
                answers.push(Ok(()));
            }
        }
        Ok(answers)
    }

    /// The marker of a transaction reached the group: the producer's pending offsets become
    /// visible, or are dropped.
    pub(crate) fn end_transaction(&mut self, group: &str, producer_id: i64, commit: bool) {
        if let Some(group) = self.by_name.get_mut(group) {
            group.offsets.end_transaction(producer_id, commit);
        }
    }

    /// The committed offsets of some partitions (`None` within: there is none), or of all that
    /// have one. With `require_stable` a partition that an open transaction has an offset for is
    /// answered with `UnstableOffsetCommit`. An unknown group has no offsets.
    pub(crate) fn fetch_offsets(
        &self,
        group: &str,
        partitions: Option<&[(String, i32)]>,
        require_stable: bool,
    ) -> Vec<((String, i32), Result<Option<CommittedOffset>, ResponseError>)> {
        let group = self.by_name.get(group);
        let fetch = |partition: &(String, i32)| {
            let offset = match group {
                Some(group) if require_stable && group.offsets.is_unstable(partition) => {
                    Err(ResponseError::UnstableOffsetCommit)
                }
                Some(group) => Ok(group.offsets.get(partition).cloned()),
                None => Ok(None),
            };
            (partition.clone(), offset)
        };
        match (partitions, group) {
            (Some(partitions), _) => partitions.iter().map(fetch).collect(),
            (None, Some(group)) => group.offsets.iter().map(|(at, _)| fetch(at)).collect(),
            (None, None) => Vec::new(),
        }
    }

    /// Handles an `OffsetDelete`.
    ///
    /// # Errors
    ///
    /// `InvalidGroupId`, `GroupIdNotFound`, and `NonEmptyGroup` for a group with members that are
    /// no consumers. Per partition `GroupSubscribedToTopic`.
    pub(crate) fn delete_offsets(
        &mut self,
        group: &str,
        partitions: &[(String, i32)],
    ) -> Result<PerPartition, ResponseError> {
        let group = self.known_group(group, ResponseError::GroupIdNotFound)?;
        if group.state != GroupState::Empty && !group.is_consumer_group() {
            return Err(ResponseError::NonEmptyGroup);
        }
        let delete = |partition: &(String, i32)| {
            if group.is_subscribed_to(&partition.0) {
                return Err(ResponseError::GroupSubscribedToTopic);
            }
            group.offsets.remove(|stored| stored == partition);
            Ok(())
        };
        Ok(partitions.iter().map(delete).collect())
    }

    /// A topic was deleted, and its offsets with it, pending ones included.
    pub(crate) fn forget_topic(&mut self, topic: &str) {
        for group in self.by_name.values_mut() {
            group.offsets.remove(|(name, _)| name == topic);
        }
    }
}

impl Group {
    /// Checks who commits. Answers with the member whose session the commit renews.
    fn validate_commit(
        &self,
        commit: &CommitOffsets,
        in_transaction: bool,
    ) -> Result<Option<usize>, ResponseError> {
        if commit.generation < 0 && self.state == GroupState::Empty {
            return Ok(None);
        }
        let anonymous =
            commit.generation < 0 && commit.member.is_empty() && commit.instance.is_none();
        if anonymous {
            return if in_transaction { Ok(None) } else { Err(ResponseError::UnknownMemberId) };
        }
        let index = self.validate(&commit.member, commit.instance.as_deref())?;
        if commit.generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        if in_transaction {
            return Ok(None);
        }
        if self.state == GroupState::CompletingRebalance {
            return Err(ResponseError::RebalanceInProgress);
        }
        Ok(Some(index))
    }
}
