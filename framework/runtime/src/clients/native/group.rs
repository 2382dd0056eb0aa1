//! The members of a group, as its coordinator knows them.
//!
//! The call that is used here asks all brokers, and the coordinator answers. librdkafka 2.12 also has a call
//! that asks the coordinator alone (`rd_kafka_DescribeConsumerGroups`). It aborts the process if librdkafka
//! finds the coordinator only after the request has timed out (`eonce->refcnt > 0`; found by chaos).

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::TopicPartition;
use oncestream_engine::ports::{Group, GroupMember};
use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

use super::admin_op::Owned;

/// Asks for a group. One that is not there has no members. As long as a broker is away, the answer
/// takes all the time that it is given.
///
/// # Errors
/// No broker that has the group answered in time, or it does not tell.
pub(crate) fn describe_group<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    timeout: Duration,
) -> Result<Group, KafkaError> {
    let name = CString::new(group)?;
    let timeout_ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    let mut list = ptr::null();
    // SAFETY: the client and the name live for the whole call. The list is ours to give back, or
    // null after an error.
    let (code, list) = unsafe {
        let code = sys::rd_kafka_list_groups(
            client.native_ptr(),
            name.as_ptr(),
            &raw mut list,
            timeout_ms,
        );
        (code, Owned::new(list.cast_mut(), destroy))
    };
    let is_answer = matches!(
        code,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR | RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTIAL
    );
    let Some(list) = list.filter(|_| is_answer) else {
        return Err(KafkaError::GroupListFetch(code.into()));
    };
    // SAFETY: the list lives, and what is in it as long as it does.
    let found = unsafe { elements((*list.get()).groups, (*list.get()).group_cnt) };
    match found {
        [] => Ok(Group::default()),
        // SAFETY: as before.
        [group] => unsafe { group_of(group) },
        // The coordinator has moved, and one of them does not know yet.
        _ => Err(KafkaError::GroupListFetch(RDKafkaErrorCode::NotCoordinator)),
    }
}

/// # Safety
/// `list` is one of `rd_kafka_list_groups`, given back once.
unsafe extern "C" fn destroy(list: *mut sys::rd_kafka_group_list) {
    // SAFETY: as the caller promises.
    unsafe { sys::rd_kafka_group_list_destroy(list) };
}

/// # Safety
/// `first` is null, or begins `count` elements that live as long as what they are borrowed for.
unsafe fn elements<'a, T>(first: *const T, count: c_int) -> &'a [T] {
    match usize::try_from(count) {
        // SAFETY: as the caller promises.
        Ok(count) if !first.is_null() => unsafe { slice::from_raw_parts(first, count) },
        _ => &[],
    }
}

/// # Safety
/// `group` is an element of a list that lives.
unsafe fn group_of(group: &sys::rd_kafka_group_info) -> Result<Group, KafkaError> {
    if group.err != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Err(KafkaError::GroupListFetch(group.err.into()));
    }
    // SAFETY: as the caller promises; the texts and the members are parts of the group.
    unsafe {
        let members = elements(group.members, group.member_cnt);
        Ok(Group {
            is_stable: text(group.state) == "Stable",
            members: members.iter().map(|member| member_of(member)).collect(),
        })
    }
}

/// # Safety
/// `member` is a part of a group that lives.
unsafe fn member_of(member: &sys::rd_kafka_group_member_info) -> GroupMember {
    // SAFETY: as the caller promises; the texts and the bytes are parts of the member.
    unsafe {
        let assignment = member.member_assignment.cast::<u8>().cast_const();
        GroupMember {
            id: text(member.member_id),
            client_id: text(member.client_id),
            host: text(member.client_host),
            assignment: assigned(elements(assignment, member.member_assignment_size))
                .unwrap_or_default(),
        }
    }
}

/// # Safety
/// `text` is null, or ends in a NUL and lives for the call.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// The partitions of an assignment, in the form of Kafka's consumers (`ConsumerProtocolAssignment`):
/// a version, and topics with their partitions. `None` if it has another form.
fn assigned(mut bytes: &[u8]) -> Option<Vec<TopicPartition>> {
    let _version = int16(&mut bytes)?;
    let mut all = Vec::new();
    for _ in 0..int32(&mut bytes)? {
        let length = usize::try_from(int16(&mut bytes)?).ok()?;
        let topic: Arc<str> = std::str::from_utf8(take(&mut bytes, length)?).ok()?.into();
        for _ in 0..int32(&mut bytes)? {
            all.push(TopicPartition::new(topic.clone(), int32(&mut bytes)?));
        }
    }
    Some(all)
}

fn int16(bytes: &mut &[u8]) -> Option<i16> {
    Some(i16::from_be_bytes(take(bytes, 2)?.try_into().ok()?))
}

fn int32(bytes: &mut &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(take(bytes, 4)?.try_into().ok()?))
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use oncestream_broker::Broker;
    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer};

    use super::*;

    /// Long enough for valgrind.
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn client(servers: &str, group: &str) -> BaseConsumer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("group.id", group).set("client.id", "me");
        config.create().unwrap()
    }

    #[test]
    fn a_group_is_told_with_its_members_and_what_they_have() {
        let broker = Broker::builder().start_blocking().unwrap();
        broker.create_topic("t", 2).unwrap();
        let asker = client(broker.bootstrap_servers(), "another");
        let describe = || describe_group(asker.client(), "g", TIMEOUT).unwrap();
        assert_eq!(describe(), Group::default());
        let member = client(broker.bootstrap_servers(), "g");
        member.subscribe(&["t"]).unwrap();
        let deadline = Instant::now() + TIMEOUT;
        while member.assignment().unwrap().count() == 0 {
            assert!(Instant::now() < deadline);
            let _ = member.poll(Duration::from_millis(100));
        }
        let group = describe();
        assert!(group.is_stable);
        let [found] = &group.members[..] else { panic!("{group:?}") };
        assert_eq!(Some(&found.id), super::super::member_id(member.client()).as_ref());
        assert_eq!(found.client_id, "me");
        assert!(!found.host.is_empty());
        let all = [TopicPartition::new("t", 0), TopicPartition::new("t", 1)];
        assert_eq!(found.assignment, all);
    }

    #[test]
    fn an_assignment_of_another_form_is_none() {
        let whole =
            [&[0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 5][..], b"user data"].concat();
        assert_eq!(assigned(&whole), Some(vec![TopicPartition::new("t", 5)]));
        assert!((0..17).all(|end| assigned(&whole[..end]).is_none()));
        assert_eq!(assigned(&[0, 1, 0, 0, 0, 1, 0, 1, 0xff, 0, 0, 0, 0]), None);
        assert_eq!(assigned(&[0, 1, 0xff, 0xff, 0xff, 0xff]), Some(Vec::new()));
    }

    #[test]
    fn nobody_there_is_an_error_in_time() {
        let asker = client("127.0.0.1:1", "another");
        let begun = Instant::now();
        assert!(describe_group(asker.client(), "g", Duration::from_millis(300)).is_err());
        assert!(begun.elapsed() < TIMEOUT);
        assert!(describe_group(asker.client(), "g\0", TIMEOUT).is_err());
    }
}
