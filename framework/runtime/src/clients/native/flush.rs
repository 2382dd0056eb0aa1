//! Sending what a producer has at once, without waiting for its `linger.ms`.

use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};

/// Lets a producer's threads send what waits for its `linger.ms`, for so long or until nothing is
/// in flight. The crate's own `flush` lets them only for a moment that they mostly miss.
pub fn flush<C: ClientContext>(client: &Client<C>, time: Duration) {
    let time_ms = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client lives for the whole call, because it is borrowed. What is in flight, or
    // whether the client is a producer at all, the answer tells, which nothing hangs on.
    unsafe { sys::rd_kafka_flush(client.native_ptr(), time_ms) };
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use oncestream_broker::Broker;
    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

    use super::*;

    /// Long enough for valgrind.
    const TIMEOUT: Duration = Duration::from_secs(120);

    #[test]
    fn what_lingers_is_sent_at_once() {
        let broker = Broker::builder().start_blocking().unwrap();
        broker.create_topic("t", 1).unwrap();
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap_servers())
            .set("linger.ms", "250000")
            .create()
            .unwrap();
        producer.send(BaseRecord::<str, str>::to("t").payload("v")).unwrap();
        let deadline = Instant::now() + TIMEOUT;
        while producer.in_flight_count() > 0 {
            assert!(Instant::now() < deadline, "the record lingers");
            flush(producer.client(), Duration::from_millis(1));
            producer.poll(Duration::ZERO);
        }
    }

    #[test]
    fn a_client_that_produces_nothing_is_left_alone() {
        let mut config = ClientConfig::new();
        let consumer: BaseConsumer =
            config.set("bootstrap.servers", "127.0.0.1:1").set("group.id", "g").create().unwrap();
        flush(consumer.client(), TIMEOUT);
    }
}
