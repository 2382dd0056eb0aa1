//! An instance's disk, with the steps at which its process may die.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use oncestream_core::state::{Backend, BackendError, CHECKPOINTS, Keyspace, PairIter, WriteBatch};
use oncestream_engine::ClientError;

use super::super::Sabotage;
use super::super::crash::CommitStep;
use super::site::{Phase, Site};

/// A backend that an instance writes to as long as it lives.
pub(in super::super) struct Disk {
    inner: Arc<dyn Backend>,
    site: Arc<Site>,
    /// What is written is no part of a worker's commits.
    is_apart: bool,
}

impl Disk {
    pub(in super::super) fn new(inner: Arc<dyn Backend>, site: Arc<Site>) -> Self {
        Self { inner, site, is_apart: false }
    }

    /// The same disk for what is written apart from the worker: global tables.
    pub(in super::super) fn apart(inner: Arc<dyn Backend>, site: Arc<Site>) -> Self {
        Self { is_apart: true, ..Self::new(inner, site) }
    }

    fn pass(&self, step: CommitStep) -> Result<(), BackendError> {
        self.site.pass(step).map_err(|error| failed(&error))
    }

    /// The stores' part of a commit.
    fn apply(&self, batch: &WriteBatch) -> Result<(), BackendError> {
        if self.site.phase() == Phase::Flushed {
            self.pass(CommitStep::BeforeOffsets)?;
            self.site.set_phase(Phase::Applied);
        } else {
            self.site.set_phase(Phase::Idle);
        }
        self.inner.commit(batch)?;
        self.pass(CommitStep::AfterApply)?;
        self.site.make_up().map_err(|error| failed(&error))
    }
}

/// The error that a worker gets whose process is gone.
fn failed(error: &ClientError) -> BackendError {
    BackendError::new("driver", "write", error.to_string(), false)
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Backend for Disk {
    fn keyspace(&self, name: &str) -> Result<Arc<dyn Keyspace>, BackendError> {
        let found = self.inner.keyspace(name)?;
        if name == CHECKPOINTS && self.site.is_sabotaged(Sabotage::NoCheckpoints) {
            return Ok(Arc::new(Nothing));
        }
        Ok(found)
    }

    fn drop_keyspace(&self, name: &str) -> Result<(), BackendError> {
        self.pass(CommitStep::BeforeRestore)?;
        self.inner.drop_keyspace(name)
    }

    fn keyspace_names(&self) -> Vec<String> {
        self.inner.keyspace_names()
    }

    fn commit(&self, batch: &WriteBatch) -> Result<(), BackendError> {
        if self.site.phase() != Phase::Idle && !self.is_apart {
            return self.apply(batch);
        }
        self.pass(CommitStep::BeforeRestore)?;
        self.inner.commit(batch)?;
        self.pass(CommitStep::AfterRestore)
    }

    fn write_down(&self) -> Result<(), BackendError> {
        self.inner.write_down()?;
        self.pass(CommitStep::AfterApply)
    }

    fn persist(&self) -> Result<(), BackendError> {
        self.inner.persist()
    }
}

/// Checkpoints that sabotage hides.
struct Nothing;

impl Keyspace for Nothing {
    fn get(&self, _: &[u8], _: &mut dyn FnMut(&[u8])) -> Result<(), BackendError> {
        Ok(())
    }

    fn range<'a>(&'a self, _: Bound<&[u8]>, _: Bound<&[u8]>) -> PairIter<'a> {
        Box::new(std::iter::empty())
    }

    fn range_rev<'a>(&'a self, _: Bound<&[u8]>, _: Bound<&[u8]>) -> PairIter<'a> {
        Box::new(std::iter::empty())
    }
}
