//! Options of a broker, and its start.

use std::net::TcpListener;
use std::time::Duration;

use uuid::Uuid;

use super::Broker;
use crate::clock::Clock;
use crate::cluster::{Cluster, Node};
use crate::error::BrokerError;
use crate::fault::Faults;
use crate::local::LocalBroker;
use crate::server::Shared;
use crate::settings::BrokerSettings;

/// So many requests are kept in the log.
const KEEP_REQUESTS: usize = 10_000;

/// Options of a [`Broker`].
#[derive(Debug, Clone)]
pub struct BrokerBuilder {
    nodes: u16,
    host: String,
    port: u16,
    seed: u64,
    keep_requests: usize,
    settings: BrokerSettings,
}

impl BrokerBuilder {
    pub(super) fn new() -> Self {
        Self {
            nodes: 1,
            host: "127.0.0.1".to_owned(),
            port: 0,
            seed: 0,
            keep_requests: KEEP_REQUESTS,
            settings: BrokerSettings::default(),
        }
    }

    /// How many addresses the cluster has, from 1 on. They share their data: a leader that moves
    /// has every record.
    #[must_use]
    pub fn nodes(mut self, nodes: u16) -> Self {
        self.nodes = nodes.max(1);
        self
    }

    /// The port of the first node; the others have the next ones. 0, the default, takes any that
    /// are free.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The host name or address to listen on, and to tell clients: `127.0.0.1` unless set.
    /// There is no authentication.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// The seed of faults with a probability; 0 unless set.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many requests are kept in the log; 10,000 unless set. 0 keeps none.
    #[must_use]
    pub fn keep_requests(mut self, count: usize) -> Self {
        self.keep_requests = count;
        self
    }

    /// How long after the end of a transaction was decided its markers are written. 1 ms unless
    /// set.
    #[must_use]
    pub fn marker_delay(mut self, delay: Duration) -> Self {
        self.settings.marker_delay = delay;
        self
    }

    /// A setting under Kafka's name, such as `auto.create.topics.enable` (`false` here).
    ///
    /// # Errors
    ///
    /// When the broker has no such setting, or it cannot have that value.
    pub fn setting(mut self, name: &str, value: &str) -> Result<Self, BrokerError> {
        self.settings.set(name, value)?;
        Ok(self)
    }

    /// Starts the broker. Clients can connect when this returns.
    ///
    /// # Errors
    ///
    /// When a port is taken, or no thread can be started.
    #[allow(clippy::unused_async, reason = "so that a start that has to wait breaks nobody")]
    pub async fn start(self) -> Result<Broker, BrokerError> {
        self.start_blocking()
    }

    /// [`start`](Self::start) for code that is not async.
    ///
    /// # Errors
    ///
    /// When a port is taken, or no thread can be started.
    pub fn start_blocking(self) -> Result<Broker, BrokerError> {
        let mut listeners = Vec::new();
        let mut nodes = Vec::new();
        for index in 0..self.nodes {
            let wanted = if self.port == 0 { 0 } else { self.port.saturating_add(index) };
            let address = format!("{}:{wanted}", self.host);
            let failed = |source| BrokerError::Listen { address: address.clone(), source };
            let listener = TcpListener::bind(&address).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            let port = listener.local_addr().map_err(failed)?.port();
            nodes.push(Node { id: i32::from(index) + 1, host: self.host.clone(), port, up: true });
            listeners.push(listener);
        }
        let cluster = Cluster::new(self.settings, cluster_id(), nodes);
        let faults = Faults::new(self.seed, self.keep_requests);
        Broker::run(Shared::new(cluster, faults, Clock::System), listeners)
    }

    /// A broker of one node that listens nowhere and has no thread: it is called, and its time, which
    /// begins at so many milliseconds since 1970, goes by hand.
    ///
    /// Requests are not kept in a log, whatever [`keep_requests`](Self::keep_requests) says.
    pub fn build_local(self, now_ms: i64) -> LocalBroker {
        let node = Node { id: 1, host: self.host, port: self.port, up: true };
        let cluster = Cluster::new(self.settings, cluster_id(), vec![node]);
        let faults = Faults::new(self.seed, 0);
        LocalBroker::new(Shared::new(cluster, faults, Clock::by_hand(now_ms)))
    }
}

fn cluster_id() -> String {
    Uuid::new_v4().simple().to_string()
}
