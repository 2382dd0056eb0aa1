//! `JoinGroup` of dynamic members, and the join phase.

use super::*;

#[test]
fn a_stable_group_shows_its_protocol_and_subscriptions() {
    let mut c = Coordinator::new();
    c.stable(vec![joining()]);
    let view = c.view();
    assert_eq!(view.protocol_name.as_deref(), Some("range"));
    assert_eq!(view.members[0].metadata, subscription("orders"));
    assert_eq!(view.members[0].client_id, "client");
}

#[test]
fn a_first_join_is_completed_at_once_without_an_initial_delay() {
    let mut c = Coordinator::with(GroupSettings::default());
    let answer = taken(c.join(joining()));
    assert_eq!((answer.error, answer.generation_id), (None, 1));
    assert_eq!(answer.leader, answer.member_id);
    assert_eq!(answer.protocol_name.as_deref(), Some("range"));
    assert_eq!(answer.members, vec![(answer.member_id.clone(), None, subscription("orders"))]);
    assert!(answer.member_id.starts_with("client-"));
}

#[test]
fn a_new_member_fetches_its_id_first_where_the_version_asks_for_it() {
    let mut c = Coordinator::with(GroupSettings::default());
    let first = taken(c.join(Join { require_known_member_id: true, ..joining() }));
    assert_eq!(first.error, Some(ResponseError::MemberIdRequired));
    assert_eq!(c.view().members, vec![]);
    let answer = taken(c.join(rejoining(&first.member_id)));
    assert_eq!((answer.error, &answer.member_id), (None, &first.member_id));
}

#[test]
fn a_join_phase_waits_for_an_id_that_was_given_out_until_it_expires() {
    let mut c = Coordinator::new();
    let one = c.stable(vec![joining()]).remove(0);
    let pending = taken(c.join(Join { require_known_member_id: true, ..joining() })).member_id;
    let mut rejoined = c.join(rejoining(&one.member_id));
    assert!(waits(&mut rejoined));
    c.advance(9_999);
    assert!(waits(&mut rejoined));
    c.advance(1);
    assert_eq!(taken(rejoined).generation_id, 2);
    let late = taken(c.join(rejoining(&pending)));
    assert_eq!(late.error, Some(ResponseError::UnknownMemberId));
}

#[test]
fn joins_are_refused_by_the_checks_before_the_group() {
    let mut c = Coordinator::with(GroupSettings { min_session_timeout: ms(6), ..settings() });
    let refused = |c: &mut Coordinator, join| taken(c.join(join)).error.unwrap();
    let join = Join { group_id: String::new(), ..joining() };
    assert_eq!(refused(&mut c, join), ResponseError::InvalidGroupId);
    let join = Join { session_timeout: ms(5), ..joining() };
    assert_eq!(refused(&mut c, join), ResponseError::InvalidSessionTimeout);
    let join = Join { session_timeout: ms(1_800_001), ..joining() };
    assert_eq!(refused(&mut c, join), ResponseError::InvalidSessionTimeout);
    assert_eq!(refused(&mut c, rejoining("x")), ResponseError::UnknownMemberId);
    assert!(c.groups.list().is_empty());
    let join = Join { protocols: vec![], ..joining() };
    assert_eq!(refused(&mut c, join), ResponseError::InconsistentGroupProtocol);
}

#[test]
fn a_member_without_a_common_protocol_is_refused() {
    let mut c = Coordinator::new();
    c.stable(vec![joining()]);
    let join = Join { protocols: vec![("sticky".into(), Bytes::new())], ..joining() };
    assert_eq!(taken(c.join(join)).error, Some(ResponseError::InconsistentGroupProtocol));
    let join = Join { protocol_type: "connect".into(), ..joining() };
    assert_eq!(taken(c.join(join)).error, Some(ResponseError::InconsistentGroupProtocol));
    assert_eq!(c.view().state, GroupState::Stable);
}

#[test]
fn the_protocol_with_most_votes_among_those_all_support_is_chosen() {
    let protocols = |names: &[&str]| {
        let named = |name: &&str| ((*name).to_owned(), Bytes::new());
        Join { protocols: names.iter().map(named).collect(), ..joining() }
    };
    let mut c = Coordinator::new();
    let joins =
        vec![protocols(&["x", "a", "b"]), protocols(&["b", "a"]), protocols(&["y", "b", "a"])];
    let answers = c.joined(joins);
    assert!(answers.iter().all(|answer| answer.protocol_name.as_deref() == Some("b")));
}

#[test]
fn an_empty_group_waits_the_initial_delay_and_longer_while_members_come() {
    let mut c = Coordinator::new();
    let mut first = c.join(joining());
    c.advance(2_999);
    let mut second = c.join(joining());
    c.advance(1);
    assert!(waits(&mut first));
    c.advance(2_999);
    assert!(waits(&mut second));
    c.advance(1);
    let (first, second) = (taken(first), taken(second));
    assert_eq!((first.generation_id, second.generation_id), (1, 1));
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
    assert_eq!(first.leader, second.leader);
}

