//! One life of an instance, from its start to its crash: what all its ports share.
//!
//! Invariant: after a crash no port changes anything, so that the world stays as the crash found it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oncestream_engine::{ClientError, StreamsError};

use super::super::crash::{CommitStep, Passed};
use super::super::{DriverError, Sabotage};
use super::errors;
use super::world::{World, lock};

/// How far a commit is, as far as ports can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none.
    Idle,
    /// All is flushed and acknowledged.
    Flushed,
    /// The broker has committed, and the stores are not applied.
    Committed,
    /// The stores are applied, and the offsets are not sent: at least once.
    Applied,
}

/// One life of an instance.
pub(in super::super) struct Site {
    pub(in super::super) world: Arc<World>,
    /// Exactly once, or at least once.
    pub(super) is_exactly_once: bool,
    dead: AtomicBool,
    phase: Mutex<Phase>,
    /// What the group's coordinator names the member of this life.
    member: Mutex<Option<String>>,
    /// How many records of changelogs were read back, by topic.
    restored: Mutex<BTreeMap<String, u64>>,
    /// The end of a transaction that sabotage puts off.
    put_off: Mutex<Option<Box<dyn FnOnce() -> Result<(), ClientError> + Send>>>,
}

impl Site {
    pub(in super::super) fn new(world: &Arc<World>, is_exactly_once: bool) -> Self {
        Self {
            world: world.clone(),
            is_exactly_once,
            dead: AtomicBool::new(false),
            phase: Mutex::new(Phase::Idle),
            member: Mutex::default(),
            restored: Mutex::default(),
            put_off: Mutex::default(),
        }
    }

    /// The instance is gone, in the middle of whatever it was doing.
    pub(in super::super) fn kill(&self) {
        self.dead.store(true, Ordering::Release);
    }

    pub(in super::super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Whether a call may do anything.
    pub(super) fn check(&self) -> Result<(), ClientError> {
        if self.is_dead() { Err(errors::no_answer()) } else { Ok(()) }
    }

    /// A call that changes something is at a step; the instance may crash there, or the call fail.
    pub(super) fn pass(&self, step: CommitStep) -> Result<(), ClientError> {
        self.check()?;
        match self.world.crashes().pass(step) {
            Passed::On => Ok(()),
            Passed::Fails => Err(errors::no_answer()),
            Passed::Crashes => {
                self.kill();
                Err(errors::crashed(step))
            }
        }
    }

    /// What became of a call of the worker: whatever it says, if it has crashed it has crashed.
    pub(in super::super) fn judge<R>(
        &self,
        result: Result<R, StreamsError>,
    ) -> Result<R, DriverError> {
        match self.world.crashes().take_crashed().filter(|_| self.is_dead()) {
            Some(step) => Err(DriverError::Crashed { step }),
            None => Ok(result?),
        }
    }

    pub(super) fn set_member(&self, member: &str) {
        *lock(&self.member) = Some(member.to_owned()).filter(|member| !member.is_empty());
    }

    pub(in super::super) fn member(&self) -> Option<String> {
        lock(&self.member).clone()
    }

    pub(super) fn phase(&self) -> Phase {
        *lock(&self.phase)
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }

    pub(super) fn is_sabotaged(&self, by: Sabotage) -> bool {
        self.world.options.sabotage == Some(by)
    }

    /// Puts the end of a transaction off until the stores are applied.
    pub(super) fn put_off(&self, end: impl FnOnce() -> Result<(), ClientError> + Send + 'static) {
        *lock(&self.put_off) = Some(Box::new(end));
    }

    /// Ends the transaction that was put off.
    pub(super) fn make_up(&self) -> Result<(), ClientError> {
        let end = lock(&self.put_off).take();
        end.map_or(Ok(()), |end| end())
    }

    pub(super) fn restored(&self, changelog: &str, records: u64) {
        *lock(&self.restored).entry(changelog.to_owned()).or_default() += records;
    }

    /// How many records of each changelog were read back.
    pub(in super::super) fn restored_records(&self) -> BTreeMap<String, u64> {
        lock(&self.restored).clone()
    }

    pub(super) fn now(&self) -> Instant {
        self.world.clock.now(&self.world.broker)
    }

    pub(super) fn sleep(&self, time: Duration) {
        self.world.broker.advance(time);
    }
}
