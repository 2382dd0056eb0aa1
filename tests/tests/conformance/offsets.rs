//! Committed offsets: by members, by outsiders, and within transactions.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::OffsetFetchRequest;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use oncestream_tests::raw::text;

use crate::Target;
use crate::calls::{Client, Member, commit_request};

fn found(offset: i64) -> (i64, i32, String) {
    (offset, 3, "note".to_owned())
}

const NONE: (i64, i32, String) = (-1, -1, String::new());

pub(crate) fn outsiders_commit_to_an_empty_group(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "offset-simple");
    client.create_topic(topic, 2, &[]);
    assert_eq!(client.committed(topic, topic, false), Ok(NONE), "no group, no offset");
    let simple = Member::simple(topic);
    assert_eq!(client.commit(&simple, topic, 5), Ok(()));
    assert_eq!(client.committed(topic, topic, false), Ok(found(5)));
    assert_eq!(client.commit(&simple, topic, 3), Ok(()), "backwards is fine");
    assert_eq!(client.committed(topic, topic, true), Ok(found(3)));
    assert_eq!(client.all_committed(topic), [(topic.to_owned(), 0, 3)]);
    for version in 2..=9 {
        let response = client.call(&versioned(&simple, topic, version), version);
        assert_eq!(response.topics[0].partitions[0].error_code, 0, "version {version}");
        let expected = if version < 6 { -1 } else { 3 };
        let epoch = client.committed(topic, topic, false).unwrap().1;
        assert_eq!(epoch, expected, "the leader epoch came with version 6");
    }
    let nowhere = client.commit(&simple, "offset-nowhere", 1);
    assert_eq!(nowhere, Err(ResponseError::UnknownTopicOrPartition));
}

/// Fields that a version does not have must be at their defaults to be encoded.
fn versioned(
    member: &Member,
    topic: &str,
    version: i16,
) -> kafka_protocol::messages::OffsetCommitRequest {
    let mut request = commit_request(member, topic, i64::from(version));
    if version < 6 {
        request.topics[0].partitions[0].committed_leader_epoch = -1;
    }
    request
}

pub(crate) fn every_version_fetches_the_same(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "offset-versions");
    client.create_topic(topic, 2, &[]);
    client.commit(&Member::simple(topic), topic, 5).unwrap();
    for version in 1..=9 {
        for all in [false, true] {
            if all && version < 2 {
                continue;
            }
            let mut found = fetch(&mut client, topic, all, version);
            found.sort_unstable();
            let mut expected = vec![(0, 5, 0)];
            if !all {
                expected.push((1, -1, 0));
            }
            assert_eq!(found, expected, "version {version}, all: {all}");
        }
    }
}

/// Partition, offset and error: of both partitions of the topic, or of all there is.
fn fetch(client: &mut Client, topic: &str, all: bool, version: i16) -> Vec<(i32, i64, i16)> {
    if version < 8 {
        let asked = OffsetFetchRequestTopic::default()
            .with_name(text(topic))
            .with_partition_indexes(vec![0, 1]);
        let request = OffsetFetchRequest::default()
            .with_group_id(text(topic))
            .with_topics((!all).then(|| vec![asked]));
        let response = client.call(&request, version);
        assert_eq!(response.error_code, 0);
        let each = response.topics[0].partitions.iter();
        return each.map(|p| (p.partition_index, p.committed_offset, p.error_code)).collect();
    }
    let asked = OffsetFetchRequestTopics::default()
        .with_name(text(topic))
        .with_partition_indexes(vec![0, 1]);
    let group = |name| OffsetFetchRequestGroup::default().with_group_id(text(name));
    let groups = vec![
        group(topic).with_topics((!all).then(|| vec![asked])).with_member_epoch(-1),
        group("offset-versions-none").with_topics(None).with_member_epoch(-1),
    ];
    let response = client.call(&OffsetFetchRequest::default().with_groups(groups), version);
    assert!(response.groups.iter().all(|g| g.error_code == 0));
    assert_eq!(response.groups[1].topics.len(), 0);
    let each = response.groups[0].topics[0].partitions.iter();
    each.map(|p| (p.partition_index, p.committed_offset, p.error_code)).collect()
}

pub(crate) fn metadata_has_a_limit(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "offset-metadata");
    client.create_topic(topic, 1, &[]);
    for (length, code) in [(4096, 0), (4097, 12)] {
        let mut request = commit_request(&Member::simple(topic), topic, length as i64);
        let note = oncestream_tests::raw::text(&"m".repeat(length));
        request.topics[0].partitions[0].committed_metadata = Some(note);
        assert_eq!(client.call(&request, 8).topics[0].partitions[0].error_code, code);
    }
    assert_eq!(client.committed(topic, topic, false).unwrap().0, 4096);
}

