//! The producer of a worker: made, initialised, and its transactions begun.

use std::sync::atomic::Ordering;
use std::time::Duration;

use oncestream_core::commit::Symptom;

use super::{Fact, Failure, Shared, Worker};
use crate::access::Resource;
use crate::client_error::ClientFault as _;
use crate::error::StreamsError;
use crate::ports::{Clock, Ports, WorkerProducer};
use crate::settings::WorkerSettings;
use crate::verdict::Step;

/// Longer than the coordinator may take to settle a transaction that a crash left open.
const INIT_TIMEOUT: Duration = Duration::from_secs(300);
/// The step in which that is tried; the worker can be stopped in between.
pub(super) const INIT_STEP: Duration = Duration::from_secs(5);

/// The transactional id of a worker: stable across restarts, so that a restart fences what the
/// crash left open, and of this worker alone.
pub(super) fn transactional_id(settings: &WorkerSettings, worker: usize) -> String {
    let (app, instance) = (&settings.application_id, &settings.instance_id);
    format!("{app}-{instance}-{worker}")
}

/// Makes a worker's producer; under exactly once it fences and settles its predecessor. `None` if
/// the application is to stop before a coordinator was there for that.
pub(super) fn new_producer<P: Ports>(
    shared: &Shared<P>,
    worker: usize,
) -> Result<Option<P::Producer>, StreamsError> {
    let settings = &shared.settings;
    let id = settings.is_exactly_once().then(|| transactional_id(settings, worker));
    let producer = shared.ports.producer(worker, id.as_deref())?;
    let ready = match id {
        Some(id) => init(shared, &producer, &id)?,
        None => true,
    };
    Ok(ready.then_some(producer))
}

/// False if the application is to stop first.
fn init<P: Ports>(
    shared: &Shared<P>,
    producer: &P::Producer,
    id: &str,
) -> Result<bool, StreamsError> {
    let clock = shared.ports.clock();
    let deadline = clock.now() + INIT_TIMEOUT;
    loop {
        match producer.init(INIT_STEP) {
            Ok(()) => return Ok(true),
            // The same call may be resumed after a time-out.
            Err(e) if e.is_resumable() && clock.now() < deadline => {
                if shared.stop.load(Ordering::Acquire) {
                    tracing::warn!(error = %e, id, "stopping: what is open is left to its timeout");
                    return Ok(false);
                }
                tracing::info!(error = %e, id, "waiting for the transaction coordinator");
            }
            Err(e) => {
                if e.denied() == Some(Resource::TransactionalId) {
                    return Err(StreamsError::not_authorized(
                        Resource::TransactionalId,
                        id,
                        "Write",
                    ));
                }
                let action = format!("initialising transactional id {id}");
                return Err(StreamsError::client(action, e));
            }
        }
    }
}

impl<P: Ports> Worker<P> {
    /// Opens a transaction if none is open. False if that failed and the tasks were started anew.
    pub(super) fn ensure_open(&mut self) -> Result<bool, StreamsError> {
        if !self.machine.is_open() {
            self.times.opened(self.shared.ports.clock().now());
            self.report(Fact::Work)?;
        }
        Ok(self.machine.is_open())
    }

    /// Begins a transaction of the producer's.
    pub(super) fn begin_transaction(&mut self) -> Fact {
        let Some(producer) = &mut self.producer else {
            return Fact::Failed(Failure::silent(Symptom::NoProducer));
        };
        match producer.begin() {
            Ok(()) => Fact::Done,
            Err(e) => {
                Fact::Failed(self.client_failed("beginning a transaction", e, Step::Transaction))
            }
        }
    }
}
