//! The global tables of an instance: one thread reads their topics as a whole, from the checkpoints to the
//! end before the workers start, and on from there for as long as they run.
//!
//! - `begin.rs` decides whether a table goes on from its checkpoints, and `table.rs` is one table: a task of
//!   its own over all partitions of the topic. What a task does with a record, it does with these too, and
//!   so a record that cannot be read is judged alike at the start and later.
//! - Workers read what is committed, by `GlobalReader`, and know nothing of this thread.
//!
//! Invariants:
//! - Rows and the checkpoints of all partitions go down in one batch, so each table is what its topic says
//!   up to its checkpoints, whenever the process dies.
//! - The group has no part in it: a rebalance changes no table.
//! - A table is restored when it has all that was committed when the start looked: up to the last stable
//!   offset. A transaction that is open on the topic by then is nobody's to wait for.

mod begin;
mod no_output;
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use oncestream_core::TopicPartition;
use oncestream_core::error::TopologyError;
use oncestream_core::graph::GlobalTableDef;
use oncestream_core::state::{CHECKPOINTS, Checkpoint, Incarnation, WriteBatch};

use crate::client_error::{ClientError, ClientFault as _};
use crate::error::StreamsError;
use crate::metrics::GlobalMetrics;
use crate::ports::{ChangelogReader, Clock, Cluster, Ports, Topics};
use crate::worker::restore::{LOOK_EVERY, LOOK_TIMEOUT, UNSETTLED_LIMIT};
use crate::worker::{Shared, panic_message};
use begin::{Begin, Partition, begin, from_the_beginning};
use table::Table;

/// How often the thread looks for partitions that have been idle for long.
const LOOK_AT_IDLE: Duration = Duration::from_secs(60);

/// What the global tables of an instance are begun for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Nobody reads them yet: one that cannot go on is emptied.
    First,
    /// Workers read them: one that cannot go on stays as it is, and that is an error.
    Again,
}

/// Runs the global tables of an instance to its end. `on_restored` is called once, when all of them are.
/// Returns when asked to stop, or with the error that stopped it.
///
/// # Errors
/// What stopped it. The tables stay as they were committed last.
pub fn run<P: Ports>(
    shared: Arc<Shared<P>>,
    life: Life,
    on_restored: impl FnOnce(),
) -> Result<(), StreamsError> {
    let mut globals = None;
    let course = || -> Result<(), StreamsError> {
        let Some(made) = Globals::new(shared, life)? else { return Ok(()) };
        globals.insert(made).live(on_restored)
    };
    let lived = catch_unwind(AssertUnwindSafe(course));
    lived.unwrap_or_else(|panic| {
        let at = globals.as_ref().and_then(Globals::activity);
        Err(StreamsError::GlobalPanicked { at, message: panic_message(&*panic) })
    })
}

/// The global tables of an instance.
pub struct Globals<P: Ports> {
    shared: Arc<Shared<P>>,
    reader: P::Changelogs,
    tables: Vec<Table<<P::Changelogs as ChangelogReader>::Queue>>,
    began: Instant,
    /// When it next looks for idle partitions.
    next_look: Instant,
    restored: bool,
    busy: bool,
    metrics: GlobalMetrics,
}

impl<P: Ports> std::fmt::Debug for Globals<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Globals").field("restored", &self.restored).finish_non_exhaustive()
    }
}

impl<P: Ports> Globals<P> {
    /// The global tables of a topology, where they were left. `None` if it has none, or if the application is
    /// to stop.
    ///
    /// # Errors
    /// A topic is not there or cannot be read, a client cannot be made, or the backend fails.
    pub fn new(shared: Arc<Shared<P>>, life: Life) -> Result<Option<Self>, StreamsError> {
        if shared.topology.global_tables().is_empty() {
            return Ok(None);
        }
        let began = shared.ports.clock().now();
        let reader = shared.ports.globals()?;
        let deadline = began + UNSETTLED_LIMIT;
        let start = Start { shared: &shared, reader: &reader, life, deadline };
        let there = start.topics()?;
        let mut tables = Vec::new();
        for def in shared.topology.global_tables() {
            tables.push(start.table(def, &there)?);
        }
        if start.is_stopping() {
            return Ok(None);
        }
        let metrics = GlobalMetrics::new();
        let mut globals = Self {
            shared,
            reader,
            tables,
            began,
            next_look: began,
            restored: false,
            busy: true,
            metrics,
        };
        globals.read_all()?;
        Ok(Some(globals))
    }

