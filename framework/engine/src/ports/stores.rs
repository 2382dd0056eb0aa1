//! The place for stores: the backend, and which worker of the instance owns which task.
//!
//! Invariant: a worker's batch is applied to a task's stores only while the worker owns the task.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use oncestream_core::TaskId;
use oncestream_core::state::{Backend, BackendError, WriteBatch};

/// What all workers of an instance keep their stores in.
pub struct Stores {
    backend: Arc<dyn Backend>,
    /// The worker of each task.
    owners: Mutex<HashMap<TaskId, usize>>,
    /// Told when a batch was not written.
    on_failure: Box<dyn Fn(&BackendError) + Send + Sync>,
}

impl Stores {
    /// Stores in a backend. `on_failure` is told when it does not write a batch.
    pub fn new(
        backend: Arc<dyn Backend>,
        on_failure: impl Fn(&BackendError) + Send + Sync + 'static,
    ) -> Self {
        Self { backend, owners: Mutex::default(), on_failure: Box::new(on_failure) }
    }

    /// Where they are kept.
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// Makes a worker the owner of a task, whoever it was before.
    pub fn claim(&self, task: TaskId, worker: usize) {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).insert(task, worker);
    }

    /// Applies a worker's batch if it still owns all the tasks in it. False if it does not: then
    /// nothing is written, and the stores follow the changelog where they are now.
    ///
    /// # Errors
    /// The backend has not written it.
    pub fn apply(
        &self,
        worker: usize,
        tasks: impl Iterator<Item = TaskId>,
        batch: &WriteBatch,
    ) -> Result<bool, BackendError> {
        // Held while writing, so that a claim waits for the batch or the batch sees the claim.
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        for task in tasks {
            if owners.get(&task) != Some(&worker) {
                return Ok(false);
            }
        }
        self.backend.commit(batch).inspect_err(|error| (self.on_failure)(error))?;
        Ok(true)
    }
}