pub(crate) fn members_commit_in_their_generation_only(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "offset-members");
    client.create_topic(topic, 1, &[]);
    let member = client.join_alone(topic, 10_000);
    assert_eq!(member.generation, 1);
    assert_eq!(client.commit(&member, topic, 1), Ok(()));
    for generation in [0, 2] {
        let stale = client.commit(&member.at_generation(generation), topic, 9);
        assert_eq!(stale, Err(ResponseError::IllegalGeneration));
    }
    let stranger = client.commit(&member.named("stranger"), topic, 9);
    assert_eq!(stranger, Err(ResponseError::UnknownMemberId));
    let outsider = client.commit(&Member::simple(topic), topic, 9);
    assert_eq!(outsider, Err(ResponseError::UnknownMemberId), "the group is not empty");
    assert_eq!(client.committed(topic, topic, false), Ok(found(1)));
    assert_eq!(client.leave(&[&member]), Ok(vec![Ok(())]));
    assert_eq!(client.commit(&Member::simple(topic), topic, 2), Ok(()));
    let left = client.commit(&member, topic, 3);
    assert_eq!(left, Err(ResponseError::UnknownMemberId));
    let nowhere = client.commit(&member.at_generation(1), topic, 3);
    assert_eq!(nowhere, Err(ResponseError::UnknownMemberId));
    let unknown = Member { group: "offset-members-none".to_owned(), ..member };
    let unknown = client.commit(&unknown, topic, 3);
    assert_eq!(unknown, Err(ResponseError::IllegalGeneration), "a group that never was");
}

pub(crate) fn offsets_of_a_transaction_pend_until_it_commits(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "offset-pending");
    client.create_topic(topic, 1, &[]);
    let simple = Member::simple(topic);
    client.commit(&simple, topic, 1).unwrap();
    let producer = client.init(topic);
    client.add_offsets(&producer, topic).unwrap();
    assert_eq!(client.commit_in_transaction(&producer, &simple, topic, 7), Ok(()));
    assert_eq!(client.committed(topic, topic, false), Ok(found(1)), "the old one stays visible");
    let unstable = client.committed(topic, topic, true);
    assert_eq!(unstable, Err(ResponseError::UnstableOffsetCommit));
    client.end(&producer, true);
    let seen =
        crate::calls::eventually("the offsets", || client.committed(topic, topic, true).ok());
    assert_eq!(seen, found(7));
}

pub(crate) fn offsets_of_an_aborted_transaction_are_dropped(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "offset-aborted");
    client.create_topic(topic, 1, &[]);
    let simple = Member::simple(topic);
    let producer = client.init(topic);
    client.add_offsets(&producer, topic).unwrap();
    client.commit_in_transaction(&producer, &simple, topic, 7).unwrap();
    assert_eq!(client.committed(topic, topic, false), Ok(NONE));
    client.end(&producer, false);
    let seen = crate::calls::eventually("the end", || client.committed(topic, topic, true).ok());
    assert_eq!(seen, NONE);
}

pub(crate) fn a_plain_commit_overtakes_a_pending_one(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "offset-overtaken");
    client.create_topic(topic, 1, &[]);
    let simple = Member::simple(topic);
    let producer = client.init(topic);
    client.add_offsets(&producer, topic).unwrap();
    client.commit_in_transaction(&producer, &simple, topic, 7).unwrap();
    assert_eq!(client.commit(&simple, topic, 9), Ok(()), "it does not wait");
    assert_eq!(client.committed(topic, topic, false), Ok(found(9)));
    assert_eq!(client.committed(topic, topic, true), Err(ResponseError::UnstableOffsetCommit));
    client.end(&producer, true);
    let seen = crate::calls::eventually("the end", || client.committed(topic, topic, true).ok());
    assert_eq!(seen, found(9), "the later commit wins, whenever the transaction ended");
}

