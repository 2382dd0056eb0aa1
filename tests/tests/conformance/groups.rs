//! The classic group protocol: joining, syncing, beating, leaving, and what is told of it.

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use crate::Target;
use crate::calls::{Client, Member, answer, eventually, join_request, subscription};

const SESSION_MS: i32 = 10_000;

/// Two members of a stable group: the leader first.
pub(crate) fn pair(kafka: &Target, group: &str) -> [(Client, Member); 2] {
    let (mut a, mut b) = (Client::new(kafka), Client::new(kafka));
    let first = a.join_alone(group, SESSION_MS);
    let second = b.member_id(group);
    b.send_join(&second, SESSION_MS);
    eventually("the news of a rebalance", || {
        (a.heartbeat(&first) == Err(ResponseError::RebalanceInProgress)).then_some(())
    });
    let first = a.try_join(&first, SESSION_MS).unwrap();
    let second = b.receive_join(&second).unwrap();
    assert_eq!(first.leader, first.me.id, "the leader stays");
    assert_eq!(first.members.len(), 2);
    assert_eq!((second.members.len(), second.leader.as_str()), (0, first.me.id.as_str()));
    assert_eq!(first.me.generation, 2);
    assert_eq!(second.me.generation, 2);
    b.send_sync(&second.me, &[]);
    let plan = [(first.me.id.as_str(), "one"), (second.me.id.as_str(), "two")];
    assert_eq!(a.sync(&first.me, &plan), Ok("one".to_owned()));
    assert_eq!(b.receive_sync(), Ok("two".to_owned()), "it waited for the leader");
    [(a, first.me), (b, second.me)]
}

pub(crate) fn a_first_join_is_sent_away_for_an_id(kafka: &Target) {
    let (mut client, group) = (Client::new(kafka), "group-first");
    let member = client.member_id(group);
    let prefix = format!("{}-", oncestream_tests::raw::CLIENT_ID);
    assert!(member.id.starts_with(&prefix), "{}", member.id);
    assert_eq!(client.describe_group(group).members.len(), 0, "it is not a member yet");
    let joined = client.try_join(&member, SESSION_MS).unwrap();
    assert_eq!((joined.me.id.as_str(), joined.me.generation), (member.id.as_str(), 1));
    assert_eq!((joined.leader.as_str(), joined.protocol.as_deref()), (&*member.id, Some("range")));
    assert_eq!(joined.members, [(member.id.clone(), subscription(group))]);
    assert_eq!(client.describe_group(group).group_state.as_str(), "CompletingRebalance");
    assert_eq!(client.heartbeat(&joined.me), Ok(()), "before the sync too");
    let own = [(member.id.as_str(), "mine")];
    assert_eq!(client.sync(&joined.me, &own), Ok("mine".to_owned()));
    assert_eq!(client.sync(&joined.me, &[]), Ok("mine".to_owned()), "again, from memory");
    assert_eq!(client.heartbeat(&joined.me), Ok(()));
}

pub(crate) fn old_versions_join_at_once(kafka: &Target) {
    let mut client = Client::new(kafka);
    for version in 0..=9 {
        let group = format!("group-join-v{version}");
        let mut request = join_request(&Member::simple(&group), SESSION_MS);
        if version == 0 {
            request.rebalance_timeout_ms = -1;
        }
        let response = client.call(&request, version);
        let expected = if version < 4 { Ok(()) } else { Err(ResponseError::MemberIdRequired) };
        assert_eq!(answer(response.error_code, ()), expected, "version {version}");
        assert!(!response.member_id.is_empty());
        let generation = if version < 4 { 1 } else { -1 };
        assert_eq!(response.generation_id, generation);
        assert!(response.protocol_type.is_none(), "without one, or before version 7");
    }
}

pub(crate) fn two_members_share_by_the_leaders_plan(kafka: &Target) {
    let [(mut a, first), (mut b, second)] = pair(kafka, "group-pair");
    assert_eq!((a.heartbeat(&first), b.heartbeat(&second)), (Ok(()), Ok(())));
    for client in [&mut a, &mut b] {
        let told = client.describe_group("group-pair");
        let about = [told.group_state, told.protocol_type, told.protocol_data];
        assert_eq!(about.each_ref().map(StrBytes::as_str), ["Stable", "consumer", "range"]);
        let mut plans: Vec<_> = told.members.iter().map(|m| m.member_assignment.clone()).collect();
        plans.sort();
        assert_eq!(plans, ["one", "two"]);
        let one = &told.members[0];
        assert_eq!(one.client_id.as_str(), oncestream_tests::raw::CLIENT_ID);
        assert_eq!(one.client_host.as_str(), "/127.0.0.1");
        assert_eq!(one.member_metadata, subscription("group-pair"));
    }
}

