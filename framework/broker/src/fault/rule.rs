//! A rule: which requests, how often, and what happens to them.

use super::{Action, Api, RequestRecord};

/// Names a fault in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultId(pub(super) u64);

/// Which requests meet which [`Action`].
///
/// Without further words it is the first request that matches, once.
///
/// # Example
///
/// ```
/// use oncestream_broker::{Action, Api, Fault};
///
/// // The third commit of this producer is applied, but it never hears so.
/// let fault = Fault::on(Api::EndTxn).transactional_id("orders-1").nth(3).then(Action::LoseAnswer);
/// # drop(fault);
/// ```
#[derive(Debug, Clone)]
pub struct Fault {
    api: Option<Api>,
    client_id: Option<String>,
    topic: Option<String>,
    group: Option<String>,
    transactional_id: Option<String>,
    request: Option<u64>,
    skip: u64,
    times: Option<u64>,
    probability: f64,
    pub(super) action: Action,
    matched: u64,
    pub(super) fired: u64,
}

impl Fault {
    /// On requests of one kind.
    pub fn on(api: Api) -> Self {
        Self { api: Some(api), ..Self::on_any() }
    }

    /// On requests of any kind.
    pub fn on_any() -> Self {
        Self {
            api: None,
            client_id: None,
            topic: None,
            group: None,
            transactional_id: None,
            request: None,
            skip: 0,
            times: Some(1),
            probability: 1.0,
            action: Action::Disconnect,
            matched: 0,
            fired: 0,
        }
    }

    /// Only those of this client, by its `client.id`.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Only those that name this topic.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Only those that name this group.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Only those that name this transactional id.
    #[must_use]
    pub fn transactional_id(mut self, transactional_id: impl Into<String>) -> Self {
        self.transactional_id = Some(transactional_id.into());
        self
    }

    /// Only the request with this number in the broker's log.
    #[must_use]
    pub fn request(mut self, number: u64) -> Self {
        self.request = Some(number);
        self
    }

    /// Only the n-th that matches, counted from 1.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        self.skip(n.saturating_sub(1)).times(1)
    }

    /// Lets the first ones pass.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// At most so many.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = Some(count);
        self
    }

    /// Every one that matches, until the fault is removed.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// Each that matches with this probability, from 0 to 1, by the seed of the plan. Combine it
    /// with [`always`](Self::always) or [`times`](Self::times).
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// What happens to them. If it is never called the connection is closed.
    #[must_use]
    pub fn then(mut self, action: Action) -> Self {
        self.action = action;
        self
    }

    /// Does the request meet this fault? `chance` gives numbers from 0 to 1.
    pub(super) fn meets(&mut self, request: &RequestRecord, chance: impl FnOnce() -> f64) -> bool {
        let named = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let matches = self.api.is_none_or(|api| api == request.api)
            && self.request.is_none_or(|number| number == request.number)
            && named(&self.client_id, Some(&request.client_id))
            && named(&self.group, request.group.as_deref())
            && named(&self.transactional_id, request.transactional_id.as_deref())
            && self.topic.as_ref().is_none_or(|topic| request.topics.contains(topic));
        if !matches || self.times.is_some_and(|times| self.fired >= times) {
            return false;
        }
        self.matched += 1;
        if self.matched <= self.skip {
            return false;
        }
        if self.probability < 1.0 && chance() >= self.probability {
            return false;
        }
        self.fired += 1;
        true
    }
}
