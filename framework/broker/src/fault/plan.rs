//! The plan of faults of a broker, and what it makes of each request.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{RequestKind, ResponseKind};
use tokio::sync::watch;

use super::body::{body_of, body_of_answer};
use super::speaks::speaks_of;
use super::{Action, AnswerBody, Api, Fault, FaultId, RequestRecord, first_error};
use crate::cluster::CoordinatorOf;
use crate::server::{Origin, Shared};

/// What happens to one request.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "each stands for itself")]
pub(crate) struct Course {
    pub(crate) delay: Option<Duration>,
    pub(crate) applied: bool,
    /// A `Fetch` is answered by a replica that lags by so many records.
    pub(crate) records_ago: u64,
    /// Answered with this, whether applied or not.
    pub(crate) error: Option<ResponseError>,
    pub(crate) delay_answer: Option<Duration>,
    /// Applied when this fault is removed.
    pub(crate) held_by: Option<FaultId>,
    /// Answered when this fault is removed.
    pub(crate) answer_held_by: Option<FaultId>,
    /// The connection is closed instead of an answer.
    pub(crate) close: bool,
    /// No answer comes, the connection stays.
    pub(crate) silence: bool,
}

/// A request without a fault.
const UNDISTURBED: Course = Course {
    delay: None,
    applied: true,
    records_ago: 0,
    error: None,
    delay_answer: None,
    held_by: None,
    answer_held_by: None,
    close: false,
    silence: false,
};

#[derive(Debug)]
struct Plan {
    faults: Vec<(FaultId, Fault)>,
    next_id: u64,
    /// State of the random numbers.
    random: u64,
    requests: VecDeque<RequestRecord>,
    taken: u64,
    /// Requests taken and answers made.
    moments: u64,
    keep: usize,
}

/// The faults of a broker. They may be added and removed while it runs.
///
/// # Example
///
/// ```
/// use oncestream_broker::{Action, Api, Broker, Fault};
///
/// let broker = Broker::builder().start_blocking()?;
/// let fault = broker.faults().add(Fault::on(Api::Produce).then(Action::LoseAnswer));
/// // ... a producer sends a record, and sends it again ...
/// assert_eq!(broker.faults().fired(fault), 0, "nobody has sent anything here");
/// # Ok::<(), oncestream_broker::BrokerError>(())
/// ```
#[derive(Debug)]
pub struct Faults {
    plan: Mutex<Plan>,
    /// Changes whenever a fault is removed.
    removals: watch::Sender<()>,
}

impl Faults {
    pub(crate) fn new(seed: u64, keep: usize) -> Self {
        let plan = Plan {
            faults: Vec::new(),
            next_id: 0,
            random: seed,
            requests: VecDeque::new(),
            taken: 0,
            moments: 0,
            keep,
        };
        Self { plan: Mutex::new(plan), removals: watch::Sender::new(()) }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault. Of several that a request meets, the one added first acts.
    pub fn add(&self, fault: Fault) -> FaultId {
        let mut plan = self.plan();
        let id = FaultId(plan.next_id);
        plan.next_id += 1;
        plan.faults.push((id, fault));
        id
    }

    /// Removes a fault. False if it is not there any more.
    pub fn remove(&self, fault: FaultId) -> bool {
        let mut plan = self.plan();
        let before = plan.faults.len();
        plan.faults.retain(|(id, _)| *id != fault);
        self.removals.send_replace(());
        plan.faults.len() < before
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.plan().faults.clear();
        self.removals.send_replace(());
    }

    /// Waits until a fault is removed.
    pub(crate) async fn removed(&self, fault: FaultId) {
        let mut removals = self.removals.subscribe();
        while self.plan().faults.iter().any(|(id, _)| *id == fault) {
            if removals.changed().await.is_err() {
                return;
            }
        }
    }

    /// How often a fault has acted; 0 for one that was removed.
    pub fn fired(&self, fault: FaultId) -> u64 {
        let plan = self.plan();
        let found = plan.faults.iter().find(|(id, _)| *id == fault);
        found.map_or(0, |(_, fault)| fault.fired)
    }

    /// Begins the random numbers of probabilities anew.
    pub fn seed(&self, seed: u64) {
        self.plan().random = seed;
    }

    pub(crate) fn requests(&self) -> Vec<RequestRecord> {
        self.plan().requests.iter().cloned().collect()
    }

    pub(crate) fn request_count(&self) -> u64 {
        self.plan().taken
    }

    pub(crate) fn forget_requests(&self) {
        let mut plan = self.plan();
        plan.requests.clear();
        plan.taken = 0;
    }

    /// Logs a request and says what happens to it. What a fault does to the cluster is done here.
    pub(crate) fn take(
        &self,
        shared: &Shared,
        origin: &Origin,
        request: &RequestKind,
    ) -> (u64, Course) {
        let (number, action, record) = {
            let mut plan = self.plan();
            plan.taken += 1;
            let number = plan.taken;
            if plan.keep == 0 && plan.faults.is_empty() {
                return (number, UNDISTURBED);
            }
            plan.moments += 1;
            let mut record = describe(number, plan.moments, origin, request);
            let chosen = plan.choose(&record);
            record.fault = chosen.map(|(_, action)| action);
            let subject = chosen.is_some().then(|| record.clone());
            plan.log(record);
            (number, chosen, subject)
        };
        let course = match (action, record) {
            (Some((id, action)), Some(record)) => act(shared, origin, id, action, &record),
            _ => UNDISTURBED,
        };
        (number, course)
    }

    /// Completes the log with the outcome.
    pub(crate) fn note(&self, number: u64, answer: Option<&ResponseKind>) {
        let mut plan = self.plan();
        let Some(first) = plan.requests.front().map(|r| r.number) else { return };
        plan.moments += 1;
        let moment = plan.moments;
        let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        if let Some(record) = index.and_then(|index| plan.requests.get_mut(index)) {
            record.answered = answer.is_some();
            record.error = answer.and_then(first_error);
            record.answer = answer.map_or(AnswerBody::Other, body_of_answer);
            record.answered_at = answer.map(|_| moment);
        }
    }
}

impl Plan {
    fn choose(&mut self, record: &RequestRecord) -> Option<(FaultId, Action)> {
        let random = &mut self.random;
        // 53 bits, which a double holds exactly.
        let mut chance = || (split_mix(random) >> 11) as f64 / (1_u64 << 53) as f64;
        for (id, fault) in &mut self.faults {
            if fault.meets(record, &mut chance) {
                return Some((*id, fault.action));
            }
        }
        None
    }