#[test]
fn the_initial_delay_is_extended_up_to_the_rebalance_timeout_only() {
    let mut c = Coordinator::new();
    let mut first = c.join(Join { rebalance_timeout: ms(7_000), ..joining() });
    for _ in 0..2 {
        drop(c.join(joining()));
        c.advance(3_000);
    }
    drop(c.join(joining()));
    c.advance(999);
    assert!(waits(&mut first));
    c.advance(1);
    assert_eq!(taken(first).members.len(), 4);
}

#[test]
fn a_new_member_makes_the_others_join_again() {
    let mut c = Coordinator::new();
    let one = c.stable(vec![joining()]).remove(0);
    let mut two = c.join(joining());
    assert!(waits(&mut two));
    assert_eq!(c.heartbeat(1, &one.member_id), Err(ResponseError::RebalanceInProgress));
    let again = taken(c.join(rejoining(&one.member_id)));
    assert_eq!((again.generation_id, again.members.len()), (2, 2));
    let two = taken(two);
    assert_eq!((two.generation_id, two.leader), (2, one.member_id));
}

#[test]
fn members_that_do_not_join_again_are_removed_and_another_leads() {
    let mut c = Coordinator::new();
    let two = c.stable(vec![
        Join { rebalance_timeout: ms(5_000), ..joining() },
        Join { rebalance_timeout: ms(8_000), ..joining() },
    ]);
    let mut new = c.join(Join { rebalance_timeout: ms(1_000), ..joining() });
    c.advance(7_999);
    assert!(waits(&mut new));
    c.advance(1);
    let new = taken(new);
    assert_eq!((new.generation_id, &new.leader), (2, &new.member_id));
    assert_eq!(new.members.len(), 1);
    assert_eq!(c.heartbeat(2, &two[0].member_id), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_leader_that_joins_again_begins_a_rebalance_and_a_follower_does_not() {
    let mut c = Coordinator::new();
    let two = c.stable(vec![joining(), joining()]);
    let follower = taken(c.join(rejoining(&two[1].member_id)));
    assert_eq!((follower.error, follower.generation_id), (None, 1));
    assert_eq!(c.view().state, GroupState::Stable);
    let mut leader = c.join(rejoining(&two[0].member_id));
    assert!(waits(&mut leader));
    assert_eq!(c.view().state, GroupState::PreparingRebalance);
}

#[test]
fn a_follower_with_changed_metadata_begins_a_rebalance() {
    let mut c = Coordinator::new();
    let two = c.stable(vec![joining(), joining()]);
    let protocols = vec![("range".into(), subscription("other"))];
    let mut follower = c.join(Join { protocols, ..rejoining(&two[1].member_id) });
    assert!(waits(&mut follower));
    let leader = taken(c.join(rejoining(&two[0].member_id)));
    assert_eq!(leader.members[1].2, subscription("other"));
}

#[test]
fn a_lost_join_answer_is_given_again_while_the_assignment_is_awaited() {
    let mut c = Coordinator::new();
    let two = c.joined(vec![joining(), joining()]);
    // As Kafka describes it: the protocol and the subscriptions show in a stable group alone.
    assert_eq!((c.view().protocol_name, &c.view().members[0].metadata), (None, &Bytes::new()));
    assert_eq!(taken(c.join(rejoining(&two[0].member_id))), two[0]);
    assert_eq!(taken(c.join(rejoining(&two[1].member_id))), two[1]);
    let protocols = vec![("range".into(), Bytes::new())];
    let mut changed = c.join(Join { protocols, ..rejoining(&two[1].member_id) });
    assert!(waits(&mut changed));
    assert_eq!(c.view().state, GroupState::PreparingRebalance);
}

#[test]
fn a_second_join_of_the_same_member_answers_the_first_one() {
    let mut c = Coordinator::new();
    let two = c.stable(vec![joining(), joining()]);
    let first = c.join(rejoining(&two[0].member_id));
    let mut second = c.join(rejoining(&two[0].member_id));
    assert_eq!(taken(first).error, Some(ResponseError::RebalanceInProgress));
    assert!(waits(&mut second));
}

#[test]
fn a_full_group_takes_no_more_members() {
    let mut c = Coordinator::with(GroupSettings { max_size: 2, ..settings() });
    let two = c.stable(vec![joining(), joining()]);
    assert_eq!(taken(c.join(joining())).error, Some(ResponseError::GroupMaxSizeReached));
    assert_eq!(c.view().state, GroupState::Stable);
    assert_eq!(taken(c.join(rejoining(&two[1].member_id))).error, None);
}

#[test]
fn the_last_member_back_is_turned_away_if_newcomers_took_its_place() {
    let mut c = Coordinator::with(GroupSettings { max_size: 2, ..settings() });
    let two = c.stable(vec![joining(), joining()]);
    drop(c.leave(&two[0].member_id));
    let mut new = [c.join(joining()), c.join(joining())];
    let late = taken(c.join(rejoining(&two[1].member_id)));
    assert_eq!(late.error, Some(ResponseError::GroupMaxSizeReached));
    assert!(new.iter_mut().all(waits));
    assert_eq!(c.view().members.len(), 2);
}
