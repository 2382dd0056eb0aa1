//! Committed and pending offsets.

use super::*;

type Answers = Result<Vec<Result<(), ResponseError>>, ResponseError>;

impl Coordinator {
    fn commit_in_transaction(
        &mut self,
        commit: CommitOffsets,
        producer: i64,
        epoch: i16,
    ) -> Answers {
        self.groups.commit_offsets_in_transaction(commit, producer, epoch, self.now)
    }

    fn stable_offset(&self, partition: i32) -> Result<Option<i64>, ResponseError> {
        let at = [("orders".to_owned(), partition)];
        let answer = self.groups.fetch_offsets("g", Some(&at), true).remove(0).1;
        answer.map(|committed| committed.map(|committed| committed.offset))
    }
}

#[test]
fn only_a_member_of_the_generation_commits() {
    let mut c = Coordinator::new();
    let one = c.stable(vec![joining()]).remove(0).member_id;
    assert_eq!(c.commit(1, &one), Ok(()));
    assert_eq!(c.commit(0, &one), Err(ResponseError::IllegalGeneration));
    assert_eq!(c.commit(2, &one), Err(ResponseError::IllegalGeneration));
    assert_eq!(c.commit(-1, &one), Err(ResponseError::IllegalGeneration));
    assert_eq!(c.commit(1, "x"), Err(ResponseError::UnknownMemberId));
    assert_eq!(c.commit(-1, ""), Err(ResponseError::UnknownMemberId));
    drop(c.leave(&one));
    assert_eq!(c.commit(2, &one), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_consumer_outside_the_protocol_commits_to_an_empty_group_and_creates_it() {
    let mut c = Coordinator::new();
    assert_eq!(c.commit(3, "x"), Err(ResponseError::GroupIdNotFound));
    assert!(c.groups.list().is_empty());
    assert_eq!(c.commit(-1, ""), Ok(()));
    let view = c.view();
    assert_eq!((view.state, view.generation_id, view.protocol_type), (GroupState::Empty, 0, None));
    assert_eq!(view.offsets[0].2.metadata.as_deref(), Some("note"));
}

#[test]
fn a_commit_waits_for_the_assignment_but_not_for_the_others_to_join() {
    let mut c = Coordinator::new();
    let one = c.joined(vec![joining()]).remove(0);
    assert_eq!(c.commit(1, &one.member_id), Err(ResponseError::RebalanceInProgress));
    c.synced(std::slice::from_ref(&one));
    drop(c.join(joining()));
    assert_eq!(c.view().state, GroupState::PreparingRebalance);
    assert_eq!(c.commit(1, &one.member_id), Ok(()));
}

#[test]
fn metadata_that_is_too_large_fails_its_partition_alone() {
    let mut c = Coordinator::with(GroupSettings { offset_metadata_max_bytes: 4, ..settings() });
    let mut commit = commit_of(-1, "", 1);
    commit.offsets.push(OffsetToCommit { metadata: Some("12345".into()), ..to_commit(1, 2) });
    commit.offsets.push(OffsetToCommit { metadata: None, ..to_commit(2, 3) });
    let answers = c.groups.commit_offsets(commit, c.now).unwrap();
    assert_eq!(answers, vec![Ok(()), Err(ResponseError::OffsetMetadataTooLarge), Ok(())]);
    assert_eq!((c.committed(0), c.committed(1), c.committed(2)), (Some(1), None, Some(3)));
    assert_eq!(c.view().offsets[1].2.metadata.as_deref(), Some(""));
}

#[test]
fn a_transactions_offsets_show_with_its_marker_alone() {
    let mut c = Coordinator::new();
    for (commit, visible) in [(true, Some(5)), (false, None)] {
        assert_eq!(c.commit_in_transaction(commit_of(-1, "", 5), 7, 0), Ok(vec![Ok(())]));
        assert_eq!(c.committed(0), None);
        assert_eq!(c.stable_offset(0), Err(ResponseError::UnstableOffsetCommit));
        assert_eq!(c.stable_offset(1), Ok(None));
        assert_eq!(c.view().pending_offsets, vec![(7, "orders".into(), 0, 5)]);
        c.groups.end_transaction("g", 7, commit);
        assert_eq!(c.stable_offset(0), Ok(visible));
        assert_eq!(c.view().pending_offsets, vec![]);
        c.groups.forget_topic("orders");
    }
}

#[test]
fn transactions_of_several_producers_do_not_touch_each_other() {
    let mut c = Coordinator::new();
    drop(c.commit_in_transaction(commit_of(-1, "", 5), 7, 0));
    drop(c.commit_in_transaction(commit_of(-1, "", 6), 8, 0));
    c.groups.end_transaction("g", 8, false);
    assert_eq!(c.stable_offset(0), Err(ResponseError::UnstableOffsetCommit));
    c.groups.end_transaction("g", 7, true);
    assert_eq!(c.stable_offset(0), Ok(Some(5)));
}

#[test]
fn the_offset_committed_last_wins_whenever_the_marker_comes() {
    let mut c = Coordinator::new();
    drop(c.commit_in_transaction(commit_of(-1, "", 5), 7, 0));
    drop(c.commit_in_transaction(commit_of(-1, "", 6), 8, 0));
    assert_eq!(c.commit(-1, ""), Ok(()));
    drop(c.commit_in_transaction(commit_of(-1, "", 9), 9, 0));
    c.groups.end_transaction("g", 7, true);
    assert_eq!(c.committed(0), Some(1));
    c.groups.end_transaction("g", 9, true);
    assert_eq!(c.committed(0), Some(9));
    c.groups.end_transaction("g", 8, true);
    assert_eq!(c.committed(0), Some(9));
}

#[test]
fn a_transactional_commit_is_checked_against_member_and_generation_if_it_names_them() {
    let mut c = Coordinator::new();
    let illegal = Err(ResponseError::IllegalGeneration);
    assert_eq!(c.commit_in_transaction(commit_of(1, "x", 1), 7, 0), illegal);
    let one = c.joined(vec![joining()]).remove(0).member_id;
    // An old client names neither, and the state of the group does not matter.
    assert_eq!(c.commit_in_transaction(commit_of(-1, "", 1), 7, 0), Ok(vec![Ok(())]));
    assert_eq!(c.commit_in_transaction(commit_of(1, &one, 1), 7, 0), Ok(vec![Ok(())]));
    assert_eq!(c.commit_in_transaction(commit_of(0, &one, 1), 7, 0), illegal);
    assert_eq!(c.commit_in_transaction(commit_of(-1, &one, 1), 7, 0), illegal);
    let unknown = Err(ResponseError::UnknownMemberId);
    assert_eq!(c.commit_in_transaction(commit_of(1, "x", 1), 7, 0), unknown);
    let nameless = CommitOffsets { group: String::new(), ..commit_of(-1, "", 1) };
    assert_eq!(c.commit_in_transaction(nameless, 7, 0), Err(ResponseError::InvalidGroupId));
}

#[test]
fn an_earlier_epoch_of_a_producer_commits_no_offsets() {
    let mut c = Coordinator::new();
    assert!(c.commit_in_transaction(commit_of(-1, "", 1), 7, 2).is_ok());
    c.groups.end_transaction("g", 7, false);
    let old = c.commit_in_transaction(commit_of(-1, "", 2), 7, 1);
    assert_eq!(old, Err(ResponseError::InvalidProducerEpoch));
    assert_eq!(c.view().pending_offsets, vec![]);
    assert!(c.commit_in_transaction(commit_of(-1, "", 1), 7, 3).is_ok());
}

#[test]
fn all_offsets_are_fetched_without_those_that_are_only_pending() {
    let mut c = Coordinator::new();
    assert!(c.groups.fetch_offsets("g", None, true).is_empty());
    let mut commit = commit_of(-1, "", 1);
    commit.offsets.push(to_commit(1, 2));
    assert!(c.groups.commit_offsets(commit, c.now).is_ok());
    let mut commit = commit_of(-1, "", 5);
    commit.offsets.push(to_commit(2, 6));
    assert!(c.commit_in_transaction(commit, 7, 0).is_ok());
    let all = c.groups.fetch_offsets("g", None, true);
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].1, Err(ResponseError::UnstableOffsetCommit));
    assert_eq!(
        all[1].1.as_ref().unwrap().as_ref().map(|o| (o.offset, o.leader_epoch)),
        Some((2, 3))
    );
}

