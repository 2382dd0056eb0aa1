//! A sequence diagram of requests and answers, made of the broker's own log of them.
//!
//! It knows no chapter. Invariant: each step stands for a request or an answer that the broker logged;
//! none is made up.

use std::collections::BTreeSet;

use oncestream_broker::{Action, AnswerBody, Api, RequestBody, RequestRecord};

use crate::Text;

/// What became of a message on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It arrived.
    Arrived,
    /// It was lost.
    Lost,
}

/// One message, or a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// From one participant to another.
    Message {
        /// Index of the sender among the participants.
        from: usize,
        /// Index of the receiver.
        to: usize,
        /// What it is, in Kafka's words: `Produce sequence 0..1 (2)`.
        label: String,
        /// An answer that tells an error, or a message that was lost.
        bad: bool,
        /// Did it arrive?
        fate: Fate,
    },
    /// So many messages are left out here.
    Gap(usize),
}

/// Requests and answers in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagram {
    /// What it shows.
    pub caption: Text,
    /// Clients by their `client.id`, then nodes.
    pub participants: Vec<String>,
    /// The messages, from the first to the last.
    pub steps: Vec<Step>,
}

/// More steps than this are not shown: the middle is left out.
const STEPS: usize = 24;

impl Diagram {
    /// The diagram of these requests, which are in their order. What clients ask to find their way
    /// is left out, and so are fetches that brought nothing.
    pub(crate) fn new(caption: Text, requests: &[RequestRecord]) -> Self {
        let shown: Vec<_> = requests.iter().filter(|request| is_of_interest(request)).collect();
        let mut clients: Vec<String> = Vec::new();
        for request in &shown {
            if !clients.contains(&request.client_id) {
                clients.push(request.client_id.clone());
            }
        }
        let nodes: Vec<i32> =
            shown.iter().map(|request| request.node).collect::<BTreeSet<_>>().into_iter().collect();
        let mut moments = Vec::new();
        for request in shown {
            let client = clients.iter().position(|id| *id == request.client_id).unwrap_or(0);
            let node = nodes.iter().position(|node| *node == request.node).unwrap_or(0);
            let node = clients.len() + node;
            moments.extend(messages(request, client, node));
        }
        moments.sort_by_key(|(at, _)| *at);
        let steps = moments.into_iter().map(|(_, step)| step).collect();
        let nodes = nodes.iter().map(|node| format!("broker {node}"));
        let participants = clients.into_iter().chain(nodes).collect();
        Self { caption, participants, steps: shortened(steps) }
    }
}

fn is_of_interest(request: &RequestRecord) -> bool {
    match request.api {
        Api::Produce
        | Api::InitProducerId
        | Api::AddPartitionsToTxn
        | Api::AddOffsetsToTxn
        | Api::TxnOffsetCommit
        | Api::OffsetCommit
        | Api::EndTxn => true,
        Api::Fetch => matches!(&request.answer, AnswerBody::Fetch(found) if !found.is_empty()),
        _ => false,
    }
}

/// The request and its answer, each with its moment.
fn messages(request: &RequestRecord, client: usize, node: usize) -> Vec<(u64, Step)> {
    let lost =
        matches!(request.fault, Some(Action::Disconnect | Action::Drop | Action::RestartNode));
    let fate = if lost { Fate::Lost } else { Fate::Arrived };
    let label = asked(request);
    let asked = Step::Message { from: client, to: node, label, bad: lost, fate };
    let mut both = vec![(request.taken_at, asked)];
    let wants_none = matches!(request.body, RequestBody::Produce { acks: 0, .. });
    if let (Some(at), false, false) = (request.answered_at, lost, wants_none) {
        let lost = matches!(request.fault, Some(Action::LoseAnswer | Action::HoldAnswer));
        let fate = if lost { Fate::Lost } else { Fate::Arrived };
        let (label, error) = told(request);
        let answer = Step::Message { from: node, to: client, label, bad: lost || error, fate };
        both.push((at, answer));
    }
    both
}

/// What a request asks, in short.
fn asked(request: &RequestRecord) -> String {
    let api = request.api;
    match &request.body {
        RequestBody::Produce { batches, .. } => {
            let all = batches.iter().map(|batch| {
                let place = format!("{}-{}", batch.topic, batch.partition);
                let last = batch.base_sequence + batch.records - 1;
                match (batch.producer, batch.base_sequence) {
                    (None, _) if batch.records == 1 => format!("{place}: 1 record"),
                    (None, _) => format!("{place}: {} records", batch.records),
                    (Some((id, epoch)), first) if first == last => {
                        format!("{place}: id {id}, epoch {epoch}, sequence {first}")
                    }
                    (Some((id, epoch)), first) => {
                        format!("{place}: id {id}, epoch {epoch}, sequence {first}..{last}")
                    }
                }
            });
            format!("{api} {}", all.collect::<Vec<_>>().join("; "))
        }
        RequestBody::Fetch { positions, read_committed } => {
            let all = positions
                .iter()
                .map(|(topic, part, offset)| format!("{topic}-{part} from {offset}"));
            let isolation = if *read_committed { ", read_committed" } else { "" };
            format!("{api} {}{isolation}", all.collect::<Vec<_>>().join("; "))
        }
        RequestBody::Offsets { offsets, .. } => {
            let all =
                offsets.iter().map(|(topic, part, offset)| format!("{topic}-{part}: {offset}"));
            format!("{api} {}", all.collect::<Vec<_>>().join("; "))
        }
        RequestBody::Add { partitions, .. } if partitions.is_empty() => {
            format!("{api} group {}", request.group.as_deref().unwrap_or("?"))
        }
        RequestBody::Add { partitions, .. } => {
            let all = partitions.iter().map(|(topic, partition)| format!("{topic}-{partition}"));
            format!("{api} {}", all.collect::<Vec<_>>().join("; "))
        }
        RequestBody::End { commit, producer: (id, epoch) } => {
            let how = if *commit { "commit" } else { "abort" };
            format!("{api} {how}: id {id}, epoch {epoch}")
        }
        _ => match &request.transactional_id {
            Some(id) => format!("{api} {id}"),
            None => api.to_string(),
        },
    }
}

/// What an answer tells, in short, and whether it is an error.
fn told(request: &RequestRecord) -> (String, bool) {
    if let Some(error) = request.error_name() {
        return (error, true);
    }
    let label = match &request.answer {
        AnswerBody::Produce(offsets) => {
            let all = offsets.iter().map(|(_, _, offset)| format!("offset {offset}"));
            all.collect::<Vec<_>>().join("; ")
        }
        AnswerBody::Fetch(found) => {
            let bytes: usize = found.iter().map(|fetched| fetched.bytes).sum();
            let aborted = found.iter().flat_map(|fetched| &fetched.aborted);
            let aborted = aborted.map(|(id, offset)| format!("; aborted: id {id} from {offset}"));
            format!("{bytes} bytes of records{}", aborted.collect::<String>())
        }
        AnswerBody::Producer(id, epoch) => format!("id {id}, epoch {epoch}"),
        _ => "ok".to_owned(),
    };
    (label, false)
}

fn shortened(mut steps: Vec<Step>) -> Vec<Step> {
    if steps.len() > STEPS {
        let left_out = steps.len() - STEPS + 1;
        steps.splice(STEPS / 2..STEPS / 2 + left_out, [Step::Gap(left_out)]);
    }
    steps
}
