//! The id that the group's coordinator gave to a consumer.

use std::ffi::CStr;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};

/// The member id of a consumer; `None` before it joined a group.
pub(crate) fn member_id<C: ClientContext>(client: &Client<C>) -> Option<String> {
    let rk = client.native_ptr();
    // SAFETY: the client lives, because it is borrowed. The text is ours: it ends in a NUL, is
    // copied, and given back once. Null is for a client that is no consumer, or did not answer.
    let id = unsafe {
        let text = sys::rd_kafka_memberid(rk);
        if text.is_null() {
            return None;
        }
        let id = CStr::from_ptr(text).to_string_lossy().into_owned();
        sys::rd_kafka_mem_free(rk, text.cast());
        id
    };
    Some(id).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use oncestream_broker::Broker;
    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer};

    use super::*;

    #[test]
    fn a_member_has_the_id_that_the_broker_knows() {
        let broker = Broker::builder().start_blocking().unwrap();
        broker.create_topic("t", 1).unwrap();
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap_servers())
            .set("group.id", "g")
            .create()
            .unwrap();
        assert_eq!(member_id(consumer.client()), None);
        consumer.subscribe(&["t"]).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while consumer.assignment().unwrap().count() == 0 {
            assert!(Instant::now() < deadline);
            let _ = consumer.poll(Duration::from_millis(100));
        }
        let view = broker.view();
        let members: Vec<_> =
            view.group("g").unwrap().members.iter().map(|m| &m.member_id).collect();
        assert_eq!(members, [&member_id(consumer.client()).unwrap()]);
    }
}
