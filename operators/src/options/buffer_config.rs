//! [`BufferConfig`]: how much a suppression may keep back, and what it does when that is not enough.

use std::fmt;
use std::marker::PhantomData;

use oncestream_core::graph::ChangelogConfig;

/// The mark of a buffer that emits nothing early: it is without bounds, or stops the task when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrictBuffer {}

/// The mark of a buffer that emits early when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EagerBuffer {}

/// The bounds of a suppression's buffer, and the changelog behind it.
///
/// The bounds count the keys that wait, of one task: each partition has a buffer of its own. Bytes are
/// counted as Kafka Streams does: keys, values, headers and where a record came from, as they are in the
/// changelog. With [`max_bytes`](Self::with_max_bytes) values are serialised with each update; without it
/// once for each commit, as in every store.
///
/// In memory are the keys that wait, with their order: the key, its bytes, and some 100 bytes for each.
/// The values are in a store, like those of a table: cached, and else on the disk.
///
/// ```
/// use oncestream_operators::BufferConfig;
/// // Results may come early, when more than 1000 keys wait in one task.
/// let eager = BufferConfig::max_records(1000).with_max_bytes(1 << 20);
/// // They never do; then the task stops.
/// let strict = eager.clone().shut_down_when_full();
/// let unbounded = BufferConfig::unbounded();
/// # let _ = (eager, strict, unbounded);
/// ```
pub struct BufferConfig<WhenFull> {
    pub(crate) bounds: Bounds,
    pub(crate) changelog: Option<ChangelogConfig>,
    when_full: PhantomData<WhenFull>,
}

/// What may be in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) records: Option<u64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) emits_early: bool,
}

impl BufferConfig<StrictBuffer> {
    /// No bounds: as many keys wait as the time limit makes wait.
    pub fn unbounded() -> Self {
        Self::of(Bounds { records: None, bytes: None, emits_early: false })
    }
}

impl BufferConfig<EagerBuffer> {
    /// So many keys wait at most; the oldest is emitted when one more comes.
    pub fn max_records(records: u64) -> Self {
        Self::of(Bounds { records: Some(records), bytes: None, emits_early: true })
    }

    /// So many bytes wait at most; the oldest keys are emitted when more come.
    pub fn max_bytes(bytes: u64) -> Self {
        Self::of(Bounds { records: None, bytes: Some(bytes), emits_early: true })
    }
}

impl<WhenFull> BufferConfig<WhenFull> {
    fn of(bounds: Bounds) -> Self {
        let changelog = Some(ChangelogConfig::default());
        Self { bounds, changelog, when_full: PhantomData }
    }

    fn with_bounds<Other>(self, bounds: Bounds) -> BufferConfig<Other> {
        BufferConfig { bounds, changelog: self.changelog, when_full: PhantomData }
    }

    /// A bound on the keys that wait, beside one on bytes.
    #[must_use]
    pub fn with_max_records(self, records: u64) -> Self {
        let bounds = Bounds { records: Some(records), ..self.bounds };
        self.with_bounds(bounds)
    }

    /// A bound on the bytes that wait, beside one on keys.
    #[must_use]
    pub fn with_max_bytes(self, bytes: u64) -> Self {
        let bounds = Bounds { bytes: Some(bytes), ..self.bounds };
        self.with_bounds(bounds)
    }

    /// Takes the bounds away.
    #[must_use]
    pub fn with_no_bound(self) -> BufferConfig<StrictBuffer> {
        self.with_bounds(BufferConfig::unbounded().bounds)
    }

    /// A full buffer emits the oldest keys before their time.
    #[must_use]
    pub fn emit_early_when_full(self) -> BufferConfig<EagerBuffer> {
        let bounds = Bounds { emits_early: true, ..self.bounds };
        self.with_bounds(bounds)
    }

    /// A full buffer stops its task, with
    /// [`TaskError::BufferFull`](oncestream_core::error::TaskError::BufferFull). Nothing is lost: the
    /// transaction is aborted, and the records are processed again, by an application that has room for
    /// them.
    #[must_use]
    pub fn shut_down_when_full(self) -> BufferConfig<StrictBuffer> {
        let bounds = Bounds { emits_early: false, ..self.bounds };
        self.with_bounds(bounds)
    }

    /// Keeps no changelog. What waits is then on the disk of one instance alone, and is lost with it:
    /// see [`Materialized::logging_disabled`](crate::Materialized::logging_disabled).
    #[must_use]
    pub fn logging_disabled(mut self) -> Self {
        self.changelog = None;
        self
    }

    /// A setting of the changelog topic, by Kafka's name.
    #[must_use]
    pub fn topic_setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        if let Some(config) = &mut self.changelog {
            config.topic_settings.insert(key.into(), value.into());
        }
        self
    }
}

impl<WhenFull> Clone for BufferConfig<WhenFull> {
    fn clone(&self) -> Self {
        Self { bounds: self.bounds, changelog: self.changelog.clone(), when_full: PhantomData }
    }
}

impl<WhenFull> fmt::Debug for BufferConfig<WhenFull> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { records, bytes, emits_early } = &self.bounds;
        f.debug_struct("BufferConfig")
            .field("max_records", records)
            .field("max_bytes", bytes)
            .field("emits_early", emits_early)
            .field("changelog", &self.changelog)
            .finish()
    }
}
