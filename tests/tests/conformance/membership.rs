//! Static members: an instance id keeps its place, and the newest bearer of it wins.

use kafka_protocol::ResponseError;

use crate::Target;
use crate::calls::{Client, Member};

const SESSION_MS: i32 = 10_000;

pub(crate) fn a_static_member_needs_no_second_join(kafka: &Target) {
    let (mut client, group) = (Client::new(kafka), "static-first");
    let member = client.try_join(&Member::fixed(group, "i"), SESSION_MS).unwrap().me;
    assert!(member.id.starts_with("i-"), "{}", member.id);
    client.sync(&member, &[(&member.id, "all")]).unwrap();
    let told = client.describe_group(group);
    assert_eq!(told.members[0].group_instance_id.as_deref(), Some("i"));
}

pub(crate) fn a_return_keeps_the_assignment_and_fences_the_old(kafka: &Target) {
    let (mut client, group) = (Client::new(kafka), "static-return");
    let old = client.try_join(&Member::fixed(group, "i"), SESSION_MS).unwrap().me;
    client.sync(&old, &[(&old.id, "all")]).unwrap();
    let mut other = Client::new(kafka);
    let joined = other.try_join(&Member::fixed(group, "i"), SESSION_MS).unwrap();
    let new = joined.me;
    assert_ne!(new.id, old.id);
    assert_eq!(new.generation, old.generation, "no rebalance");
    assert_eq!(other.sync(&new, &[]), Ok("all".to_owned()), "the plan of before");
    assert_eq!(other.heartbeat(&new), Ok(()));

    let fenced = ResponseError::FencedInstanceId;
    assert_eq!(client.heartbeat(&old), Err(fenced));
    assert_eq!(client.sync(&old, &[]), Err(fenced));
    assert_eq!(client.try_join(&old, SESSION_MS).unwrap_err(), fenced);
    assert_eq!(client.leave(&[&old]), Ok(vec![Err(fenced)]));
    let nameless = Member { instance: None, ..old };
    assert_eq!(client.heartbeat(&nameless), Err(ResponseError::UnknownMemberId));
    assert_eq!(other.heartbeat(&new), Ok(()));
}

pub(crate) fn a_return_with_another_subscription_does_not_rebalance(kafka: &Target) {
    let (mut client, group) = (Client::new(kafka), "static-changed");
    let old = client.try_join(&Member::fixed(group, "i"), SESSION_MS).unwrap().me;
    client.sync(&old, &[(&old.id, "all")]).unwrap();
    let mut request = crate::calls::join_request(&Member::fixed(group, "i"), SESSION_MS);
    request.protocols[0].metadata = crate::calls::subscription("something-else");
    let response = client.call(&request, 7);
    assert_eq!((response.error_code, response.generation_id), (0, 1), "the protocol is the same");
    request.member_id = response.member_id;
    request.protocols[0].metadata = crate::calls::subscription("yet-another");
    let response = client.call(&request, 7);
    assert_eq!((response.error_code, response.generation_id), (0, 2), "a known member's does");
}

pub(crate) fn an_instance_leaves_by_its_name(kafka: &Target) {
    let (mut client, group) = (Client::new(kafka), "static-leave");
    let member = client.try_join(&Member::fixed(group, "i"), SESSION_MS).unwrap().me;
    let unknown = Member::fixed(group, "j");
    let by_name = Member { id: String::new(), ..member };
    let left = client.leave(&[&unknown, &by_name]);
    assert_eq!(left, Ok(vec![Err(ResponseError::UnknownMemberId), Ok(())]));
    assert_eq!(client.describe_group(group).group_state.as_str(), "Empty");
}

pub(crate) fn a_silent_static_member_is_evicted_too(kafka: &Target) {
    let (mut client, group) = (Client::new(kafka), "static-silent");
    let old = client.try_join(&Member::fixed(group, "i"), 5000).unwrap().me;
    client.sync(&old, &[(&old.id, "all")]).unwrap();
    crate::calls::eventually("the eviction", || {
        (client.describe_group(group).group_state.as_str() == "Empty").then_some(())
    });
    assert_eq!(client.heartbeat(&old), Err(ResponseError::UnknownMemberId));
    let back = client.try_join(&Member::fixed(group, "i"), SESSION_MS).unwrap().me;
    assert!(back.generation > old.generation);
}
