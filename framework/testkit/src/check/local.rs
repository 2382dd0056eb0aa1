//! An instance in this process: a `Streams` on the embedded broker.

use std::path::Path;
use std::time::{Duration, Instant};

use oncestream_core::graph::Topology;
use oncestream_runtime::{ClientState, Streams, StreamsConfig, StreamsError};
use tokio::runtime::Handle;

use super::instance::Standing;
use super::settings::{Caching, Setup};

/// A process that another case starts holds all open files for a moment, the lock of a state
/// directory among them.
const UNLOCKED: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);

/// An application, and the executor for its asynchronous edges.
pub(super) struct Local {
    /// Why it is gone, if it is.
    streams: Result<Streams, String>,
    handle: Handle,
    has_run: bool,
}

impl Local {
    /// Starts an instance. One that cannot start is an instance that stopped with an error.
    pub(super) fn start(
        handle: &Handle,
        setup: &Setup,
        servers: &str,
        state_dir: &Path,
        instance: &str,
        caching: Caching,
    ) -> Result<Self, String> {
        let config = setup.config(servers, state_dir, instance, caching)?;
        Self::start_with(handle, (setup.topology)(), config, setup.deadline)
    }

    /// The same from what it is made of.
    pub(super) fn start_with(
        handle: &Handle,
        topology: Topology,
        config: StreamsConfig,
        limit: Duration,
    ) -> Result<Self, String> {
        let until = Instant::now() + UNLOCKED;
        let streams = loop {
            let starting = Streams::builder(topology.clone(), config.clone()).start();
            match handle.block_on(async { tokio::time::timeout(limit, starting).await }) {
                Ok(Err(StreamsError::StateDirInUse { .. })) if Instant::now() < until => {
                    std::thread::sleep(LOOK);
                }
                Ok(started) => break started.map_err(|error| error.to_string()),
                Err(_) => return Err("the start hangs".to_owned()),
            }
        };
        Ok(Self { streams, handle: handle.clone(), has_run: false })
    }
}

impl Local {
    /// How it stands now.
    pub(super) fn standing(&mut self) -> Standing {
        let streams = match &self.streams {
            Ok(streams) => streams,
            Err(error) => return Standing::Stopped(error.clone()),
        };
        match streams.state() {
            ClientState::PendingError | ClientState::Error => {
                let ended = self.handle.block_on(streams.shutdown());
                let error = ended.err().map_or("no error was told".to_owned(), |e| e.to_string());
                self.streams = Err(error.clone());
                Standing::Stopped(error)
            }
            _ => Standing::Up,
        }
    }

    /// Whether all its tasks have run since it was started.
    pub(super) fn has_run(&mut self) -> bool {
        let runs = self.streams.as_ref().is_ok_and(|s| s.state() == ClientState::Running);
        self.has_run |= runs;
        self.has_run
    }

    /// Commits and stops.
    pub(super) fn stop(self, limit: Duration) -> Result<(), String> {
        let streams = self.streams?;
        let stopping = async { tokio::time::timeout(limit, streams.shutdown()).await };
        match self.handle.block_on(stopping) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the shutdown hangs".to_owned()),
        }
    }
}
