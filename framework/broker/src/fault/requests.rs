//! The log of requests.

use kafka_protocol::error::ResponseError;

use super::{Action, AnswerBody, Api, RequestBody};

/// A request as the broker saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestRecord {
    /// Counted from 1, in the order the broker took requests.
    pub number: u64,
    /// The node it was sent to.
    pub node: i32,
    /// The connection it came by, counted from 1.
    pub connection: u64,
    /// The client's `client.id`.
    pub client_id: String,
    /// Its kind.
    pub api: Api,
    /// Its version.
    pub version: i16,
    /// The topics it names, each once.
    pub topics: Vec<String>,
    /// The group it names.
    pub group: Option<String>,
    /// The member that sends it.
    pub member: Option<String>,
    /// The transactional id it names.
    pub transactional_id: Option<String>,
    /// What it carried.
    pub body: RequestBody,
    /// When it came: a count of requests that came and answers that were made.
    pub taken_at: u64,
    /// What was done to it.
    pub fault: Option<Action>,
    /// Was it answered? A fault may have kept the answer from the client.
    pub answered: bool,
    /// The first error code of the answer. The client may not have seen it.
    pub error: Option<i16>,
    /// What the answer carried. The client may not have seen it.
    pub answer: AnswerBody,
    /// When the answer was made, by the same count.
    pub answered_at: Option<u64>,
}

impl RequestRecord {
    /// Kafka's name of the error it was answered with, such as `NOT_LEADER_OR_FOLLOWER`.
    pub fn error_name(&self) -> Option<String> {
        error_name(self.error?)
    }
}

/// The protocol's name of an error code: the words of its kind, in capitals.
fn error_name(code: i16) -> Option<String> {
    let kind = format!("{:?}", ResponseError::try_from_code(code)?);
    let mut name = String::with_capacity(kind.len() + 8);
    for letter in kind.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_names_of_the_protocol() {
        assert_eq!(error_name(0), None);
        assert_eq!(error_name(6).as_deref(), Some("NOT_LEADER_OR_FOLLOWER"));
        assert_eq!(error_name(45).as_deref(), Some("OUT_OF_ORDER_SEQUENCE_NUMBER"));
        assert_eq!(error_name(90).as_deref(), Some("PRODUCER_FENCED"));
    }
}
