//! What the bodies ask of a broker, in a line each. One file per family of requests.
//!
//! An answer with an error code becomes a `Result`; what else is in it stays as it came.

mod admin;
mod groups;
mod offsets;
mod records;
mod transactions;

use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::error::ParseResponseErrorCode;
use kafka_protocol::protocol::Request;
use oncestream_tests::kafka::LIMIT;
use oncestream_tests::raw::Connection;
use oncestream_tests::target::Target;

pub(crate) use admin::new_topic;
pub(crate) use groups::{Member, join_request, subscription};
pub(crate) use offsets::commit_request;
pub(crate) use records::{Isolation, PRODUCE, Read, fetch_request, produce_request};
pub(crate) use transactions::{Producer, init_request};

/// What a request came to.
pub(crate) type Answer<T> = Result<T, ResponseError>;

/// An error code, or the value that came without one.
pub(crate) fn answer<T>(code: i16, value: T) -> Answer<T> {
    code.err().map_or(Ok(value), Err)
}

/// A connection with names for what is asked over it.
pub(crate) struct Client {
    pub(crate) connection: Connection,
}

impl Client {
    pub(crate) fn new(kafka: &Target) -> Self {
        Self { connection: kafka.connect() }
    }

    pub(crate) fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.connection.call(request, version)
    }
}

/// Asks again until the answer is there.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come true within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
