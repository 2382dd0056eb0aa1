//! Sessions, the clean-up of empty groups, expired members as a fault, moves of the coordinator.

use super::*;

#[test]
fn a_silent_member_is_removed_when_its_session_ends() {
    let mut c = Coordinator::new();
    let two = c.stable(vec![joining(), joining()]);
    c.advance(9_999);
    assert_eq!(c.heartbeat(1, &two[1].member_id), Ok(()));
    assert_eq!(c.view().members.len(), 2);
    c.advance(1);
    assert_eq!(c.view().members.len(), 1);
    assert_eq!(c.heartbeat(1, &two[1].member_id), Err(ResponseError::RebalanceInProgress));
    assert_eq!(c.commit(1, &two[0].member_id), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_member_that_waits_for_an_answer_does_not_expire_and_gets_a_new_session() {
    let mut c = Coordinator::new();
    let two = c.stable(vec![joining(), joining()]);
    let mut leader = c.join(rejoining(&two[0].member_id));
    for _ in 0..4 {
        c.advance(9_000);
        let beat = c.heartbeat(1, &two[1].member_id);
        assert_eq!(beat, Err(ResponseError::RebalanceInProgress));
    }
    assert!(waits(&mut leader));
    let follower = taken(c.join(rejoining(&two[1].member_id)));
    assert_eq!((follower.generation_id, taken(leader).members.len()), (2, 2));
    // The leader's session ended while it waited; the answer began a new one.
    c.advance(10_000);
    assert_eq!(c.view().state, GroupState::Empty);
}

#[test]
fn a_new_member_whose_first_join_is_parked_too_long_is_removed() {
    let mut c = Coordinator::new();
    let one = c.stable(vec![Join { rebalance_timeout: ms(900_000), ..joining() }]).remove(0);
    let mut new = c.join(joining());
    for _ in 0..59 {
        c.advance(5_000);
        assert!(c.heartbeat(1, &one.member_id) != Err(ResponseError::UnknownMemberId));
    }
    assert!(waits(&mut new));
    c.advance(5_000);
    let new = taken(new);
    assert_eq!((new.error, new.member_id), (Some(ResponseError::UnknownMemberId), String::new()));
}

#[test]
fn a_commit_is_a_heartbeat() {
    let mut c = Coordinator::new();
    let two = c.stable(vec![joining(), joining()]);
    c.advance(9_000);
    assert_eq!(c.commit(1, &two[0].member_id), Ok(()));
    assert_eq!(c.heartbeat(1, &two[1].member_id), Ok(()));
    c.advance(9_000);
    assert_eq!(c.view().members.len(), 2);
}

#[test]
fn an_empty_group_without_offsets_is_cleaned_up_and_one_with_offsets_stays() {
    let mut c = Coordinator::new();
    let pending = Join { require_known_member_id: true, ..joining() };
    drop(c.join(Join { group_id: "bare".into(), ..pending }));
    assert_eq!(c.commit(-1, ""), Ok(()));
    c.advance(599_999);
    assert_eq!(c.groups.list().len(), 2);
    c.advance(1);
    assert_eq!(c.groups.describe("bare"), None);
    assert_eq!(c.view().state, GroupState::Empty);
}

#[test]
fn an_expired_member_is_gone_at_once_and_what_it_waited_for_is_answered() {
    let mut c = Coordinator::new();
    let two = c.joined(vec![joining(), static_joining("i")]);
    let parked = c.sync(1, &two[1].member_id, &[]);
    assert!(c.groups.expire_member("g", "i", c.now));
    assert_eq!(taken(parked).error, Some(ResponseError::UnknownMemberId));
    assert!(!c.groups.expire_member("g", "i", c.now));
    assert!(!c.groups.expire_member("other", "i", c.now));
    assert_eq!(c.view().state, GroupState::PreparingRebalance);
    assert!(c.groups.expire_member("g", &two[0].member_id, c.now));
    assert_eq!(c.view().state, GroupState::Empty);
    let pending = taken(c.join(Join { require_known_member_id: true, ..joining() })).member_id;
    assert!(c.groups.expire_member("g", &pending, c.now));
    assert_eq!(taken(c.join(rejoining(&pending))).error, Some(ResponseError::UnknownMemberId));
}

#[test]
fn a_move_of_the_coordinator_keeps_a_stable_group_with_new_sessions() {
    let mut c = Coordinator::new();
    let one = c.stable(vec![joining()]).remove(0);
    assert_eq!(c.commit(1, &one.member_id), Ok(()));
    let mut before = c.view();
    c.advance(9_000);
    c.groups.coordinator_moved(|group| group == "g", c.now);
    assert_eq!(c.view(), before);
    c.advance(9_999);
    assert_eq!(c.view(), before);
    c.advance(1);
    before.members.clear();
    assert_eq!((c.view().members, c.view().offsets), (before.members, before.offsets));
}

#[test]
fn a_move_of_the_coordinator_forgets_a_rebalance_that_was_not_logged() {
    let mut c = Coordinator::new();
    let one = c.stable(vec![joining()]).remove(0);
    let parked = c.join(joining());
    c.groups.coordinator_moved(|_| false, c.now);
    assert_eq!(c.view().state, GroupState::PreparingRebalance);
    c.groups.coordinator_moved(|_| true, c.now);
    assert_eq!(taken(parked).error, Some(ResponseError::NotCoordinator));
    let view = c.view();
    assert_eq!((view.state, view.generation_id), (GroupState::Stable, 1));
    assert_eq!(view.members.len(), 1);
    assert_eq!(c.heartbeat(1, &one.member_id), Ok(()));

    // A generation whose assignment never came is forgotten too, and its syncs are answered.
    drop(c.join(joining()));
    assert_eq!(taken(c.join(rejoining(&one.member_id))).generation_id, 2);
    let follower = c.view().members[1].member_id.clone();
    let parked = c.sync(2, &follower, &[]);
    c.groups.coordinator_moved(|_| true, c.now);
    assert_eq!(taken(parked).error, Some(ResponseError::NotCoordinator));
    let late = taken(c.sync(2, &one.member_id, &[]));
    assert_eq!(late.error, Some(ResponseError::IllegalGeneration));
}

#[test]
fn a_session_that_ended_while_the_assignment_was_awaited_begins_anew_with_it() {
    let mut c = Coordinator::new();
    let two = c.joined(vec![joining(), joining()]);
    let follower = c.sync(1, &two[1].member_id, &[]);
    for _ in 0..3 {
        c.advance(5_000);
        assert_eq!(c.heartbeat(1, &two[0].member_id), Ok(()));
    }
    assert_eq!(taken(c.sync(1, &two[0].member_id, &[])).error, None);
    assert_eq!(taken(follower).error, None);
    c.advance(9_999);
    assert_eq!(c.view().members.len(), 2);
    c.advance(1);
    assert_eq!(c.view().state, GroupState::Empty);
}