pub(crate) fn a_leave_calls_the_others_together(kafka: &Target) {
    let [(mut a, first), (mut b, second)] = pair(kafka, "group-leave");
    assert_eq!(b.leave(&[&second]), Ok(vec![Ok(())]));
    assert_eq!(a.heartbeat(&first), Err(ResponseError::RebalanceInProgress));
    assert_eq!(b.heartbeat(&second), Err(ResponseError::UnknownMemberId));
    assert_eq!(b.leave(&[&second]), Ok(vec![Err(ResponseError::UnknownMemberId)]));
    let joined = a.try_join(&first, SESSION_MS).unwrap();
    assert_eq!((joined.me.generation, joined.members.len()), (3, 1));
    assert_eq!(a.sync(&joined.me, &[(&first.id, "all")]), Ok("all".to_owned()));
    assert_eq!(a.leave(&[&joined.me]), Ok(vec![Ok(())]));
    let told = a.describe_group("group-leave");
    assert_eq!(told.group_state.as_str(), "Empty");
    let again = a.join_alone("group-leave", SESSION_MS);
    assert_eq!(again.generation, 5, "the group got a generation when it became empty");
}

pub(crate) fn a_silent_member_is_evicted(kafka: &Target) {
    let (mut a, mut b) = (Client::new(kafka), Client::new(kafka));
    let group = "group-silent";
    let silent = a.join_alone(group, 5000);
    let other = b.member_id(group);
    // The silent one neither beats nor joins again: only its session ends the wait.
    let joined = b.try_join(&other, SESSION_MS).unwrap();
    assert_eq!((joined.members.len(), joined.me.generation), (1, 2));
    assert_eq!(joined.leader, joined.me.id);
    assert_eq!(a.heartbeat(&silent), Err(ResponseError::UnknownMemberId));
    let late = a.try_join(&silent, 5000).unwrap_err();
    assert_eq!(late, ResponseError::UnknownMemberId);
}

