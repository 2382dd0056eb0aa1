//! What `Debug` shows of a driver and what belongs to it: names and counts, no records.

use std::fmt::{Debug, Formatter, Result};

use oncestream_core::state::Kind;

use super::{TestStore, TopologyTestDriver, TopologyTestDriverBuilder};

impl Debug for TopologyTestDriver {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("TopologyTestDriver")
            .field("application_id", &self.application_id)
            .field("topology", &self.topology)
            .field("instances", &self.instances.len())
            .finish_non_exhaustive()
    }
}

impl Debug for TopologyTestDriverBuilder {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("TopologyTestDriverBuilder")
            .field("application_id", &self.application_id)
            .field("topology", &self.topology)
            .field("guarantee", &self.guarantee)
            .finish_non_exhaustive()
    }
}

impl<K, V, Kd: Kind<K>> Debug for TestStore<'_, K, V, Kd> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let tasks: Vec<_> = self.parts.iter().map(|(task, _)| task).collect();
        f.debug_struct("TestStore").field("tasks", &tasks).finish_non_exhaustive()
    }
}
