//! Sending what a producer has at once, without waiting for its `linger.ms`.

use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};

/// Lets a producer's threads send what waits for its `linger.ms`, for so long or until nothing is
/// in flight. The crate's own `flush` lets them only for a moment that they mostly miss.
pub(crate) fn flush<C: ClientContext>(client: &Client<C>, time: Duration) {
    let time_ms = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client lives for the whole call, because it is borrowed. What is in flight, or
    // whether the client is a producer at all, the answer tells, which nothing hangs on.
    unsafe { sys::rd_kafka_flush(client.native_ptr(), time_ms) };
}
