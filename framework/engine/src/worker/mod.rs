//! A stub.
#![allow(missing_docs)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oncestream_core::graph::Topology;

use crate::error::StreamsError;
use crate::ports::Ports;
use crate::settings::WorkerSettings;

pub struct Shared<P: Ports> {
    pub settings: WorkerSettings,
    pub topology: Topology,
    pub ports: P,
    pub stop: Arc<AtomicBool>,
    pub on_worker_state: Box<dyn Fn(usize, WorkerState) + Send + Sync>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    Rebalancing,
    Running,
}

pub fn run<P: Ports>(_index: usize, _shared: Arc<Shared<P>>) -> Result<(), StreamsError> {
    Ok(())
}
