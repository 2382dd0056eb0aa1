//! Intake of tasks with several inputs. The worker reads each input by itself, takes no more than its
//! queue has room for, and reports to the task where the input ends. The task processes what waits in
//! the order of timestamps.
//!
//! If a queue is full the worker takes nothing, and what is fetched stays with the client. It takes nothing
//! for a task that does not run either. So no fetched record is ever thrown away.

use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::commit::Fact;
use oncestream_core::error::TaskError;
use oncestream_core::task::{Collector, Task};

use super::Worker;
use super::pace::Pace;
use super::poll::Failed;
use crate::client_error::ClientError;
use crate::error::StreamsError;
use crate::ports::{Clock, GroupConsumer, Ports, Taken};

/// Why the worker stops taking from an input.
enum Stopped {
    Read(ClientError),
    Task(TaskError),
}

impl<P: Ports> Worker<P> {
    /// Takes in what the inputs of running tasks with several have room for.
    pub(super) fn take_inputs(&mut self) -> Result<(), StreamsError> {
        let inputs = self.tasks.inputs_with_room();
        if inputs.is_empty() {
            return Ok(());
        }
        let (now_ms, began) = (self.wall_clock_ms(), self.now());
        let consumer = Rc::clone(&self.consumer);
        let mut records = 0;
        let mut failed = None;
        for (route, partition, room) in inputs {
            let (Some(task), Some(producer)) = (self.tasks.running(route), &mut self.producer)
            else {
                break;
            };
            let last_taken = &mut self.last_taken;
            let done = consumer.take(&partition, room, |thing| match thing {
                Taken::Record(raw) => {
                    *last_taken = Some((route, raw.offset));
                    records += 1;
                    let added = task.add_record(route.input, raw, now_ms, producer);
                    added.map_err(Stopped::Task)
                }
                Taken::End { offset } => {
                    task.input_at_end(route.input, offset, now_ms);
                    Ok(())
                }
                Taken::Failed(error) => Err(Stopped::Read(error)),
            });
            failed = match done {
                Ok(_) => continue,
                Err(Stopped::Read(error)) => self.read_failed(error)?,
                Err(Stopped::Task(source)) => Some(Failed::Task(route, source)),
            };
            if failed.is_some() {
                break;
            }
        }
        self.busy |= records > 0;
        self.metrics.records_in.increment(records);
        self.times.add_work(self.now() - began);
        if let Some(failed) = failed {
            let failure = self.poll_failed(failed);
            return self.report(Fact::Failed(failure));
        }
        // A record that its timestamp extractor drops is done, and so its offset is to be committed.
        if self.tasks.needs_commit() {
            self.ensure_open()?;
        }
        Ok(())
    }

    /// Processes the records that wait in tasks with several inputs.
    pub(super) fn process_waiting(&mut self) -> Result<(), StreamsError> {
        let shared = Arc::clone(&self.shared);
        let clock = shared.ports.clock();
        let now_ms = clock.wall_clock_ms();
        // Nothing is begun for records that are not processed yet.
        if !self.tasks.has_ready(now_ms) || !self.ensure_open()? {
            return Ok(());
        }
        let began = clock.now();
        let mut failed = None;
        if let Some(producer) = &mut self.producer {
            for task in self.tasks.running_tasks() {
                let _span = tracing::debug_span!("task", id = %task.id()).entered();
                let most = shared.settings.records_per_turn.min(self.machine.room());
                let mut pace = Pace::new(clock);
                let go_on = || !pace.is_past(self.times.next_commit());
                match process_ready(task, now_ms, most, go_on, producer) {
                    Ok(done) => {
                        self.busy |= done > 0;
                        self.machine.processed(done);
                        self.metrics.enforced.increment(task.take_enforced());
                    }
                    Err(source) => {
                        failed = Some(StreamsError::Task { task: task.id(), source });
                        break;
                    }
                }
            }
        }
        self.times.add_work(clock.now() - began);
        match failed {
            None => Ok(()),
            Some(error) => {
                let failure = self.classify_task_error(error);
                self.report(Fact::Failed(failure))
            }
        }
    }
}

/// Processes waiting records of one task, up to so many or until a commit is due.
fn process_ready(
    task: &mut Task,
    now_ms: i64,
    most: usize,
    mut go_on: impl FnMut() -> bool,
    producer: &mut impl Collector,
) -> Result<usize, TaskError> {
    let mut done = 0;
    while done < most && go_on() {
        if task.process_ready(1, now_ms, producer)? == 0 {
            break;
        }
        done += 1;
    }
    Ok(done)
}
