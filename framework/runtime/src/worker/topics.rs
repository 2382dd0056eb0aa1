//! Topics that came since the start: the internal topics that waited for them are made now.

use std::time::Instant;

use super::Worker;
use super::rebalance::{COUNTS_DEADLINE, COUNTS_LOOK};
use crate::error::StreamsError;
use crate::start::{self, Topics};

impl Worker {
    /// Makes the plan of the start again if patterns may have taken topics in since, and creates
    /// what is missing; true if there was something. A topic that must not be read stops the worker
    /// here, before it has tasks.
    pub(super) fn ensure_internal_topics(&self) -> Result<bool, StreamsError> {
        let (config, topology) = (&self.shared.config, &self.shared.topology);
        if !topology.has_patterns() {
            return Ok(false);
        }
        let admin = &self.shared.admin;
        let deadline = Instant::now() + COUNTS_DEADLINE;
        let (there, wanted) = loop {
            let there = self.topics()?;
            let planned = start::plan(topology, config, admin, &there);
            match planned {
                Ok(wanted) if self.knows_assigned(&there) || Instant::now() >= deadline => {
                    break (there, wanted);
                }
                Err(error) if Instant::now() >= deadline => return Err(error),
                Ok(_) | Err(_) => std::thread::sleep(COUNTS_LOOK),
            }
        };
        let is_missing = wanted.topics().any(|(topic, _)| !there.contains_key(topic));
        self.shared.runtime.block_on(admin.ensure(&wanted, config.replication_factor()))?;
        if is_missing {
            tracing::info!(worker = self.index, "internal topics were created for new inputs");
        }
        Ok(is_missing)
    }

    /// Whether brokers know what this member was given.
    pub(super) fn knows_assigned(&self, there: &Topics) -> bool {
        self.assigned.iter().all(|p| there.get(&p.topic).is_some_and(|n| *n > p.partition))
    }

    /// Whether the group has nothing to give: the client does not even join while none of its
    /// topics is there, and looks for them from time to time.
    pub(super) fn waits_for_topics(&self) -> Result<bool, StreamsError> {
        let topology = &self.shared.topology;
        if !topology.has_patterns() {
            return Ok(false);
        }
        let there = self.topics()?;
        Ok(start::reads_nothing(topology, self.shared.config.application_id(), &there))
    }
}