#[test]
fn offsets_of_a_topic_that_is_read_are_not_deleted() {
    let mut c = Coordinator::new();
    let at = |topic: &str| [(topic.to_owned(), 0)];
    assert_eq!(c.groups.delete_offsets("g", &at("orders")), Err(ResponseError::GroupIdNotFound));
    assert_eq!(c.groups.delete_offsets("", &at("orders")), Err(ResponseError::InvalidGroupId));
    let one = c.stable(vec![joining()]).remove(0).member_id;
    assert_eq!(c.commit(1, &one), Ok(()));
    let read = Ok(vec![Err(ResponseError::GroupSubscribedToTopic)]);
    assert_eq!(c.groups.delete_offsets("g", &at("orders")), read);
    assert_eq!(c.groups.delete_offsets("g", &at("other")), Ok(vec![Ok(())]));
    assert_eq!(c.committed(0), Some(1));
    drop(c.leave(&one));
    assert_eq!(c.groups.delete_offsets("g", &at("orders")), Ok(vec![Ok(())]));
    assert_eq!(c.committed(0), None);
}

#[test]
fn offsets_of_members_that_are_no_consumers_are_deleted_only_without_them() {
    let mut c = Coordinator::new();
    c.joined(vec![Join { protocol_type: "connect".into(), ..joining() }]);
    let answer = c.groups.delete_offsets("g", &[("orders".to_owned(), 0)]);
    assert_eq!(answer, Err(ResponseError::NonEmptyGroup));
}

#[test]
fn a_deleted_topic_takes_its_offsets_with_it_pending_ones_too() {
    let mut c = Coordinator::new();
    assert_eq!(c.commit(-1, ""), Ok(()));
    assert!(c.commit_in_transaction(commit_of(-1, "", 5), 7, 0).is_ok());
    c.groups.forget_topic("other");
    assert_eq!(c.committed(0), Some(1));
    c.groups.forget_topic("orders");
    c.groups.end_transaction("g", 7, true);
    assert_eq!(c.stable_offset(0), Ok(None));
}
