//! How much waits in a consumer's own queue.

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};

/// How many things wait in the own queue of a consumer: records, errors, rebalances. Partitions that were
/// split off are not among them.
pub(crate) fn queued<C: ClientContext>(client: &Client<C>) -> usize {
    // SAFETY: the client lives, because it is borrowed.
    let count = unsafe { sys::rd_kafka_outq_len(client.native_ptr()) };
    usize::try_from(count).unwrap_or(0)
}
