//! Topics that came since the start: the internal topics that waited for them are made now.

use super::Worker;
use super::rebalance::{COUNTS_DEADLINE, COUNTS_LOOK};
use crate::error::StreamsError;
use crate::ports::{Cluster, Ports, Topics};
use crate::topics;

impl<P: Ports> Worker<P> {
    /// Makes the plan of the start again if patterns may have taken topics in since, and creates
    /// what is missing; true if there was something. A topic that must not be read stops the worker
    /// here, before it has tasks.
    pub(super) fn ensure_internal_topics(&self) -> Result<bool, StreamsError> {
        let (settings, topology) = (&self.shared.settings, &self.shared.topology);
        if !topology.has_patterns() {
            return Ok(false);
        }
        let deadline = self.now() + COUNTS_DEADLINE;
        let (there, wanted) = loop {
            let there = self.topics()?;
            let (id, dead) = (&settings.application_id, settings.dead_letter_topic.as_deref());
            let planned = topics::plan(topology, id, dead, self.cluster(), &there);
            match planned {
                Ok(wanted) if self.knows_assigned(&there) || self.now() >= deadline => {
                    break (there, wanted);
                }
                Err(error) if self.now() >= deadline => return Err(error),
                Ok(_) | Err(_) => self.sleep(COUNTS_LOOK),
            }
        };
        let is_missing = wanted.topics().any(|(topic, _)| !there.contains_key(topic));
        self.cluster().ensure(&wanted)?;
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
        Ok(topics::reads_nothing(topology, &self.shared.settings.application_id, &there))
    }
}
