//! What takes part in a commit beside Kafka, asked in order: the local stores first.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use oncestream_core::commit::Symptom;
use oncestream_core::state::BackendError;
use oncestream_core::task::{ChangelogId, Task};
use oncestream_core::{TaskId, TopicPartition};

use super::tasks::Phase;
use super::{Fact, Failure, Worker};
use crate::error::StreamsError;
use crate::participant::{Commit, Participant, ParticipantError};
use crate::ports::{Clock, Ports, WorkerProducer};

/// How soon a participant is asked again that cannot recover yet, and for how long.
const RECOVER_AGAIN: Duration = Duration::from_millis(500);
const RECOVER_LIMIT: Duration = Duration::from_secs(60);

/// What all participants are asked for.
#[derive(Clone, Copy)]
enum Ask {
    Prepare,
    Apply,
}

impl Ask {
    fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Apply => "apply",
        }
    }
}

impl<P: Ports> Worker<P> {
    /// Every record is acknowledged: gets all participants ready.
    pub(super) fn prepare(&mut self) -> Fact {
        self.ask_all(Ask::Prepare, &HashMap::new())
    }

    /// Lets all participants put down what belongs to the transaction.
    pub(super) fn apply(&mut self) -> Fact {
        let Some(producer) = &self.producer else {
            return Fact::Failed(Failure::silent(Symptom::NoProducer));
        };
        let changelogs = producer.take_changelogs();
        self.ask_all(Ask::Apply, &changelogs)
    }

    fn ask_all(&mut self, ask: Ask, changelogs: &HashMap<ChangelogId, i64>) -> Fact {
        // Nobody else looks at positions.
        let positions = if self.participants.is_empty() { Vec::new() } else { self.positions() };
        let running = self.tasks.entries().iter().filter(|e| e.phase == Phase::Running);
        let tasks: Vec<&Task> = running.map(|entry| &entry.task).collect();
        let now_ms = self.shared.ports.clock().wall_clock_ms();
        let (worker, tasks, positions) = (self.index, &tasks[..], &positions[..]);
        let commit = Commit { worker, tasks, positions, changelogs, now_ms };
        let others = self.participants.iter_mut().map(|other| &mut **other as &mut dyn Participant);
        for participant in std::iter::once(&mut self.stores as &mut dyn Participant).chain(others) {
            let done = match ask {
                Ask::Prepare => participant.prepare(&commit),
                Ask::Apply => participant.apply(&commit),
            };
            if let Err(error) = done {
                return Fact::Failed(failure(worker, participant.name(), ask.name(), error));
            }
        }
        Fact::Done
    }

    /// Lets participants bring what a task has with them to what is committed.
    pub(super) fn recover(
        &mut self,
        task: TaskId,
        committed: &[(TopicPartition, Option<i64>)],
    ) -> Result<(), StreamsError> {
        let shared = Arc::clone(&self.shared);
        let clock = shared.ports.clock();
        let deadline = clock.now() + RECOVER_LIMIT;
        let is_over = || clock.now() >= deadline || shared.stop.load(Ordering::Acquire);
        for participant in &mut self.participants {
            loop {
                match participant.recover(task, committed) {
                    Ok(()) => break,
                    Err(ParticipantError::Failed(error)) if !is_over() => {
                        let name = participant.name();
                        tracing::warn!(worker = self.index, %task, name, %error, "it recovers later");
                        clock.sleep(RECOVER_AGAIN);
                    }
                    Err(error) => return Err(told(participant.name(), "recover", error)),
                }
            }
        }
        Ok(())
    }

    /// On every way back.
    pub(super) fn discard_prepared(&mut self) {
        self.stores.discard();
        for participant in &mut self.participants {
            participant.discard();
        }
    }
}

fn failure(worker: usize, name: &str, action: &'static str, error: ParticipantError) -> Failure {
    match error {
        ParticipantError::Moved => {
            tracing::warn!(worker, "a task moved to another worker during its commit");
            Failure::silent(Symptom::Moved)
        }
        ParticipantError::Failed(_) => {
            Failure::new(Symptom::ParticipantFailed, told(name, action, error))
        }
        ParticipantError::Fatal(_) => Failure::new(Symptom::Fatal, told(name, action, error)),
    }
}

fn told(name: &str, action: &'static str, error: ParticipantError) -> StreamsError {
    let source = match error {
        ParticipantError::Moved => "its tasks are another worker's".into(),
        ParticipantError::Failed(source) | ParticipantError::Fatal(source) => source,
    };
    match source.downcast::<BackendError>() {
        Ok(error) => StreamsError::Backend(*error),
        Err(source) => StreamsError::Participant { participant: name.to_owned(), action, source },
    }
}
