//! An instance of the application: its disk, and, while it lives, the engine's worker and global tables.
//!
//! It knows no tests. Dropped without [`Instance::stop`], a life is a crash: what is in the broker and on
//! the disk stays as it is.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oncestream_core::graph::Graph;
use oncestream_core::state::{Backend, CHECKPOINTS};
use oncestream_core::task::Task;
use oncestream_engine::global::{self, Globals};
use oncestream_engine::ports::Cluster;
use oncestream_engine::worker::{Shared, Worker};
use oncestream_engine::{StreamsError, WorkerSettings, topics};
use oncestream_stores::WriteBehind;

use super::DriverError;
use super::builder::Participants;
use super::ports::{Link, LocalCluster, LocalPorts, Site, World};

/// The only worker of an instance.
const WORKER: usize = 0;

/// What a life is made of.
struct Life {
    site: Arc<Site>,
    /// Its global tables, if the topology has any.
    globals: Option<Globals<LocalPorts>>,
    worker: Worker<LocalPorts>,
    /// The instance's disk, with what waits in this life's memory.
    disk: Arc<dyn Backend>,
}

/// An instance.
pub(super) struct Instance {
    pub(super) settings: WorkerSettings,
    pub(super) backend: Arc<dyn Backend>,
    waiting_max_bytes: Option<usize>,
    pub(super) participants: Participants,
    /// `None` while it is down.
    life: Option<Life>,
}

impl Instance {
    pub(super) fn new(
        settings: WorkerSettings,
        backend: Arc<dyn Backend>,
        waiting_max_bytes: Option<usize>,
        participants: Participants,
    ) -> Self {
        Self { settings, backend, waiting_max_bytes, participants, life: None }
    }

    pub(super) fn is_down(&self) -> bool {
        self.life.is_none()
    }

    /// Starts it as the runtime does: checks the topology, makes the internal topics, and then the
    /// worker, whose producer settles what an earlier life has left open.
    ///
    /// # Errors
    /// The topology does not fit the topics, or the instance crashes on its way.
    pub(super) fn start(
        &mut self,
        world: &Arc<World>,
        topology: &Graph,
    ) -> Result<(), DriverError> {
        self.kill(world);
        let site = Arc::new(Site::new(world, self.settings.is_exactly_once()));
        let disk: Arc<dyn Backend> = match self.waiting_max_bytes {
            Some(max) => Arc::new(WriteBehind::new(self.backend.clone(), max)),
            None => self.backend.clone(),
        };
        let made = self.threads(&site, &disk, topology).and_then(|(globals, worker)| {
            let unmade = || StreamsError::TimedOut {
                action: "the start of an instance".to_owned(),
                waited: std::time::Duration::ZERO,
            };
            Ok((globals, worker.ok_or_else(unmade)?))
        });
        let result = made.map(|(globals, worker)| {
            self.life = Some(Life { site: site.clone(), globals, worker, disk });
        });
        site.judge(result).inspect_err(|_| site.kill())
    }

    /// What the runtime has threads for: the global tables, which are restored before the worker is made.
    fn threads(
        &self,
        site: &Arc<Site>,
        disk: &Arc<dyn Backend>,
        topology: &Graph,
    ) -> Result<(Option<Globals<LocalPorts>>, Option<Worker<LocalPorts>>), StreamsError> {
        let settings = &self.settings;
        let cluster = LocalCluster::new(Link::new(site, "start"));
        let there = cluster.topics()?;
        let dead_letters = settings.dead_letter_topic.as_deref();
        let id = &settings.application_id;
        let wanted = topics::plan(topology, id, dead_letters, &cluster, &there)?;
        cluster.ensure(&wanted)?;
        disk.keyspace(CHECKPOINTS)?;
        let participants = self.participants.clone();
        let shared = Shared {
            settings: settings.clone(),
            topology: topology.clone(),
            ports: LocalPorts::new(site, settings, disk.clone(), participants),
            stop: Arc::new(AtomicBool::new(false)),
            on_worker_state: Box::new(|_, _| {}),
        };
        let shared = Arc::new(shared);
        let mut globals = Globals::new(shared.clone(), global::Life::First)?;
        if let Some(globals) = &mut globals {
            catch_up(globals)?;
        }
        Ok((globals, Worker::new(WORKER, shared)?))
    }

    /// Takes in what the topics of global tables have. True if there was something.
    ///
    /// # Errors
    /// As [`Self::with_worker`].
    pub(super) fn catch_up(&mut self) -> Result<bool, DriverError> {
        let Some(Life { site, globals: Some(globals), .. }) = &mut self.life else {
            return Ok(false);
        };
        let result = catch_up(globals);
        let site = site.clone();
        site.judge(result).inspect_err(|_| self.kill(&site.world))
    }

    /// Its global tables, if it lives.
    pub(super) fn globals(&self) -> Option<&Globals<LocalPorts>> {
        self.life.as_ref()?.globals.as_ref()
    }

    /// Does something with the worker, if it lives. After an error it is gone: there is no undo.
    ///
    /// # Errors
    /// What the worker says, or the crash that was asked for.
    pub(super) fn with_worker<R>(
        &mut self,
        act: impl FnOnce(&mut Worker<LocalPorts>) -> Result<R, StreamsError>,
    ) -> Result<Option<R>, DriverError> {
        let Some(life) = &mut self.life else { return Ok(None) };
        let result = act(&mut life.worker);
        let site = life.site.clone();
        site.judge(result).map(Some).inspect_err(|_| self.kill(&site.world))
    }

    /// The worker, if it lives.
    pub(super) fn worker_if_up(&self) -> Option<&Worker<LocalPorts>> {
        self.life.as_ref().map(|life| &life.worker)
    }

    pub(super) fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.worker_if_up().into_iter().flat_map(Worker::tasks)
    }

    /// The process is gone. Its session ends at once, as if its time was over: the test would only have
    /// to wait. Its transaction stays open.
    pub(super) fn kill(&mut self, world: &World) {
        let Some(life) = self.life.take() else { return };
        life.site.kill();
        if let Some(member) = life.site.member() {
            world.broker.expire_member(&self.settings.application_id, &member);
        }
    }

    /// Ends it in order: the last commit, then it leaves the group.
    pub(super) fn stop(&mut self, world: &World) -> Result<(), DriverError> {
        let disk = self.life.as_ref().map(|life| life.disk.clone());
        let stopped = self.with_worker(|worker| {
            worker.close(Ok(()))?;
            Ok(disk.map_or(Ok(()), |disk| disk.write_down())?)
        });
        match stopped {
            Ok(_) => {
                self.life = None;
                Ok(())
            }
            Err(error) => {
                self.kill(world);
                Err(error)
            }
        }
    }

    /// How many records of changelogs this life has read back, by topic.
    pub(super) fn restored_records(&self) -> std::collections::BTreeMap<String, u64> {
        self.life.as_ref().map(|life| life.site.restored_records()).unwrap_or_default()
    }
}

/// Reads what there is of the topics of global tables. True if there was something.
fn catch_up(globals: &mut Globals<LocalPorts>) -> Result<bool, StreamsError> {
    let mut moved = false;
    loop {
        globals.turn()?;
        if !globals.is_busy() {
            return Ok(moved);
        }
        moved = true;
    }
}
