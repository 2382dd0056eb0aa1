//! Static members: `group.instance.id`.

use super::*;

#[test]
fn a_static_member_comes_back_to_a_stable_group_without_a_rebalance() {
    let mut c = Coordinator::new();
    let two = c.stable(vec![joining(), static_joining("i")]);
    let back = taken(c.join(static_joining("i")));
    assert_eq!((back.error, back.generation_id), (None, 1));
    assert_ne!(back.member_id, two[1].member_id);
    assert!(back.member_id.starts_with("i-"));
    assert_eq!((back.skip_assignment, back.members.len()), (false, 0));
    assert_eq!(c.view().state, GroupState::Stable);
    // The assignment was made for the place, not for the id.
    let synced = taken(c.sync(1, &back.member_id, &[]));
    assert_eq!(synced.assignment, Bytes::from(two[1].member_id.clone()));
}

#[test]
fn a_static_leader_that_comes_back_skips_the_assignment_or_follows() {
    let mut c = Coordinator::new();
    let two = c.stable(vec![static_joining("i"), joining()]);
    let back = taken(c.join(static_joining("i")));
    assert!(back.skip_assignment);
    assert_eq!((&back.leader, back.members.len()), (&back.member_id, 2));
    let old_client = Join { supports_skipping_assignment: false, ..static_joining("i") };
    let follower = taken(c.join(old_client));
    assert!(!follower.skip_assignment);
    assert_eq!((follower.leader, follower.members.len()), (back.member_id, 0));
    assert_eq!(c.heartbeat(1, &two[1].member_id), Ok(()));
}

#[test]
fn a_static_member_that_changes_the_protocol_begins_a_rebalance() {
    let mut c = Coordinator::new();
    let both = vec![("range".into(), Bytes::new()), ("sticky".into(), Bytes::new())];
    c.stable(vec![
        Join { protocols: both.clone(), ..joining() },
        Join { protocols: both, ..static_joining("i") },
    ]);
    let sticky = vec![("sticky".into(), Bytes::new())];
    let mut back = c.join(Join { protocols: sticky, ..static_joining("i") });
    assert!(waits(&mut back));
    assert_eq!(c.view().state, GroupState::PreparingRebalance);
}

#[test]
fn the_old_id_of_a_static_member_is_fenced_everywhere() {
    let mut c = Coordinator::new();
    let old = c.stable(vec![static_joining("i")]).remove(0).member_id;
    assert_eq!(taken(c.join(static_joining("i"))).error, None);
    let fenced = ResponseError::FencedInstanceId;
    let join = Join { member_id: old.clone(), ..static_joining("i") };
    assert_eq!(taken(c.join(join)).error, Some(fenced));
    assert_eq!(c.groups.heartbeat("g", 1, &old, Some("i"), c.now), Err(fenced));
    let commit = CommitOffsets { instance: Some("i".into()), ..commit_of(1, &old, 5) };
    assert_eq!(c.groups.commit_offsets(commit.clone(), c.now), Err(fenced));
    assert_eq!(c.groups.commit_offsets_in_transaction(commit, 7, 0, c.now), Err(fenced));
    let left = c.groups.leave("g", vec![(old.clone(), Some("i".into()))], c.now);
    assert_eq!(left, Ok(vec![Err(fenced)]));
    // Without its instance id the old one is just unknown.
    assert_eq!(c.heartbeat(1, &old), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_parked_join_of_a_replaced_member_is_fenced() {
    let mut c = Coordinator::new();
    let first = c.join(static_joining("i"));
    let second = c.join(static_joining("i"));
    let first = taken(first);
    assert_eq!(first.error, Some(ResponseError::FencedInstanceId));
    c.advance(3_000);
    let second = taken(second);
    assert_eq!((second.error, second.members.len()), (None, 1));
    assert_ne!(first.member_id, second.member_id);
}

#[test]
fn a_parked_sync_of_a_replaced_member_is_fenced_and_the_group_joins_again() {
    let mut c = Coordinator::new();
    let two = c.joined(vec![joining(), static_joining("i")]);
    let parked = c.sync(1, &two[1].member_id, &[]);
    let mut back = c.join(static_joining("i"));
    assert_eq!(taken(parked).error, Some(ResponseError::FencedInstanceId));
    assert!(waits(&mut back));
    let leader = taken(c.join(rejoining(&two[0].member_id)));
    assert_eq!((leader.generation_id, leader.members.len()), (2, 2));
    assert_eq!(taken(back).generation_id, 2);
}

#[test]
fn a_static_member_that_does_not_join_again_stays_until_its_session_ends() {
    let mut c = Coordinator::new();
    let long = ms(120_000);
    let two = c.stable(vec![joining(), Join { session_timeout: long, ..static_joining("i") }]);
    let rejoined = c.join(rejoining(&two[0].member_id));
    c.advance(60_000);
    assert_eq!(taken(rejoined).members.len(), 2);
    assert_eq!(c.view().members.len(), 2);
}

#[test]
fn a_join_phase_that_no_one_answers_goes_on_until_static_members_expire() {
    let mut c = Coordinator::new();
    let long = ms(150_000);
    let one = c.stable(vec![Join { session_timeout: long, ..static_joining("i") }]).remove(0);
    let dynamic = taken(c.join(Join { require_known_member_id: true, ..joining() })).member_id;
    drop(c.join(rejoining(&dynamic)));
    drop(c.leave(&dynamic));
    c.advance(60_000);
    let view = c.view();
    assert_eq!((view.state, view.generation_id), (GroupState::PreparingRebalance, 1));
    c.advance(90_000);
    let view = c.view();
    assert_eq!((view.state, view.generation_id), (GroupState::Empty, 2));
    assert_eq!(c.heartbeat(1, &one.member_id), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_static_member_needs_no_id_before_its_first_join() {
    let mut c = Coordinator::with(GroupSettings::default());
    let join = Join { require_known_member_id: true, ..static_joining("i") };
    assert_eq!(taken(c.join(join)).error, None);
}
