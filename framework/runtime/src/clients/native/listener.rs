//! What is called when a queue gets something, from a thread of librdkafka.

use std::ffi::c_void;
use std::ptr;

use rdkafka::bindings as sys;

type Call = Box<dyn Fn() + Send + Sync>;

/// Kept for as long as a queue may call it: librdkafka has a pointer to what is inside.
pub(super) struct Listener(Box<Call>);

/// # Safety
/// `listener` points to a [`Call`] that lives.
unsafe extern "C" fn call(_client: *mut sys::rd_kafka_t, listener: *mut c_void) {
    // SAFETY: as the caller promises.
    let listener = unsafe { &*listener.cast::<Call>().cast_const() };
    listener();
}

impl Listener {
    pub(super) fn new(listener: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Box::new(Box::new(listener)))
    }

    /// Is called from now on whenever the queue gets something while it is empty, under the queue's lock.
    ///
    /// # Safety
    /// The queue lives, and the listener lives until [`Self::end`] or another listener of this queue.
    pub(super) unsafe fn listen_to(&self, queue: *mut sys::rd_kafka_queue_t) {
        let opaque = (&raw const *self.0).cast_mut().cast();
        // SAFETY: as the caller promises. Calls are made under the lock of the queue, which this call
        // takes.
        unsafe { sys::rd_kafka_queue_cb_event_enable(queue, Some(call), opaque) };
    }

    /// Nobody is called any more when this returns.
    ///
    /// # Safety
    /// The queue lives.
    pub(super) unsafe fn end(queue: *mut sys::rd_kafka_queue_t) {
        // SAFETY: as the caller promises.
        unsafe { sys::rd_kafka_queue_cb_event_enable(queue, None, ptr::null_mut()) };
    }
}
