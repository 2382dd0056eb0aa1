//! One request of librdkafka's admin interface: sent with a queue of its own, answered by one event.

use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

/// What one request may take longer than it was told to, until librdkafka says so itself.
const GRACE: Duration = Duration::from_secs(1);

/// A value of librdkafka's, given back by `destroy` when it is dropped.
pub(super) struct Owned<T> {
    value: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// # Safety
    /// `value` is null or the caller's to give back, by `destroy`.
    pub(super) unsafe fn new(value: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(value).map(|value| Self { value, destroy })
    }

    pub(super) fn get(&self) -> *mut T {
        self.value.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: as promised to `new`; once, because this is the only owner.
        unsafe { (self.destroy)(self.value.as_ptr()) };
    }
}

/// What librdkafka never answers for a call that is right.
pub(super) fn unusable() -> KafkaError {
    KafkaError::AdminOp(RDKafkaErrorCode::Fail)
}

/// Asks by `ask`, which is given the options and the queue, and waits for the answer.
///
/// # Errors
/// There was no answer in time, or it is an error.
pub(super) fn answer<C: ClientContext>(
    client: &Client<C>,
    op: sys::rd_kafka_admin_op_t,
    timeout: Duration,
    ask: impl FnOnce(*mut sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
) -> Result<Owned<sys::rd_kafka_event_t>, KafkaError> {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let rk = client.native_ptr();
    // SAFETY: the client lives for the whole call, because it is borrowed, and what is made here
    // is dropped before it ends, in the reverse order. A null for the text of an error of
    // `set_request_timeout` has the size 0.
    let (queue, options) = unsafe {
        let queue = Owned::new(sys::rd_kafka_queue_new(rk), sys::rd_kafka_queue_destroy);
        let queue = queue.ok_or_else(unusable)?;
        let options = sys::rd_kafka_AdminOptions_new(rk, op);
        let options = Owned::new(options, sys::rd_kafka_AdminOptions_destroy);
        let options = options.ok_or_else(unusable)?;
        sys::rd_kafka_AdminOptions_set_request_timeout(
            options.get(),
            timeout_ms,
            ptr::null_mut(),
            0,
        );
        (queue, options)
    };
    ask(options.get(), queue.get());
    let event = await_event(&queue, timeout + GRACE)?;
    // SAFETY: the event is ours and lives.
    let code = unsafe { sys::rd_kafka_event_error(event.get()) };
    if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        Ok(event)
    } else {
        Err(KafkaError::AdminOp(code.into()))
    }
}

/// The one event that a queue is for.
fn await_event(
    queue: &Owned<sys::rd_kafka_queue_t>,
    timeout: Duration,
) -> Result<Owned<sys::rd_kafka_event_t>, KafkaError> {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue lives; the event is ours.
        let event = unsafe {
            Owned::new(sys::rd_kafka_queue_poll(queue.get(), left), sys::rd_kafka_event_destroy)
        };
        match event {
            Some(event) => return Ok(event),
            None if left > 0 => {}
            None => return Err(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut)),
        }
    }
}
