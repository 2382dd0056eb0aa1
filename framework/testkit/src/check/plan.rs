//! From the requests of a run without faults to the cases: which request meets which fault.
//!
//! A request is named by its kind, the client that sends it and which of these it is. Runs differ
//! in time, so numbers over all requests would name others in the next run; these names hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use oncestream_broker::{Action, Api, Fault, RequestRecord};

use super::errors::{self, Gravity};
use super::restores;

/// How long a late request or answer is late: longer than any client waits, and than a session.
pub(super) const LATE: Duration = Duration::from_millis(1800);
/// How long an answer is held up so that its client can be stopped before it sees it.
const HOLD_UP: Duration = Duration::from_millis(150);

/// A request of the first instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RequestName {
    pub(super) api: Api,
    /// The client, by its `client.id`.
    pub(super) client: String,
    /// The n-th of them, from 1.
    pub(super) nth: u64,
    /// Only those that name this topic. For what can be answered only if one is named.
    pub(super) topic: Option<String>,
}

impl fmt::Display for RequestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{} of {}", self.api, self.nth, self.client)?;
        match &self.topic {
            Some(topic) => write!(f, " for {topic}"),
            None => Ok(()),
        }
    }
}

/// When a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// The request has been sent, and is never applied.
    Before,
    /// The request was applied, and its answer never comes.
    After,
}

/// What happens at a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// The broker does something to it.
    Acts(Action),
    /// The application is killed, and started again on its state directory.
    Kill(Moment),
    /// A second instance joins, and leaves later.
    Join,
    /// The application is stopped; it goes on after another has taken its partitions over. The
    /// request reaches the broker in time, or as late as that.
    Zombie { late: bool },
    /// The application is started without its stores whenever all that was fed is committed. The
    /// request is a fetch of a restore; a broker that lags answers it and those after it.
    LosesStores { records_ago: u64 },
}

impl Happening {
    /// Whether it needs processes of their own.
    pub(super) fn needs_process(self) -> bool {
        matches!(self, Self::Kill(_) | Self::Zombie { .. })
    }

    /// Whether it is done once the request has met its fault: nobody is started or stopped for it.
    pub(super) fn is_the_brokers(self) -> bool {
        matches!(self, Self::Acts(_) | Self::LosesStores { .. })
    }

    /// How many nodes the broker has: a leader or coordinator that moves needs two.
    pub(super) fn nodes(self) -> u16 {
        match self {
            Self::Acts(Action::MoveLeader | Action::MoveCoordinator) => 2,
            _ => 1,
        }
    }

    /// What the broker does at the request.
    fn action(self) -> Action {
        match self {
            Self::Acts(action) => action,
            Self::Kill(Moment::Before) => Action::Drop,
            Self::Kill(Moment::After) => Action::HoldAnswer,
            Self::Join => Action::DelayAnswer(Duration::from_millis(5)),
            Self::Zombie { late: false } => Action::DelayAnswer(HOLD_UP),
            Self::Zombie { late: true } => Action::Delay(LATE),
            Self::LosesStores { records_ago } => Action::AnswerAsOf { records_ago },
        }
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acts(Action::Error(code)) => write!(f, "{}", errors::name(*code)),
            Self::Acts(Action::ErrorAfter(code)) => {
                write!(f, "{} although applied", errors::name(*code))
            }
            Self::Acts(Action::Delay(_)) => f.write_str("applied late"),
            Self::Acts(Action::DelayAnswer(_)) => f.write_str("answered late"),
            Self::Acts(action) => write!(f, "{action:?}"),
            Self::Kill(Moment::Before) => f.write_str("killed before it is applied"),
            Self::Kill(Moment::After) => f.write_str("killed before its answer"),
            Self::Join => f.write_str("a second instance joins"),
            Self::Zombie { late: false } => f.write_str("stopped until others took over"),
            Self::Zombie { late: true } => {
                f.write_str("stopped until others took over, applied late")
            }
            Self::LosesStores { records_ago } => {
                write!(f, "stores lost, answered as of {}", restores::in_words(*records_ago))
            }
        }
    }
}

/// One case: a fault at a request.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) at: RequestName,
    pub(super) happening: Happening,
    /// Restores are answered by a broker that lags by so many records.
    pub(super) lag: Option<u64>,
    pub(super) gravity: Gravity,
    /// Whether every run without faults sends the request, not only one that was slow somewhere.
    pub(super) steady: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what())
    }
}

impl Case {
    /// The fault, for the broker.
    pub(super) fn fault(&self) -> Fault {
        let at = &self.at;
        let fault = Fault::on(at.api).client_id(at.client.clone());
        let fault = match &at.topic {
            Some(topic) => fault.topic(topic.clone()),
            None => fault,
        };
        match self.happening {
            Happening::LosesStores { records_ago } => {
                restores::lag(fault.skip(at.nth.saturating_sub(1)), records_ago)
            }
            happening => fault.nth(at.nth).then(happening.action()),
        }
    }

    /// What the broker does to those who restore from this changelog, apart from the request.
    pub(super) fn lag_of(&self, changelog: &str) -> Option<Fault> {
        let fetches = Fault::on(Api::Fetch).topic(changelog);
        self.lag.map(|records_ago| restores::lag(fetches, records_ago))
    }

    /// What happens, in words. Cases that differ in their request alone have the same.
    pub(super) fn what(&self) -> String {
        match self.lag {
            None => self.happening.to_string(),
            Some(ago) => {
                format!("{}, restored as of {}", self.happening, restores::in_words(ago))
            }
        }
    }
}

/// Which kinds of cases are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kinds {
    /// Kills and zombies, in processes of their own.
    pub(super) processes: bool,
    /// Second instances.
    pub(super) rebalances: bool,
}

