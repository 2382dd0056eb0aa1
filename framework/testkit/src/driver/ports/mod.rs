//! The engine's ports on the embedded broker's state: no socket, no thread, and time by hand.
//!
//! Invariant: each call that changes something in the broker or on the disk passes a step, where the
//! test can let its instance crash.

mod assignor;
mod backend;
mod changelogs;
mod clock;
mod cluster;
mod consumer;
mod errors;
mod fetcher;
mod link;
mod membership;
mod offsets;
mod producer;
mod protocol;
mod refusals;
mod site;
#[cfg(test)]
mod tests;
mod transaction;
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use oncestream_core::state::Backend;
use oncestream_engine::ports::{Clock, Ports, Stores, Subscription};
use oncestream_engine::{
    ClientError, ClientFault as _, ErrorKind, Participant, StreamsError, WorkerSettings,
};

pub(super) use cluster::LocalCluster;
pub(super) use consumer::headers;
pub(crate) use consumer::raw;
pub(super) use errors::{check, no_answer};
pub(super) use fetcher::Fetcher;
pub(super) use link::{Link, text};
pub(super) use site::Site;
pub(super) use world::{Options, World, lock};

use super::builder::Participants;
use backend::Disk;
use changelogs::LocalChangelogs;
use consumer::LocalConsumer;
use membership::GroupOptions;
use offsets::Generation;
use producer::LocalProducer;

/// What ports need to know of the settings of the workers.
#[derive(Clone, Debug)]
struct Names {
    application_id: Arc<str>,
    instance_id: Arc<str>,
    session_timeout: Duration,
    max_poll_interval: Duration,
    transaction_timeout: Duration,
}

/// The ports of one life of an instance.
pub(super) struct LocalPorts {
    site: Arc<Site>,
    names: Names,
    cluster: LocalCluster,
    clock: LocalClock,
    stores: Arc<Stores>,
    global_stores: Arc<Stores>,
    participants: Participants,
}

impl LocalPorts {
    pub(super) fn new(
        site: &Arc<Site>,
        settings: &WorkerSettings,
        disk: Arc<dyn Backend>,
        participants: Participants,
    ) -> Self {
        let names = Names {
            application_id: settings.application_id.clone(),
            instance_id: settings.instance_id.clone(),
            session_timeout: settings.session_timeout,
            max_poll_interval: settings.max_poll_interval,
            transaction_timeout: settings.transaction_timeout,
        };
        let apart = Arc::new(Disk::apart(disk.clone(), site.clone()));
        let disk = Arc::new(Disk::new(disk, site.clone()));
        Self {
            cluster: LocalCluster::new(Link::new(site, &client_id(&names, None, "admin"))),
            clock: LocalClock(site.clone()),
            // What was not written shows as an error of the call.
            stores: Arc::new(Stores::new(disk, |_| {})),
            global_stores: Arc::new(Stores::new(apart, |_| {})),
            participants,
            site: site.clone(),
            names,
        }
    }

    fn link(&self, worker: usize, role: &str) -> Link {
        Link::new(&self.site, &client_id(&self.names, Some(worker), role))
    }
}

/// What a client names itself, as in the runtime.
fn client_id(names: &Names, worker: Option<usize>, role: &str) -> String {
    let Names { application_id, instance_id, .. } = names;
    match worker {
        Some(worker) => format!("{application_id}-{instance_id}-worker-{worker}-{role}"),
        None => format!("{application_id}-{instance_id}-{role}"),
    }
}

impl Ports for LocalPorts {
    type Generation = Arc<Generation>;
    type Consumer = LocalConsumer;
    type Producer = LocalProducer;
    type Changelogs = LocalChangelogs;
    type Cluster = LocalCluster;
    type Clock = LocalClock;

    fn consumer(
        &self,
        worker: usize,
        subscription: &Subscription,
    ) -> Result<LocalConsumer, StreamsError> {
        let options = GroupOptions {
            group: self.names.application_id.to_string(),
            session_timeout: self.names.session_timeout,
            rebalance_timeout: self.names.max_poll_interval,
        };
        LocalConsumer::new(self.link(worker, "consumer"), options, subscription).map_err(|error| {
            StreamsError::client(
                "subscribing to a pattern",
                ClientError::new(ErrorKind::Unfit, error),
            )
        })
    }

    fn producer(
        &self,
        worker: usize,
        transactional_id: Option<&str>,
    ) -> Result<LocalProducer, StreamsError> {
        let link = self.link(worker, "producer");
        Ok(LocalProducer::new(link, transactional_id, self.names.transaction_timeout))
    }

    fn changelogs(&self, worker: usize) -> Result<LocalChangelogs, StreamsError> {
        Ok(LocalChangelogs::of_restores(self.link(worker, "restore")))
    }

    fn globals(&self) -> Result<LocalChangelogs, StreamsError> {
        let link = Link::new(&self.site, &client_id(&self.names, None, "global"));
        Ok(LocalChangelogs::of_globals(link))
    }

    fn cluster(&self) -> &LocalCluster {
        &self.cluster
    }

    fn clock(&self) -> &LocalClock {
        &self.clock
    }

    fn stores(&self) -> &Arc<Stores> {
        &self.stores
    }

    fn global_stores(&self) -> &Arc<Stores> {
        &self.global_stores
    }

    fn participants(&self, worker: usize) -> Vec<Box<dyn Participant>> {
        self.participants.iter().map(|make| make(worker)).collect()
    }
}

/// The clock as the workers of an instance see it.
pub(super) struct LocalClock(Arc<Site>);

impl Clock for LocalClock {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn wall_clock_ms(&self) -> i64 {
        self.0.world.broker.now_ms()
    }

    fn sleep(&self, time: Duration) {
        self.0.sleep(time);
    }
}
