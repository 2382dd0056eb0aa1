//! `SyncGroup`, `Heartbeat`, `LeaveGroup` and `DeleteGroups`.

use super::*;

#[test]
fn a_sync_waits_for_the_leaders_assignment() {
    let mut c = Coordinator::new();
    let two = c.joined(vec![joining(), joining()]);
    let mut follower = c.sync(1, &two[1].member_id, &[]);
    assert!(waits(&mut follower));
    let assignments = [(two[1].member_id.clone(), Bytes::from("p1"))];
    let leader = taken(c.sync(1, &two[0].member_id, &assignments));
    assert_eq!((leader.error, leader.assignment), (None, Bytes::new()));
    let follower = taken(follower);
    assert_eq!((follower.error, follower.assignment), (None, Bytes::from("p1")));
    assert_eq!(follower.protocol_name.as_deref(), Some("range"));
    let again = taken(c.sync(1, &two[1].member_id, &[]));
    assert_eq!(again.assignment, Bytes::from("p1"));
    assert_eq!(c.view().members[1].assignment, Bytes::from("p1"));
}

#[test]
fn a_sync_is_refused_to_who_is_not_of_the_generation() {
    let mut c = Coordinator::new();
    assert_eq!(taken(c.sync(1, "x", &[])).error, Some(ResponseError::UnknownMemberId));
    let one = c.joined(vec![joining()]).remove(0);
    let refused = |c: &mut Coordinator, generation, member: &str| {
        taken(c.sync(generation, member, &[])).error.unwrap()
    };
    assert_eq!(refused(&mut c, 2, &one.member_id), ResponseError::IllegalGeneration);
    assert_eq!(refused(&mut c, 1, "x"), ResponseError::UnknownMemberId);
    let (reply, receiver) = channel();
    let sync = Sync {
        group_id: "g".into(),
        generation_id: 1,
        member_id: one.member_id.clone(),
        instance_id: None,
        protocol_type: None,
        protocol_name: Some("sticky".into()),
        assignments: vec![],
    };
    c.groups.sync(sync, c.now, reply);
    assert_eq!(taken(receiver).error, Some(ResponseError::InconsistentGroupProtocol));
}

#[test]
fn a_parked_sync_is_told_of_the_next_rebalance() {
    let mut c = Coordinator::new();
    let two = c.joined(vec![joining(), joining()]);
    let follower = c.sync(1, &two[1].member_id, &[]);
    drop(c.join(joining()));
    assert_eq!(taken(follower).error, Some(ResponseError::RebalanceInProgress));
    let late = taken(c.sync(1, &two[0].member_id, &[]));
    assert_eq!(late.error, Some(ResponseError::RebalanceInProgress));
}

#[test]
fn members_that_never_sync_are_removed_though_they_send_heartbeats() {
    let mut c = Coordinator::new();
    let two = c.joined(vec![joining(), joining()]);
    let assignments = [(two[0].member_id.clone(), Bytes::from("p"))];
    assert_eq!(taken(c.sync(1, &two[0].member_id, &assignments)).error, None);
    for _ in 0..59 {
        c.advance(1_000);
        assert_eq!(c.heartbeat(1, &two[0].member_id), Ok(()));
        assert_eq!(c.heartbeat(1, &two[1].member_id), Ok(()));
    }
    c.advance(1_000);
    assert_eq!(c.heartbeat(1, &two[0].member_id), Err(ResponseError::RebalanceInProgress));
    assert_eq!(c.heartbeat(1, &two[1].member_id), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_leader_that_never_syncs_is_removed_and_parked_syncs_are_answered() {
    let mut c = Coordinator::new();
    let two = c.joined(vec![joining(), joining()]);
    let follower = c.sync(1, &two[1].member_id, &[]);
    for _ in 0..60 {
        assert!(c.heartbeat(1, &two[0].member_id) != Err(ResponseError::UnknownMemberId));
        c.advance(1_000);
    }
    assert_eq!(taken(follower).error, Some(ResponseError::RebalanceInProgress));
    assert_eq!(c.view().leader.as_ref(), Some(&two[1].member_id));
}

#[test]
fn a_heartbeat_tells_a_member_where_it_stands() {
    let mut c = Coordinator::new();
    assert_eq!(c.heartbeat(1, "x"), Err(ResponseError::UnknownMemberId));
    let none = c.groups.heartbeat("", 1, "x", None, c.now);
    assert_eq!(none, Err(ResponseError::InvalidGroupId));
    let one = c.joined(vec![joining()]).remove(0);
    assert_eq!(c.heartbeat(1, &one.member_id), Ok(()));
    assert_eq!(c.heartbeat(0, &one.member_id), Err(ResponseError::IllegalGeneration));
}

#[test]
fn a_member_that_leaves_makes_the_others_join_again_and_the_last_one_empties_the_group() {
    let mut c = Coordinator::new();
    let two = c.stable(vec![joining(), joining()]);
    assert_eq!(c.leave(&two[0].member_id), vec![Ok(())]);
    let view = c.view();
    assert_eq!(view.state, GroupState::PreparingRebalance);
    assert_eq!(view.leader.as_ref(), Some(&two[1].member_id));
    assert_eq!(c.leave(&two[1].member_id), vec![Ok(())]);
    let view = c.view();
    assert_eq!((view.state, view.generation_id), (GroupState::Empty, 2));
    assert_eq!(view.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(c.leave(&two[1].member_id), vec![Err(ResponseError::UnknownMemberId)]);
}

#[test]
fn members_leave_in_batches_with_an_answer_each() {
    let mut c = Coordinator::new();
    let two = c.stable(vec![joining(), static_joining("i")]);
    let pending = taken(c.join(Join { require_known_member_id: true, ..joining() })).member_id;
    let unknown = ResponseError::UnknownMemberId;
    let leaving = vec![
        (pending, None),
        (String::new(), Some("i".to_owned())),
        (String::new(), Some("j".to_owned())),
        ("x".to_owned(), None),
        (two[0].member_id.clone(), Some("j".to_owned())),
    ];
    let answers = c.groups.leave("g", leaving, c.now).unwrap();
    assert_eq!(answers, vec![Ok(()), Ok(()), Err(unknown), Err(unknown), Err(unknown)]);
    assert_eq!(c.view().members.len(), 1);
    let answers = c.groups.leave("other", vec![("x".into(), None)], c.now);
    assert_eq!(answers, Ok(vec![Err(unknown)]));
    assert_eq!(c.groups.leave("", vec![], c.now), Err(ResponseError::InvalidGroupId));
}

#[test]
fn a_group_is_deleted_only_when_it_is_empty() {
    let mut c = Coordinator::new();
    assert_eq!(c.groups.delete("g"), Err(ResponseError::GroupIdNotFound));
    let one = c.stable(vec![joining()]).remove(0);
    assert_eq!(c.commit(1, &one.member_id), Ok(()));
    assert_eq!(c.groups.delete("g"), Err(ResponseError::NonEmptyGroup));
    drop(c.leave(&one.member_id));
    assert_eq!(c.groups.delete("g"), Ok(()));
    assert_eq!(c.groups.describe("g"), None);
    assert_eq!(c.committed(0), None);
}