pub(crate) fn beats_keep_a_member(kafka: &Target) {
    let (mut client, group) = (Client::new(kafka), "group-beats");
    let member = client.join_alone(group, 4000);
    let begin = std::time::Instant::now();
    while begin.elapsed() < std::time::Duration::from_millis(9000) {
        assert_eq!(client.heartbeat(&member), Ok(()));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

pub(crate) fn stale_generations_and_strangers_are_refused(kafka: &Target) {
    let (mut client, group) = (Client::new(kafka), "group-stale");
    let member = client.join_alone(group, SESSION_MS);
    let (stale, stranger) = (member.at_generation(0), member.named("stranger"));
    assert_eq!(client.heartbeat(&stale), Err(ResponseError::IllegalGeneration));
    assert_eq!(client.sync(&stale, &[]), Err(ResponseError::IllegalGeneration));
    assert_eq!(client.heartbeat(&stranger), Err(ResponseError::UnknownMemberId));
    assert_eq!(client.sync(&stranger, &[]), Err(ResponseError::UnknownMemberId));
    let join = client.try_join(&stranger, SESSION_MS).unwrap_err();
    assert_eq!(join, ResponseError::UnknownMemberId);
    let nowhere = Member { group: "group-stale-nowhere".to_owned(), ..member.clone() };
    assert_eq!(client.heartbeat(&nowhere), Err(ResponseError::UnknownMemberId));
    assert_eq!(client.leave(&[&nowhere]), Ok(vec![Err(ResponseError::UnknownMemberId)]));
    assert_eq!(client.heartbeat(&member), Ok(()), "nothing of that harmed the member");
}

pub(crate) fn unfit_joins_are_refused(kafka: &Target) {
    let (mut client, group) = (Client::new(kafka), "group-unfit");
    let simple = Member::simple(group);
    let short = client.try_join(&simple, 5).unwrap_err();
    assert_eq!(short, ResponseError::InvalidSessionTimeout);
    let long = client.try_join(&simple, 1_800_001).unwrap_err();
    assert_eq!(long, ResponseError::InvalidSessionTimeout);
    let nameless = client.try_join(&Member::simple(""), SESSION_MS).unwrap_err();
    assert_eq!(nameless, ResponseError::InvalidGroupId);
    let mut none = join_request(&simple, SESSION_MS);
    none.protocols.clear();
    let code = client.call(&none, 3).error_code;
    assert_eq!(answer(code, ()), Err(ResponseError::InconsistentGroupProtocol));
    client.join_alone(group, SESSION_MS);
    let mut other = join_request(&simple, SESSION_MS);
    other.protocols[0].name = oncestream_tests::raw::text("roundrobin");
    let code = client.call(&other, 3).error_code;
    assert_eq!(answer(code, ()), Err(ResponseError::InconsistentGroupProtocol));
    let mut kind = join_request(&simple, SESSION_MS);
    kind.protocol_type = oncestream_tests::raw::text("connect");
    let code = client.call(&kind, 3).error_code;
    assert_eq!(answer(code, ()), Err(ResponseError::InconsistentGroupProtocol));
}

pub(crate) fn a_leader_that_joins_again_calls_all(kafka: &Target) {
    let [(mut a, first), (mut b, second)] = pair(kafka, "group-again");
    let follower = b.try_join(&second, SESSION_MS).unwrap();
    assert_eq!(follower.me.generation, 2, "a follower with nothing new gets what there is");
    a.send_join(&first, SESSION_MS);
    eventually("the news of a rebalance", || {
        (b.heartbeat(&second) == Err(ResponseError::RebalanceInProgress)).then_some(())
    });
    let second = b.try_join(&second, SESSION_MS).unwrap();
    let first = a.receive_join(&first).unwrap();
    assert_eq!((first.me.generation, second.me.generation), (3, 3));
}

pub(crate) fn the_protocol_is_one_that_all_know(kafka: &Target) {
    let (mut client, group) = (Client::new(kafka), "group-protocol");
    let member = client.member_id(group);
    let mut request = join_request(&member, SESSION_MS);
    let mut better = request.protocols[0].clone();
    better.name = oncestream_tests::raw::text("better");
    request.protocols.insert(0, better);
    let response = client.call(&request, 7);
    assert_eq!(response.protocol_name.as_deref().map(ToString::to_string), Some("better".into()));
    let mut old = Client::new(kafka);
    let second = old.member_id(group);
    old.send_join(&second, SESSION_MS);
    let first = member.at_generation(1);
    eventually("the news of a rebalance", || {
        (client.heartbeat(&first) == Err(ResponseError::RebalanceInProgress)).then_some(())
    });
    let again = client.call(&request, 7);
    assert_eq!(again.protocol_name.as_deref().map(ToString::to_string), Some("range".into()));
    assert_eq!(old.receive_join(&second).unwrap().protocol.as_deref(), Some("range"));
}

pub(crate) fn groups_are_listed_and_deleted_when_empty(kafka: &Target) {
    let (mut client, group) = (Client::new(kafka), "group-listed");
    let none = client.describe_group(group);
    assert_eq!((none.error_code, none.group_state.as_str()), (0, "Dead"));
    assert_eq!(client.delete_group(group), Err(ResponseError::GroupIdNotFound));
    let member = client.join_alone(group, SESSION_MS);
    let listed =
        |state: &str| Some(("consumer".to_owned(), state.to_owned(), "classic".to_owned()));
    assert_eq!(client.listed(group, &[]), listed("Stable"));
    assert_eq!(client.listed(group, &["Stable", "Dead"]), listed("Stable"));
    assert_eq!(client.listed(group, &["Empty"]), None);
    assert_eq!(client.delete_group(group), Err(ResponseError::NonEmptyGroup));
    client.leave(&[&member]).unwrap().remove(0).unwrap();
    assert_eq!(client.listed(group, &["Empty"]), listed("Empty"));
    assert_eq!(client.delete_group(group), Ok(()));
    assert_eq!(client.listed(group, &[]), None);
    let anew = client.join_alone(group, SESSION_MS);
    assert_eq!(anew.generation, 1, "nothing is left of a deleted group");
}