pub(crate) fn transactional_offsets_need_the_current_member(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "offset-fenced");
    client.create_topic(topic, 1, &[]);
    let member = client.join_alone(topic, 10_000);
    let producer = client.init(topic);
    client.add_offsets(&producer, topic).unwrap();
    let mut commit = |member: &Member| client.commit_in_transaction(&producer, member, topic, 4);
    assert_eq!(commit(&member.at_generation(0)), Err(ResponseError::IllegalGeneration));
    assert_eq!(commit(&member.at_generation(2)), Err(ResponseError::IllegalGeneration));
    assert_eq!(commit(&member.named("stranger")), Err(ResponseError::UnknownMemberId));
    let instance = Member { instance: Some("nobody".to_owned()), ..member.clone() };
    assert_eq!(commit(&instance), Err(ResponseError::UnknownMemberId));
    let outsider = commit(&Member::simple(topic));
    assert_eq!(outsider, Ok(()), "without member and generation nothing is checked");
    assert_eq!(commit(&member), Ok(()));
    assert_eq!(client.leave(&[&member]), Ok(vec![Ok(())]));
    let left = client.commit_in_transaction(&producer, &member, topic, 5);
    assert_eq!(left, Err(ResponseError::UnknownMemberId));
    client.end(&producer, true);
}

pub(crate) fn transactional_offsets_of_an_evicted_member_are_refused(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "offset-evicted");
    client.create_topic(topic, 1, &[]);
    let member = client.join_alone(topic, 5000);
    let producer = client.init(topic);
    client.add_offsets(&producer, topic).unwrap();
    crate::calls::eventually("the eviction", || {
        (client.describe_group(topic).group_state.as_str() == "Empty").then_some(())
    });
    let evicted = client.commit_in_transaction(&producer, &member, topic, 5);
    assert_eq!(evicted, Err(ResponseError::UnknownMemberId));
    client.end(&producer, false);
}

pub(crate) fn transactional_offsets_of_a_fenced_instance_are_refused(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "offset-instance");
    client.create_topic(topic, 1, &[]);
    let old = client.try_join(&Member::fixed(topic, "i"), 10_000).unwrap().me;
    client.sync(&old, &[(&old.id, "all")]).unwrap();
    let new = client.try_join(&Member::fixed(topic, "i"), 10_000).unwrap().me;
    assert_ne!(old.id, new.id);
    let producer = client.init(topic);
    client.add_offsets(&producer, topic).unwrap();
    let fenced = client.commit_in_transaction(&producer, &old, topic, 5);
    assert_eq!(fenced, Err(ResponseError::FencedInstanceId));
    assert_eq!(client.commit(&old, topic, 5), Err(ResponseError::FencedInstanceId));
    assert_eq!(client.commit_in_transaction(&producer, &new, topic, 6), Ok(()));
    client.end(&producer, false);
}

pub(crate) fn offsets_without_the_group_in_the_transaction(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "offset-not-added");
    client.create_topic(topic, 1, &[]);
    let producer = client.init(topic);
    let found = client.commit_in_transaction(&producer, &Member::simple(topic), topic, 5);
    assert_eq!(found, Err(ResponseError::InvalidTxnState));
    assert_eq!(client.committed(topic, topic, true), Ok(NONE));
}

pub(crate) fn offsets_are_deleted_with_care(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "offset-deleted");
    client.create_topic(topic, 1, &[]);
    let missing = client.delete_offset("offset-deleted-nowhere", topic);
    assert_eq!(missing, Err(ResponseError::GroupIdNotFound));
    client.commit(&Member::simple(topic), topic, 5).unwrap();
    let unknown = client.delete_offset(topic, "offset-deleted-nowhere").unwrap();
    assert_eq!(unknown, Err(ResponseError::UnknownTopicOrPartition));
    assert_eq!(client.delete_offset(topic, topic), Ok(Ok(())));
    assert_eq!(client.committed(topic, topic, false), Ok(NONE));
}

pub(crate) fn offsets_of_a_subscribed_topic_stay(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "offset-subscribed");
    client.create_topic(topic, 1, &[]);
    let member = client.join_alone(topic, 10_000);
    client.commit(&member, topic, 5).unwrap();
    let refused = client.delete_offset(topic, topic);
    assert_eq!(refused, Ok(Err(ResponseError::GroupSubscribedToTopic)));
    assert_eq!(client.committed(topic, topic, false), Ok(found(5)));
}

pub(crate) fn offsets_go_with_their_topic(kafka: &Target) {
    let (mut client, topic) = (Client::new(kafka), "offset-topic");
    client.create_topic(topic, 1, &[]);
    client.commit(&Member::simple(topic), topic, 5).unwrap();
    client.delete_topic(topic).unwrap();
    crate::calls::eventually("the end of the offsets", || {
        (client.committed(topic, topic, false) == Ok(NONE)).then_some(())
    });
}
