//! The place for stores: the backend, and which worker of the instance owns which task.
//!
//! Invariants:
//! - A worker's batch is applied to a task's stores only while the worker owns the task.
//! - Global tables have no owner: one thread of the instance writes them (`Globals`).
//! - No lock is held while a disk writes: whoever claims a task waits for a write of that task alone.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use oncestream_core::TaskId;
use oncestream_core::state::{Backend, BackendError, WriteBatch};

/// What all workers of an instance keep their stores in.
pub struct Stores {
    backend: Arc<dyn Backend>,
    owners: Mutex<HashMap<TaskId, Owner>>,
    /// A write has ended.
    written: Condvar,
    /// Told when a batch was not written.
    on_failure: Box<dyn Fn(&BackendError) + Send + Sync>,
    /// What has failed apart from the workers, for the first of them that asks.
    failure: Mutex<Option<BackendError>>,
    has_failed: AtomicBool,
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("has_failed", &self.has_failed).finish_non_exhaustive()
    }
}

/// Who owns a task.
#[derive(Clone, Copy)]
struct Owner {
    worker: usize,
    /// A batch with its stores is being written.
    is_writing: bool,
}

impl Stores {
    /// Stores in a backend. `on_failure` is called when the backend does not write a batch.
    pub fn new(
        backend: Arc<dyn Backend>,
        on_failure: impl Fn(&BackendError) + Send + Sync + 'static,
    ) -> Self {
        Self {
            backend,
            owners: Mutex::default(),
            written: Condvar::new(),
            on_failure: Box::new(on_failure),
            failure: Mutex::default(),
            has_failed: AtomicBool::new(false),
        }
    }

    /// Where they are kept.
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<TaskId, Owner>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a worker the owner of a task, whoever it was before. What that one is writing is written
    /// when this returns.
    pub fn claim(&self, task: TaskId, worker: usize) {
        let mut owners = self.owners();
        while owners.get(&task).is_some_and(|owner| owner.is_writing) {
            owners = self.written.wait(owners).unwrap_or_else(PoisonError::into_inner);
        }
        owners.insert(task, Owner { worker, is_writing: false });
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
        let tasks: Vec<TaskId> = tasks.collect();
        {
            let mut owners = self.owners();
            let is_own = |task| owners.get(task).is_some_and(|owner| owner.worker == worker);
            if !tasks.iter().all(is_own) {
                return Ok(false);
            }
            for task in &tasks {
                owners.insert(*task, Owner { worker, is_writing: true });
            }
        }
        let _writing = Writing { stores: self, tasks, worker };
        self.backend.commit(batch).inspect_err(|error| (self.on_failure)(error))?;
        Ok(true)
    }

    /// Applies a batch of global tables, which one thread of the instance writes.
    ///
    /// # Errors
    /// The backend has not written it.
    pub fn apply_global(&self, batch: &WriteBatch) -> Result<(), BackendError> {
        self.backend.commit(batch).inspect_err(|error| (self.on_failure)(error))
    }

    /// Lets nothing wait in memory that a kill would take.
    ///
    /// # Errors
    /// The backend has not written it.
    pub fn write_down(&self) -> Result<(), BackendError> {
        self.backend.write_down().inspect_err(|error| (self.on_failure)(error))
    }

    /// [`Self::write_down`] apart from the workers. An error is kept for [`Self::take_failure`].
    pub fn write_down_apart(&self) {
        if let Err(error) = self.write_down() {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            *failure = Some(error);
            self.has_failed.store(true, Ordering::Release);
        }
    }

    /// Why what waits in memory could not be written, once. A worker that has nothing to commit would
    /// not find out by itself.
    pub fn take_failure(&self) -> Option<BackendError> {
        if !self.has_failed.load(Ordering::Acquire) {
            return None;
        }
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_failed.store(false, Ordering::Release);
        failure.take()
    }
}

/// A write of stores of these tasks; it ends when this is dropped, also by a panic of the backend.
struct Writing<'a> {
    stores: &'a Stores,
    tasks: Vec<TaskId>,
    worker: usize,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut owners = self.stores.owners();
        for task in &self.tasks {
            owners.insert(*task, Owner { worker: self.worker, is_writing: false });
        }
        self.stores.written.notify_all();
    }
}