    fn log(&mut self, record: RequestRecord) {
        if self.keep == 0 {
            return;
        }
        if self.requests.len() >= self.keep {
            self.requests.pop_front();
        }
        self.requests.push_back(record);
    }
}

/// `SplitMix64` (Steele, Lea and Flood, 2014): small, and the same on every machine.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn describe(number: u64, taken_at: u64, origin: &Origin, request: &RequestKind) -> RequestRecord {
    let spoken = speaks_of(request);
    RequestRecord {
        number,
        node: origin.node,
        connection: origin.connection,
        client_id: origin.client_id.clone(),
        api: Api::from_key(origin.api as i16).unwrap_or(Api::ApiVersions),
        version: origin.version,
        topics: spoken.topics,
        group: spoken.group,
        member: spoken.member,
        transactional_id: spoken.transactional_id,
        body: body_of(request),
        taken_at,
        fault: None,
        answered: false,
        error: None,
        answer: AnswerBody::Other,
        answered_at: None,
    }
}

/// Does what the action does to the cluster, and tells what becomes of the request.
fn act(
    shared: &Shared,
    origin: &Origin,
    fault: FaultId,
    action: Action,
    request: &RequestRecord,
) -> Course {
    let lost = Course { applied: false, ..UNDISTURBED };
    match action {
        Action::Disconnect => Course { close: true, ..lost },
        Action::Drop => Course { silence: true, ..lost },
        Action::LoseAnswer => Course { close: true, ..UNDISTURBED },
        Action::HoldAnswer => Course { silence: true, ..UNDISTURBED },
        Action::Delay(time) => Course { delay: Some(time), ..UNDISTURBED },
        Action::DelayAnswer(time) => Course { delay_answer: Some(time), ..UNDISTURBED },
        Action::DelayUntilRemoved => Course { held_by: Some(fault), ..UNDISTURBED },
        Action::DelayAnswerUntilRemoved => Course { answer_held_by: Some(fault), ..UNDISTURBED },
        Action::Error(code) => Course { error: error(code), ..lost },
        Action::ErrorAfter(code) => Course { error: error(code), ..UNDISTURBED },
        Action::RestartNode => {
            let now = shared.now();
            shared.cluster().restart_coordinators(origin.node, now);
            shared.cut(origin.node);
            Course { close: true, ..lost }
        }
        Action::MoveLeader => {
            {
                let cluster = &mut *shared.cluster();
                for topic in &request.topics {
                    let count = cluster.topics.get(topic).map_or(0, |t| t.partitions.len());
                    for partition in 0..count {
                        cluster.move_leader(topic, partition as i32);
                    }
                }
            }
            shared.wake();
            Course { error: Some(ResponseError::NotLeaderOrFollower), ..lost }
        }
        Action::MoveCoordinator => {
            let now = shared.now();
            let cluster = &mut *shared.cluster();
            if let Some(id) = &request.transactional_id {
                cluster.move_coordinator(CoordinatorOf::Transaction, id, now);
            }
            if let Some(group) = &request.group {
                cluster.move_coordinator(CoordinatorOf::Group, group, now);
            }
            Course { error: Some(ResponseError::NotCoordinator), ..lost }
        }
        Action::ExpireMember => {
            if let (Some(group), Some(member)) = (&request.group, &request.member) {
                let now = shared.now();
                shared.cluster().groups.expire_member(group, member, now.instant);
            }
            UNDISTURBED
        }
        Action::AnswerAsOf { records_ago } => Course { records_ago, ..UNDISTURBED },
        Action::TimeOutTransaction => {
            if let Some(id) = &request.transactional_id {
                let now = shared.now();
                let changed = {
                    let cluster = &mut *shared.cluster();
                    cluster.transactions.fence(id, now.instant);
                    cluster.tick(now)
                };
                if changed {
                    shared.wake();
                }
            }
            UNDISTURBED
        }
    }
}

fn error(code: i16) -> Option<ResponseError> {
    use kafka_protocol::error::ParseResponseErrorCode;
    code.err()
}
