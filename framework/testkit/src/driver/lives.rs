//! How instances end and begin: crashes at a step or now, calls that fail, stops and starts.

use oncestream_core::graph::Graph;

use super::crash::CommitStep;
use super::instance::Instance;
use super::{DriverError, TopologyTestDriver};

impl TopologyTestDriver {
    /// Crashes at the next such step: the call that gets there fails with
    /// [`DriverError::Crashed`], and the instance that did is gone.
    pub fn crash_at(&mut self, step: CommitStep) {
        self.world.crashes().at_step(step);
    }

    /// Crashes at the n-th step of a worker, counted from 1 since the driver was built. With
    /// [`Self::commit_steps`] a test can crash at every step in turn.
    pub fn crash_at_count(&mut self, count: u64) {
        self.world.crashes().at_count(count);
    }

    /// Lets the n-th step of a worker fail, once, as if the broker did not answer: the worker finds its
    /// way back by itself. Counted as by [`Self::crash_at_count`].
    pub fn fail_at_count(&mut self, count: u64) {
        self.world.crashes().fail_at_count(count);
    }

    /// How many steps of workers were passed since the driver was built: calls that changed something
    /// in the broker or on a disk.
    pub fn commit_steps(&self) -> u64 {
        self.world.crashes().passed()
    }

    /// Crashes now: everything in memory is lost.
    pub fn crash(&mut self) {
        for instance in &mut self.instances {
            instance.kill(&self.world);
        }
    }

    /// Crashes one instance, counted from 0. The others go on with the next call.
    pub fn crash_instance(&mut self, instance: usize) {
        if let Some(instance) = self.instances.get_mut(instance) {
            instance.kill(&self.world);
        }
    }

    /// Ends one instance in order, counted from 0: it commits and leaves the group.
    ///
    /// # Errors
    /// When its last commit fails, or a crash was asked for.
    pub fn stop_instance(&mut self, instance: usize) -> Result<(), DriverError> {
        match self.instances.get_mut(instance) {
            Some(instance) => instance.stop(&self.world),
            None => Ok(()),
        }
    }

    /// Starts one instance, counted from 0, that is down. It takes part with the next call.
    ///
    /// # Errors
    /// When the topology does not fit the topics, or another crash was asked for.
    pub fn start_instance(&mut self, instance: usize) -> Result<(), DriverError> {
        match self.instances.get_mut(instance) {
            Some(instance) if instance.is_down() => {
                instance.start(&self.world, Graph::of(&self.topology))
            }
            _ => Ok(()),
        }
    }

    /// Crashes now and loses the disk as well: the stores come back from their changelogs alone.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn crash_and_lose_disk(&mut self) -> Result<(), DriverError> {
        self.crash();
        for backend in self.instances.iter().map(|instance| &instance.backend) {
            for keyspace in backend.keyspace_names() {
                backend.drop_keyspace(&keyspace)?;
            }
        }
        Ok(())
    }

    /// True after a crash or an error, until [`Self::recover`]: no instance runs.
    pub fn is_down(&self) -> bool {
        self.instances.iter().all(Instance::is_down)
    }

    /// Starts what is down anew: its open transaction is aborted, stores are restored from their
    /// checkpoints on, and processing goes on from the committed offsets. A driver all of which runs is
    /// crashed first.
    ///
    /// # Errors
    /// When a task cannot be made or fails, or another crash was asked for.
    pub fn recover(&mut self) -> Result<(), DriverError> {
        if !self.instances.iter().any(Instance::is_down) {
            self.crash();
        }
        for instance in self.instances.iter_mut().filter(|instance| instance.is_down()) {
            instance.start(&self.world, Graph::of(&self.topology))?;
        }
        self.run()
    }
}