/// The names of all requests of a run.
pub(super) fn names(requests: &[RequestRecord]) -> Vec<RequestName> {
    let mut seen: BTreeMap<(Api, &str), u64> = BTreeMap::new();
    let named = requests.iter().map(|request| {
        let nth = seen.entry((request.api, &request.client_id)).or_default();
        *nth += 1;
        RequestName { api: request.api, client: request.client_id.clone(), nth: *nth, topic: None }
    });
    named.collect()
}

/// The name of the last of these requests, among those of its client that name a topic.
fn named_by_topic(requests: &[RequestRecord], topic: &str) -> RequestName {
    let (api, client) = requests.last().map_or((Api::Metadata, ""), |r| (r.api, &r.client_id));
    let alike = requests.iter().filter(|r| {
        r.api == api && r.client_id == client && r.topics.iter().any(|named| named == topic)
    });
    let nth = alike.count() as u64;
    RequestName { api, client: client.to_owned(), nth, topic: Some(topic.to_owned()) }
}

impl RequestName {
    /// Whether it is among these requests.
    pub(super) fn is_among(&self, requests: &[RequestRecord]) -> bool {
        let alike = requests.iter().filter(|r| {
            let names = |topic| r.topics.iter().any(|named| named == topic);
            r.api == self.api && r.client_id == self.client && self.topic.as_ref().is_none_or(names)
        });
        alike.count() as u64 >= self.nth
    }
}

/// Every fault at every request of the first of these runs. The others tell what is steady.
pub(super) fn cases(runs: &[Vec<RequestRecord>], kinds: Kinds) -> Vec<Case> {
    let Some((requests, others)) = runs.split_first() else { return Vec::new() };
    let mut cases = Vec::new();
    let open = in_transaction(requests);
    for (index, (at, request)) in names(requests).into_iter().zip(requests).enumerate() {
        // Metadata is answered with an error for a topic, or not at all.
        let at_error = match (request.api, request.topics.first()) {
            (Api::Metadata, None) => None,
            (Api::Metadata, Some(topic)) => Some(named_by_topic(&requests[..=index], topic)),
            _ => Some(at.clone()),
        };
        let is_steady = |at: &RequestName| others.iter().all(|run| at.is_among(run));
        for (action, gravity) in errors::answers(request.api) {
            // Left out: a group's leader of librdkafka 2.12 that may not see a topic for once
            // assigns it to nobody, and does not look again until the next rebalance.
            let leads = request.api == Api::Metadata && request.client_id.ends_with("-consumer");
            if leads && gravity == Gravity::Stopping {
                continue;
            }
            if let Some(at) = at_error.clone() {
                let (happening, steady) = (Happening::Acts(action), is_steady(&at));
                cases.push(Case { at, happening, lag: None, gravity, steady });
            }
        }
        let steady = is_steady(&at);
        let mut add = |happening, gravity| {
            cases.push(Case { at: at.clone(), happening, lag: None, gravity, steady });
        };
        let act = Happening::Acts;
        for action in [
            Action::Disconnect,
            Action::Drop,
            Action::LoseAnswer,
            Action::HoldAnswer,
            Action::Delay(LATE),
            Action::DelayAnswer(LATE),
            Action::RestartNode,
        ] {
            add(act(action), Gravity::Passing);
        }
        if matches!(request.api, Api::Produce | Api::Fetch | Api::ListOffsets | Api::DeleteRecords)
        {
            add(act(Action::MoveLeader), Gravity::Passing);
        }
        let asks = matches!(request.api, Api::FindCoordinator);
        let produces = matches!(request.api, Api::Produce);
        let speaks = request.group.is_some() || request.transactional_id.is_some();
        if speaks && !asks && !produces {
            add(act(Action::MoveCoordinator), Gravity::Passing);
        }
        if request.member.is_some() {
            add(act(Action::ExpireMember), Gravity::Passing);
        }
        if open[index] {
            add(act(Action::TimeOutTransaction), Gravity::Passing);
        }
        if kinds.rebalances && is_of_a_worker(request) {
            add(Happening::Join, Gravity::Passing);
        }
        if kinds.processes {
            add(Happening::Kill(Moment::Before), Gravity::Passing);
            add(Happening::Kill(Moment::After), Gravity::Passing);
            if is_of_a_commit(request) {
                add(Happening::Zombie { late: false }, Gravity::Passing);
                add(Happening::Zombie { late: true }, Gravity::Passing);
            }
        }
    }
    cases
}

/// For each request, whether the transaction it names is open when the broker gets it.
fn in_transaction(requests: &[RequestRecord]) -> Vec<bool> {
    let mut open: BTreeSet<&str> = BTreeSet::new();
    let mut was_open = Vec::with_capacity(requests.len());
    for request in requests {
        let Some(id) = request.transactional_id.as_deref() else {
            was_open.push(false);
            continue;
        };
        was_open.push(open.contains(id));
        match (request.api, request.error) {
            (Api::AddPartitionsToTxn | Api::AddOffsetsToTxn, None) => open.insert(id),
            (Api::EndTxn, None) => open.remove(id),
            _ => continue,
        };
    }
    was_open
}

/// Sent when the application runs already, so that a second instance makes it rebalance.
fn is_of_a_worker(request: &RequestRecord) -> bool {
    is_of_a_commit(request)
        || matches!(
            request.api,
            Api::JoinGroup | Api::SyncGroup | Api::Heartbeat | Api::OffsetFetch | Api::LeaveGroup
        )
}

fn is_of_a_commit(request: &RequestRecord) -> bool {
    matches!(
        request.api,
        Api::Produce
            | Api::AddPartitionsToTxn
            | Api::AddOffsetsToTxn
            | Api::TxnOffsetCommit
            | Api::EndTxn
            | Api::OffsetCommit
    )
}
