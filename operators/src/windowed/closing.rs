//! What emitting on close needs, whatever the windows: when to look, and for windows that do not lie by
//! their time in the store, which are open.

use std::collections::BTreeMap;

use oncestream_core::TimestampMs;
use oncestream_core::error::{Part, TaskError};
use oncestream_core::serde::{DynSerde, SerializeContext};
use oncestream_core::task::{Context, TaskBuilder, TimeId};

use crate::table::TableSpec;
use crate::windows::{EmitStrategy, millis};

/// When closed windows are looked for.
pub(super) struct Look {
    interval_ms: i64,
    /// Up to where they were emitted. Kafka Streams keeps it under the same name.
    emitted: TimeId,
    /// The wall clock of the next look.
    next_ms: TimestampMs,
}

impl Look {
    /// `None` where updates are emitted.
    pub(super) fn of<A>(
        b: &mut TaskBuilder<'_>,
        spec: &TableSpec<A>,
        emit: EmitStrategy,
    ) -> Option<Self> {
        let interval = emit.on_close?;
        let emitted = b.remembered_time(spec.store().map_or("", |store| &store.name));
        Some(Self { interval_ms: millis(interval), emitted, next_ms: TimestampMs::MIN })
    }

    /// The time up to which windows were emitted; -1 at first.
    pub(super) fn last(&self, ctx: &Context<'_>) -> TimestampMs {
        ctx.time(self.emitted)
    }

    /// Whether to look now. What is in danger of being forgotten does not wait for the interval.
    pub(super) fn is_due(&mut self, ctx: &Context<'_>, close: TimestampMs, danger: bool) -> bool {
        let now_ms = ctx.wall_clock_ms();
        if now_ms < self.next_ms && !danger {
            return false;
        }
        self.next_ms = now_ms.saturating_add(self.interval_ms);
        close > self.last(ctx)
    }

    /// All windows that had closed by then are emitted.
    pub(super) fn done(&self, ctx: &mut Context<'_>, close: TimestampMs) {
        ctx.advance_time(self.emitted, close);
    }
}

/// The open windows by their time: a start or an end, and then what else tells them apart. In memory, and
/// made again from the store when a task begins.
pub(super) struct OpenWindows<R> {
    by_time: BTreeMap<(TimestampMs, TimestampMs, Vec<u8>), R>,
    is_read: bool,
}

impl<R> OpenWindows<R> {
    pub(super) fn new() -> Self {
        Self { by_time: BTreeMap::new(), is_read: false }
    }

    /// True once: the store is to be read.
    pub(super) fn is_to_be_read(&mut self) -> bool {
        !std::mem::replace(&mut self.is_read, true)
    }

    pub(super) fn insert(&mut self, times: (TimestampMs, TimestampMs), key: Vec<u8>, row_key: R) {
        self.by_time.insert((times.0, times.1, key), row_key);
    }

    pub(super) fn remove(&mut self, times: (TimestampMs, TimestampMs), key: Vec<u8>) {
        self.by_time.remove(&(times.0, times.1, key));
    }

    /// The first time; `None` if no window is open.
    pub(super) fn first(&self) -> Option<TimestampMs> {
        self.by_time.first_key_value().map(|((time, ..), _)| *time)
    }

    /// Takes those before a time, in their order.
    pub(super) fn take_before(&mut self, time: TimestampMs) -> Vec<R> {
        let rest = self.by_time.split_off(&(time, TimestampMs::MIN, Vec::new()));
        std::mem::replace(&mut self.by_time, rest).into_values().collect()
    }
}

/// The bytes of a key, which order windows of one time.
pub(super) fn key_bytes<K>(
    serde: &DynSerde<K>,
    store: &str,
    key: &K,
) -> Result<Vec<u8>, TaskError> {
    let mut bytes = Vec::new();
    let written = serde.serialize_in(&mut SerializeContext::new(store, Part::Key), key, &mut bytes);
    written.map_err(|source| {
        let store = store.to_owned();
        TaskError::StoreSerde { store, part: Part::Key, at: None, source }
    })?;
    Ok(bytes)
}
