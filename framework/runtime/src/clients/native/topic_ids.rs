//! The ids of topics. A topic that is deleted and made again has another one.

use std::ffi::{CString, c_char};
use std::slice;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;

use super::admin_op::{Owned, answer, unusable};

/// Asks a broker for the ids of topics, in their order. Zero for a broker that has none (before
/// Kafka 2.8), an error for a topic that it does not know or tell of.
///
/// # Errors
/// No broker answered in time, or a name is no name.
pub(crate) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
) -> Result<Vec<Result<u128, KafkaError>>, KafkaError> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<CString> = topics.iter().map(|t| CString::new(*t)).collect::<Result<_, _>>()?;
    let mut names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: the names live for the whole call, and are copied.
    let wanted = unsafe {
        let wanted = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        Owned::new(wanted, sys::rd_kafka_TopicCollection_destroy).ok_or_else(unusable)?
    };
    let op = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let event = answer(client, op, timeout, |options, queue| {
        // SAFETY: all four live, and what is wanted is copied.
        unsafe { sys::rd_kafka_DescribeTopics(client.native_ptr(), wanted.get(), options, queue) }
    })?;
    // SAFETY: the event is ours. Its result, and the list in it, live as long as it.
    unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(event.get());
        if result.is_null() {
            return Err(unusable());
        }
        let mut count = 0;
        let found = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if found.is_null() || count != topics.len() {
            return Err(unusable());
        }
        let found = slice::from_raw_parts(found, count);
        Ok(found.iter().map(|topic| id_of(*topic)).collect())
    }
}

/// # Safety
/// `topic` is an element of a result that lives.
unsafe fn id_of(topic: *const sys::rd_kafka_TopicDescription_t) -> Result<u128, KafkaError> {
    // SAFETY: as the caller promises; the error and the id are parts of the description.
    unsafe {
        let code = sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(topic));
        if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(KafkaError::AdminOp(code.into()));
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        if id.is_null() {
            return Ok(0);
        }
        let high = sys::rd_kafka_Uuid_most_significant_bits(id).cast_unsigned();
        let low = sys::rd_kafka_Uuid_least_significant_bits(id).cast_unsigned();
        Ok(u128::from(high) << 64 | u128::from(low))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use oncestream_broker::Broker;
    use rdkafka::ClientConfig;
    use rdkafka::admin::{AdminClient, AdminOptions};
    use rdkafka::client::DefaultClientContext;
    use rdkafka::error::RDKafkaErrorCode;

    use super::*;

    /// Long enough for valgrind.
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn client(servers: &str) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", servers).create().unwrap()
    }

    #[tokio::test]
    async fn a_topic_made_again_has_another_id_and_one_that_is_not_there_an_error() {
        let broker = Broker::builder().start().await.unwrap();
        let admin = client(broker.bootstrap_servers());
        let ids = |topics: &[&str]| topic_ids(admin.inner(), topics, TIMEOUT).unwrap();
        broker.create_topic("kept", 1).unwrap();
        broker.create_topic("again", 3).unwrap();
        let first = ids(&["again", "kept"]);
        assert!(first.iter().all(|id| id.as_ref().is_ok_and(|id| *id != 0)), "{first:?}");
        assert_ne!(first[0], first[1]);
        admin.delete_topics(&["again"], &AdminOptions::new()).await.unwrap();
        broker.create_topic("again", 3).unwrap();
        let second = ids(&["again", "kept", "missing"]);
        assert_ne!(first[0], second[0]);
        assert_eq!(first[1], second[1]);
        let unknown = KafkaError::AdminOp(RDKafkaErrorCode::UnknownTopicOrPartition);
        assert_eq!(second[2], Err(unknown));
        assert_eq!(ids(&[]), []);
    }

    #[test]
    fn nobody_there_is_an_error_in_time() {
        let admin = client("127.0.0.1:1");
        let begun = Instant::now();
        assert!(topic_ids(admin.inner(), &["t"], Duration::from_millis(300)).is_err());
        assert!(begun.elapsed() < TIMEOUT);
        assert!(topic_ids(admin.inner(), &["t\0"], TIMEOUT).is_err());
    }
}
