//! The reader of an instance's changelogs, and of the topics of its global tables.
//!
//! Like a queue of a client, it reports the end of a partition once for each offset at which it meets the
//! end.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use oncestream_broker::LogRecord;
use oncestream_core::TopicPartition;
use oncestream_engine::ClientError;
use oncestream_engine::ports::{ChangelogQueue, ChangelogReader, Fetched, Taken};

use super::consumer::raw;
use super::fetcher::Fetcher;
use super::link::Link;
use super::offsets::{self, At};

/// So many records are given at once: as few as a client may, so that nobody counts on more.
const MOST: usize = 1;

/// Reads changelogs, committed.
pub(in super::super) struct LocalChangelogs {
    link: Link,
    /// The number of the newest assignment; queues of before give nothing.
    newest: Rc<Cell<u64>>,
    /// What is read is restored. Global tables, which read on, count for themselves.
    counts: bool,
}

impl LocalChangelogs {
    pub(super) fn of_restores(link: Link) -> Self {
        Self { link, newest: Rc::default(), counts: true }
    }

    pub(super) fn of_globals(link: Link) -> Self {
        Self { counts: false, ..Self::of_restores(link) }
    }
}

impl ChangelogReader for LocalChangelogs {
    type Queue = LocalQueue;

    fn assign(
        &mut self,
        positions: &[(TopicPartition, i64)],
    ) -> Result<Vec<Self::Queue>, ClientError> {
        self.rest();
        let queue = |position: &(TopicPartition, i64)| {
            let mut fetcher = Fetcher::new(self.link.clone(), true);
            fetcher.assign(std::slice::from_ref(position));
            LocalQueue {
                partition: position.0.clone(),
                fetcher,
                link: self.link.clone(),
                end_told: None,
                assignment: self.newest.get(),
                newest: self.newest.clone(),
                counts: self.counts,
            }
        };
        Ok(positions.iter().map(queue).collect())
    }

    fn rest(&mut self) {
        self.newest.set(self.newest.get() + 1);
    }

    fn listen(&mut self) {}

    fn last_stable(
        &self,
        partition: &TopicPartition,
        _timeout: Duration,
    ) -> Result<i64, ClientError> {
        offsets::offset(&self.link, partition, At::LastStable)
    }

    /// The driver lets time pass by itself.
    fn wait(&self, _timeout: Duration) {}
}

/// What is fetched of one changelog.
pub(in super::super) struct LocalQueue {
    partition: TopicPartition,
    fetcher: Fetcher,
    link: Link,
    /// The offset at which the end was told last.
    end_told: Option<i64>,
    assignment: u64,
    newest: Rc<Cell<u64>>,
    counts: bool,
}

impl LocalQueue {
    fn count(&self) {
        if self.counts {
            self.link.site.restored(&self.partition.topic, 1);
        }
    }
}

impl ChangelogQueue for LocalQueue {
    fn take<E>(&mut self, mut each: impl FnMut(Fetched<'_>) -> Result<(), E>) -> Result<usize, E> {
        if self.assignment != self.newest.get() {
            return Ok(0);
        }
        let mut taken = 0;
        while taken < MOST {
            match self.fetcher.next_of(&self.partition) {
                Ok(Ok(record)) => {
                    taken += 1;
                    self.count();
                    each(fetched(&record))?;
                }
                Ok(Err(offset)) => {
                    if self.end_told != Some(offset) {
                        self.end_told = Some(offset);
                        taken += 1;
                        each(Fetched::End { offset })?;
                    }
                    break;
                }
                Err(error) => {
                    taken += 1;
                    each(Fetched::Failed(error))?;
                    break;
                }
            }
        }
        Ok(taken)
    }

    fn take_records<E>(
        &mut self,
        max: usize,
        mut each: impl FnMut(Taken<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        if self.assignment != self.newest.get() {
            return Ok(0);
        }
        let mut taken = 0;
        while taken < max {
            match self.fetcher.next_of(&self.partition) {
                Ok(Ok(record)) => {
                    taken += 1;
                    self.count();
                    each(Taken::Record(raw(&record)))?;
                }
                Ok(Err(offset)) => {
                    if self.end_told != Some(offset) {
                        self.end_told = Some(offset);
                        taken += 1;
                        each(Taken::End { offset })?;
                    }
                    break;
                }
                Err(error) => {
                    taken += 1;
                    each(Taken::Failed(error))?;
                    break;
                }
            }
        }
        Ok(taken)
    }
}

fn fetched(record: &LogRecord) -> Fetched<'_> {
    Fetched::Record {
        offset: record.offset,
        timestamp: record.timestamp_ms,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
    }
}
