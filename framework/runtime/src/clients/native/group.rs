//! What a group's coordinator tells of the group.

use std::ffi::{CStr, CString, c_char};
use std::slice;
use std::time::Duration;

use oncestream_core::TopicPartition;
use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;

use super::admin_op::{answer, unusable};

/// A group as its coordinator sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// Every member knows, or is being told, what it is assigned in this generation.
    pub(crate) is_stable: bool,
    pub(crate) members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupMember {
    /// What the coordinator named it.
    pub(crate) id: String,
    /// What it named itself.
    pub(crate) client_id: String,
    /// Where it is.
    pub(crate) host: String,
    /// What it is assigned; nothing unless the group is stable.
    pub(crate) assignment: Vec<TopicPartition>,
}

/// Asks the coordinator of a group. A group that is not there has no members.
///
/// # Errors
/// The coordinator did not answer in time, or does not tell.
pub(crate) fn describe_group<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    timeout: Duration,
) -> Result<Group, KafkaError> {
    let name = CString::new(group)?;
    let mut names = [name.as_ptr()];
    let op = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    let event = answer(client, op, timeout, |options, queue| {
        let rk = client.native_ptr();
        // SAFETY: the client, the name and what `answer` gives live; the name is copied.
        unsafe { sys::rd_kafka_DescribeConsumerGroups(rk, names.as_mut_ptr(), 1, options, queue) };
    })?;
    // SAFETY: the event is ours. Its result, and the descriptions in it, live as long as it.
    unsafe {
        let result = sys::rd_kafka_event_DescribeConsumerGroups_result(event.get());
        if result.is_null() {
            return Err(unusable());
        }
        let mut count = 0;
        let found = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
        if found.is_null() || count != 1 {
            return Err(unusable());
        }
        group_of(*found)
    }
}

/// # Safety
/// `group` is an element of a result that lives.
unsafe fn group_of(
    group: *const sys::rd_kafka_ConsumerGroupDescription_t,
) -> Result<Group, KafkaError> {
    use sys::rd_kafka_consumer_group_state_t::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE as STABLE;
    // SAFETY: as the caller promises; the error and the members are parts of the description, and
    // each index is below their number.
    unsafe {
        let code = sys::rd_kafka_error_code(sys::rd_kafka_ConsumerGroupDescription_error(group));
        if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(KafkaError::AdminOp(code.into()));
        }
        let count = sys::rd_kafka_ConsumerGroupDescription_member_count(group);
        let member = |at| member_of(sys::rd_kafka_ConsumerGroupDescription_member(group, at));
        Ok(Group {
            is_stable: sys::rd_kafka_ConsumerGroupDescription_state(group) == STABLE,
            members: (0..count).map(member).collect(),
        })
    }
}

/// # Safety
/// `member` is a part of a description that lives.
unsafe fn member_of(member: *const sys::rd_kafka_MemberDescription_t) -> GroupMember {
    // SAFETY: as the caller promises; the texts and the assignment are parts of the member.
    unsafe {
        GroupMember {
            id: text(sys::rd_kafka_MemberDescription_consumer_id(member)),
            client_id: text(sys::rd_kafka_MemberDescription_client_id(member)),
            host: text(sys::rd_kafka_MemberDescription_host(member)),
            assignment: partitions(sys::rd_kafka_MemberDescription_assignment(member)),
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

/// # Safety
/// `assignment` is null, or a part of a description that lives.
unsafe fn partitions(assignment: *const sys::rd_kafka_MemberAssignment_t) -> Vec<TopicPartition> {
    if assignment.is_null() {
        return Vec::new();
    }
    // SAFETY: as the caller promises; the list and its elements are parts of the assignment.
    unsafe {
        let list = sys::rd_kafka_MemberAssignment_partitions(assignment);
        let Some(list) = list.as_ref().filter(|list| !list.elems.is_null()) else {
            return Vec::new();
        };
        let count = usize::try_from(list.cnt).unwrap_or_default();
        let elements = slice::from_raw_parts(list.elems, count);
        elements.iter().map(|e| TopicPartition::new(text(e.topic), e.partition)).collect()
    }
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
    fn nobody_there_is_an_error_in_time() {
        let asker = client("127.0.0.1:1", "another");
        let begun = Instant::now();
        assert!(describe_group(asker.client(), "g", Duration::from_millis(300)).is_err());
        assert!(begun.elapsed() < TIMEOUT);
        assert!(describe_group(asker.client(), "g\0", TIMEOUT).is_err());
    }
}
