//! Connections: frames in, answers out.
//!
//! All nodes share one state behind one lock, and one thread serves them all, so requests are
//! applied one after the other in one order. A broker without sockets ([`crate::LocalBroker`])
//! shares the state and the course of a request, and nothing else of this.

pub(crate) mod apis;
mod connection;
pub(crate) mod course;
mod shape;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kafka_protocol::messages::ApiKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::cluster::{Cluster, Now};
use crate::fault::Faults;

/// How often sessions, transactions and markers are looked after.
const TICK: Duration = Duration::from_millis(1);

/// Where a request came from, and what it is.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The node it was sent to.
    pub(crate) node: i32,
    /// The connection, counted from 1.
    pub(crate) connection: u64,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    cluster: Mutex<Cluster>,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    /// Tells waiting fetches that there may be something to answer: records, or an error.
    changed: Notify,
    /// Raised per node to cut all its connections.
    cuts: Vec<watch::Sender<u64>>,
    /// True for each node that stands still.
    pauses: Vec<watch::Sender<bool>>,
    connections: AtomicU64,
}

impl Shared {
    pub(crate) fn new(cluster: Cluster, faults: Faults, clock: Clock) -> Self {
        let cuts = cluster.nodes.iter().map(|_| watch::Sender::new(0)).collect();
        let pauses = cluster.nodes.iter().map(|_| watch::Sender::new(false)).collect();
        Self {
            cluster: Mutex::new(cluster),
            clock,
            faults,
            changed: Notify::new(),
            cuts,
            pauses,
            connections: AtomicU64::new(0),
        }
    }

    /// This moment.
    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// What the time up to now has brought.
    pub(crate) fn tick(&self) {
        let now = self.now();
        let changed = self.cluster().tick(now);
        if changed {
            self.wake();
        }
    }

    /// The number of the next connection.
    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The state, locked. Never held over an await.
    pub(crate) fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets waiting fetches look again.
    pub(crate) fn wake(&self) {
        self.changed.notify_waiters();
    }

    pub(crate) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// Cuts all connections of a node.
    pub(crate) fn cut(&self, node: i32) {
        let index = usize::try_from(node - 1).ok();
        if let Some(cut) = index.and_then(|index| self.cuts.get(index)) {
            cut.send_modify(|times| *times += 1);
        }
    }

    /// Lets a node stand still, or go on.
    pub(crate) fn pause(&self, node: i32, paused: bool) {
        let index = usize::try_from(node - 1).ok();
        if let Some(pause) = index.and_then(|index| self.pauses.get(index)) {
            pause.send_replace(paused);
        }
    }

    /// Waits while a node stands still.
    async fn while_paused(&self, node: i32) {
        let index = usize::try_from(node - 1).ok();
        if let Some(pause) = index.and_then(|index| self.pauses.get(index)) {
            // The sender is there for as long as this is.
            let _ = pause.subscribe().wait_for(|paused| !paused).await;
        }
    }

    fn cuts_of(&self, node: i32) -> Option<watch::Receiver<u64>> {
        self.cuts.get(usize::try_from(node - 1).ok()?).map(watch::Sender::subscribe)
    }
}

/// Takes in connections of one node until the broker stops.
pub(crate) async fn listen(shared: Arc<Shared>, node: i32, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                admit(&shared, node, stream, peer.ip().to_string());
            }
            // Out of file descriptors, or the peer went away: the next may do better.
            Err(error) => {
                tracing::warn!(node, %error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

fn admit(shared: &Arc<Shared>, node: i32, stream: TcpStream, client_host: String) {
    // In this order, so that a node that goes down in between cuts this one too.
    let Some(cut) = shared.cuts_of(node) else { return };
    if !shared.cluster().is_up(node) {
        return;
    }
    let number = shared.next_connection();
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        connection::serve(&shared, node, number, client_host, stream, cut).await;
    });
}

/// Lets time pass: sessions, transactions, markers, cleaning.
pub(crate) async fn keep_time(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let (backoff, check) = {
        let settings = &shared.cluster().settings;
        (settings.cleaner_backoff, settings.retention_check_interval)
    };
    let (mut compacted, mut checked) = (Instant::now(), Instant::now());
    loop {
        ticks.tick().await;
        shared.tick();
        let now = shared.now();
        if compacted.elapsed() >= backoff {
            shared.cluster().compact(now.ms);
            compacted = Instant::now();
        }
        if checked.elapsed() >= check {
            shared.cluster().apply_retention(now.ms);
            checked = Instant::now();
        }
    }
}
