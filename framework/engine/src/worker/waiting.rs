//! Tasks with a store that lack an input, and wait for it. Their partitions are paused.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use oncestream_core::commit::{Fact, Symptom};
use oncestream_core::{TaskId, TopicPartition};

use super::assignment;
use super::{Failure, Worker};
use crate::error::StreamsError;
use crate::ports::{Cluster, GroupConsumer, Ports};

/// How soon and how seldom the worker looks after tasks that lack an input, and how often it logs them.
const LOOK: Duration = Duration::from_secs(1);
const MAX_LOOK: Duration = Duration::from_secs(30);
const TOLD: Duration = Duration::from_secs(30);

/// The tasks that wait, and what they lack.
pub(super) struct Waiting {
    tasks: BTreeMap<TaskId, Vec<TopicPartition>>,
    next_look: Instant,
    pause: Duration,
    told: Option<Instant>,
}

impl Waiting {
    /// Nobody waits.
    pub(super) fn new(now: Instant) -> Self {
        Self { tasks: BTreeMap::new(), next_look: now, pause: LOOK, told: None }
    }

    /// These wait from now on.
    pub(super) fn begin(&mut self, tasks: BTreeMap<TaskId, Vec<TopicPartition>>, now: Instant) {
        *self = Self { tasks, ..Self::new(now) };
    }

    pub(super) fn clear(&mut self) {
        self.tasks.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Whether it is time to look after them; the next time is later.
    fn is_due(&mut self, now: Instant) -> bool {
        if self.tasks.is_empty() || now < self.next_look {
            return false;
        }
        self.next_look = now + self.pause;
        self.pause = (self.pause * 2).min(MAX_LOOK);
        true
    }

    fn is_to_be_told(&mut self, now: Instant) -> bool {
        let is_due = self.told.is_none_or(|told| now >= told + TOLD);
        if is_due {
            self.told = Some(now);
        }
        is_due
    }
}

impl<P: Ports> Worker<P> {
    /// Tasks that lack an input wait for a rebalance that brings it: another member has it until
    /// it learns of a topic, or until it is upgraded. The client is made to look at the topics of
    /// its subscription, so that this does not take until its metadata is refreshed.
    pub(super) fn look_after_waiting(&mut self) -> Result<(), StreamsError> {
        let now = self.now();
        if !self.waiting.is_due(now) {
            return Ok(());
        }
        if self.waiting.is_to_be_told(now) {
            for (task, lacks) in &self.waiting.tasks {
                let lacks: Vec<String> = lacks.iter().map(ToString::to_string).collect();
                tracing::warn!(
                    worker = self.index, %task, lacks = lacks.join(", "),
                    "a task waits, because inputs of its store are not assigned to this member: \
                     another member has them, or does not know of them yet"
                );
            }
        }
        self.consumer.look_for_topics();
        // The topic that is lacked may be gone by now. A broker that is away is no answer.
        let Ok(there) = self.cluster().topics() else { return Ok(()) };
        let application_id = &*self.shared.settings.application_id;
        let plan = assignment::plan(&self.shared.topology, application_id, &there, &self.assigned);
        match plan {
            Ok(plan) if plan.waiting != self.waiting.tasks && !self.consumer.is_rebalancing() => {
                self.commit()?;
                self.report(Fact::Failed(Failure::silent(Symptom::Moved)))
            }
            _ => Ok(()),
        }
    }
}