    /// Reads all partitions of all tables from where they are.
    fn read_all(&mut self) -> Result<(), StreamsError> {
        let positions: Vec<_> = self.tables.iter().flat_map(Table::positions).collect();
        let queues = self.reader.assign(&positions);
        let queues = queues.map_err(|e| StreamsError::client("reading global tables", e))?;
        let mut queues = queues.into_iter();
        for table in &mut self.tables {
            table.set_queues(&mut queues);
        }
        Ok(())
    }

    fn live(&mut self, on_restored: impl FnOnce()) -> Result<(), StreamsError> {
        let mut on_restored = Some(on_restored);
        while !self.shared.stop.load(Ordering::Acquire) {
            self.turn()?;
            if self.restored
                && let Some(tell) = on_restored.take()
            {
                tell();
            }
            if !self.busy {
                self.reader.wait(self.shared.settings.poll.max(LOOK_EVERY));
            }
        }
        Ok(())
    }

    /// Takes in what is at hand of each table. Never waits for records.
    ///
    /// # Errors
    /// A record that its handler fails on, a topic that cannot be read any more, the backend; and before all
    /// tables are restored, that it has taken too long.
    pub fn turn(&mut self) -> Result<(), StreamsError> {
        self.reader.listen();
        self.busy = false;
        let ports = &self.shared.ports;
        let topics = || ports.cluster().topics();
        for table in &mut self.tables {
            let done = table.turn(ports.clock(), ports.global_stores(), topics)?;
            self.busy |= done.moved;
            self.metrics.records_in.increment(done.records);
            self.metrics.records_dropped.increment(done.dropped);
        }
        if self.restored {
            self.look_at_idle();
            return Ok(());
        }
        self.restored = self.tables.iter().all(Table::is_restored);
        let (now, timeout) = (ports.clock().now(), self.shared.settings.global_restore_timeout);
        if self.restored {
            tracing::info!(took = ?(now - self.began), "the global tables are restored");
        } else if now - self.began > timeout {
            return Err(self.timed_out(timeout));
        }
        Ok(())
    }

    /// Looks for idle partitions, if it is time.
    fn look_at_idle(&mut self) {
        let clock = self.shared.ports.clock();
        let now = clock.now();
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK_AT_IDLE;
        let end_of = |partition: &TopicPartition| self.reader.last_stable(partition, LOOK_TIMEOUT);
        for table in &mut self.tables {
            if let Err(error) = table.look_at_idle(clock.wall_clock_ms(), end_of) {
                tracing::debug!(%error, "the ends of idle global tables are asked for later");
                return;
            }
        }
    }

    /// The restore has taken too long; which partition is furthest from its end.
    #[cold]
    fn timed_out(&self, waited: Duration) -> StreamsError {
        let furthest = self.tables.iter().filter_map(Table::furthest);
        match furthest.max_by_key(|(_, _, reached, end)| end - reached) {
            Some((store, partition, reached, end)) => StreamsError::GlobalRestoreTimedOut {
                store: store.to_string(),
                topic: partition.topic.to_string(),
                partition: partition.partition,
                reached,
                end,
                waited,
            },
            None => {
                StreamsError::TimedOut { action: "restoring the global tables".to_owned(), waited }
            }
        }
    }

    /// Whether all tables have what was committed when they began.
    pub fn is_restored(&self) -> bool {
        self.restored
    }

    /// Whether the last turn got something done, so that the next should come at once.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// The tasks of the tables, for tests that look at their stores.
    pub fn tasks(&self) -> impl Iterator<Item = &oncestream_core::task::Task> {
        self.tables.iter().map(|table| &table.task)
    }

    /// How many records were read before the tables were restored, by store; those up to date are not among
    /// them.
    pub fn restored_records(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        self.tables.iter().map(Table::restored_records).filter(|(_, records)| *records > 0)
    }

    /// How many records were dropped since the tables were restored.
    pub fn dropped(&self) -> u64 {
        self.tables.iter().map(|table| table.dropped).sum()
    }

    /// What a table is in the middle of.
    fn activity(&self) -> Option<oncestream_core::task::Activity> {
        self.tables.iter().find_map(|table| table.task.activity())
    }
}

/// What tables are made from at the start.
struct Start<'a, P: Ports> {
    shared: &'a Arc<Shared<P>>,
    reader: &'a P::Changelogs,
    life: Life,
    deadline: Instant,
}

