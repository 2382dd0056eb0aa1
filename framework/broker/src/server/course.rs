//! The course of one decoded request: faults, the answer, faults again.
//!
//! It knows no frames, and no clock but the broker's.

use kafka_protocol::messages::{RequestKind, ResponseKind};

use super::{Origin, Shared};
use crate::api;
use crate::fault::{first_error, refuse};

/// How a request ends.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answer(Box<ResponseKind>),
    /// A produce request that wants no acknowledgement, or a node that is down.
    Nothing,
    /// A fault: no answer ever comes, but the connection stays.
    Silence,
    /// A produce request that wants no acknowledgement failed, which the end of its connection tells.
    Unacknowledged,
    /// A fault: the connection ends.
    Close,
}

/// Applies a request, with the faults that are planned for it.
pub(crate) async fn follow(shared: &Shared, origin: &Origin, request: RequestKind) -> Outcome {
    let (number, course) = shared.faults.take(shared, origin, &request);
    if let Some(delay) = course.delay {
        shared.clock.wait(delay).await;
    }
    if let Some(fault) = course.held_by {
        shared.faults.removed(fault).await;
    }
    let refused = course.error.map(|error| refuse(origin, &request, error));
    let wants_none = matches!(&request, RequestKind::Produce(r) if r.acks == 0);
    // A topic's error does not hide the brokers: a client would give them up.
    let looks = matches!(&request, RequestKind::Metadata(_));
    let mut answer = None;
    if course.applied || (looks && refused.is_some()) {
        answer = api::answer(shared, origin, request, course.records_ago).await;
    }
    let answer = match (refused, answer) {
        (Some(ResponseKind::Metadata(refused)), Some(ResponseKind::Metadata(answer))) => {
            Some(ResponseKind::Metadata(answer.with_topics(refused.topics)))
        }
        (refused, answer) => refused.or(answer),
    };
    shared.faults.note(number, answer.as_ref());
    if let Some(delay) = course.delay_answer {
        shared.clock.wait(delay).await;
    }
    if let Some(fault) = course.answer_held_by {
        shared.faults.removed(fault).await;
    }
    if course.close {
        return Outcome::Close;
    }
    match answer {
        // Who wants no acknowledgement learns of a failure by the end of the connection.
        Some(answer) if wants_none && first_error(&answer).is_some() => Outcome::Unacknowledged,
        _ if course.silence => Outcome::Silence,
        Some(answer) if !wants_none => Outcome::Answer(Box::new(answer)),
        _ => Outcome::Nothing,
    }
}
