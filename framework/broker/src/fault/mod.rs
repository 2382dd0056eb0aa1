//! Faults on demand: a plan of rules, what a rule does, and the log of all requests.
//!
//! A fault is decided when a request has been decoded, before it is applied. The same requests in
//! the same order with the same seed meet the same faults.

mod action;
mod api;
mod body;
mod errors;
mod plan;
mod refuse;
mod requests;
mod rule;
mod speaks;
#[cfg(test)]
mod tests;

pub use action::Action;
pub use api::Api;
pub use body::{AnswerBody, BatchSent, Fetched, RequestBody};
pub(crate) use errors::first_error;
pub use plan::Faults;
pub(crate) use refuse::refuse;
pub use requests::RequestRecord;
pub use rule::{Fault, FaultId};