impl<P: Ports> Start<'_, P> {
    fn is_stopping(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }

    /// Asks again for a while as long as brokers do not agree, or are away.
    fn patiently<T>(
        &self,
        topic: &str,
        what: &str,
        ask: impl Fn() -> Result<T, ClientError>,
    ) -> Result<T, StreamsError> {
        let clock = self.shared.ports.clock();
        loop {
            match ask() {
                Err(e)
                    if e.is_unsettled() && clock.now() < self.deadline && !self.is_stopping() =>
                {
                    clock.sleep(LOOK_EVERY);
                }
                Err(e) => {
                    return Err(StreamsError::reading(format!("asking for {what}"), topic, e));
                }
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// Every topic with its number of partitions. Brokers may be away for a while.
    fn topics(&self) -> Result<Topics, StreamsError> {
        let clock = self.shared.ports.clock();
        loop {
            match self.shared.ports.cluster().topics() {
                Err(error @ StreamsError::BrokerUnreachable { .. })
                    if clock.now() < self.deadline && !self.is_stopping() =>
                {
                    tracing::warn!(%error, "the global tables wait for a broker");
                }
                there => return there,
            }
        }
    }

    /// One table, where it was left or from the beginning.
    fn table<Q>(&self, def: &GlobalTableDef, there: &Topics) -> Result<Table<Q>, StreamsError> {
        let topic = &def.topic;
        let Some(count) = there.get(topic) else {
            return Err(TopologyError::MissingSourceTopic { topic: topic.to_string() }.into());
        };
        let ports = &self.shared.ports;
        let mut source = self.incarnation(topic)?;
        let retention_ms = ports.cluster().delete_retention_ms(topic);
        let mut partitions = Vec::new();
        for partition in 0..*count {
            let partition = TopicPartition::new(topic.clone(), partition);
            let what = format!("the end of {partition}");
            let bounds = || ports.cluster().watermarks(&partition);
            let (low, high) = self.patiently(topic, &what, bounds)?;
            let stable = || self.reader.last_stable(&partition, LOOK_TIMEOUT);
            let end = self.patiently(topic, &what, stable)?;
            let checkpoint = self.checkpoint(def, partition.partition)?;
            partitions.push(Partition { checkpoint, low, high, end });
        }
        let has_more = self.checkpoint(def, *count)?.is_some();
        let now_ms = ports.clock().wall_clock_ms();
        let readings = match begin(&partitions, has_more, &source, retention_ms, now_ms) {
            Begin::GoOn(readings) => {
                // What brokers do not tell this time stays known.
                let checkpoints = partitions.iter().filter_map(|p| p.checkpoint.as_ref());
                source = checkpoints.fold(source, |known, c| known.or(c.source.clone()));
                readings
            }
            Begin::Anew(reason) if self.life == Life::Again => {
                let (store, topic) = (def.store.to_string(), topic.to_string());
                let reason = reason.to_owned();
                return Err(StreamsError::GlobalTableStale { store, topic, reason });
            }
            Begin::Anew(reason) => {
                tracing::info!(store = %def.store, %topic, reason, "the global table is read from the beginning");
                self.empty(def, *count)?;
                from_the_beginning(&partitions, now_ms)
            }
        };
        let Shared { topology, settings, .. } = &**self.shared;
        Table::new(def, &readings, source, (topology, settings), ports.global_stores())
    }

    fn incarnation(&self, topic: &Arc<str>) -> Result<Incarnation, StreamsError> {
        let cluster = self.shared.ports.cluster();
        let topics = [topic.clone()];
        let ask = || cluster.incarnations(&topics).map_err(|(_, error)| error);
        let told = self.patiently(topic, &format!("the id of topic {topic}"), ask)?;
        Ok(told.into_iter().next().unwrap_or_default())
    }

    /// The checkpoint of a partition.
    fn checkpoint(
        &self,
        def: &GlobalTableDef,
        partition: i32,
    ) -> Result<Option<Checkpoint>, StreamsError> {
        let backend = self.shared.ports.global_stores().backend();
        let checkpoints = backend.keyspace(CHECKPOINTS)?;
        let mut found = None;
        let name = def.checkpoint_name(partition);
        let read = checkpoints.get(name.as_bytes(), &mut |bytes| found = Checkpoint::read(bytes));
        match read {
            // A worker that finds them so drops them all; here one that is missing is enough.
            Err(error) if error.damaged => Ok(None),
            other => Ok(other.map(|()| found)?),
        }
    }

    /// Empties a table: its checkpoints first, because rows without one are known to be void.
    fn empty(&self, def: &GlobalTableDef, partitions: i32) -> Result<(), StreamsError> {
        let stores = self.shared.ports.global_stores();
        let backend = stores.backend();
        stores.apply_global(&forgotten(def, partitions))?;
        backend.persist()?;
        Ok(backend.drop_keyspace(&def.keyspace_name())?)
    }
}

/// A batch without the checkpoints of a table.
fn forgotten(def: &GlobalTableDef, partitions: i32) -> WriteBatch {
    let mut batch = WriteBatch::default();
    // One more: that of a topic with more partitions, which was there before.
    for partition in 0..=partitions {
        batch.delete(CHECKPOINTS, def.checkpoint_name(partition).as_bytes());
    }
    batch
}
