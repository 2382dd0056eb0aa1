//! The store behind a table or an aggregation, or of processors.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::ChangelogConfig;
use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_core::state::{KeyValue, Kind, Store, Versioned};

use crate::dsl::{Data, Dsl, StoreKey};

/// A changelog keeps records so much longer than the history that a store with versions keeps, as in Kafka
/// Streams: a day.
const COMPACTION_LAG_MS: i64 = 24 * 60 * 60 * 1000;

/// Name, kind, serdes, caching and changelog of a store. A name by itself is one, with the serdes of
/// the types.
///
/// A name of yours is best: the changelog topic is `<application.id>-<name>-changelog`, and a
/// generated name has a number that changes with the topology. With
/// [`explicit_names`](crate::StreamsBuilder::explicit_names) generated ones are refused.
///
/// A value that is null to the value serde
/// ([`Serde::is_null`](oncestream_core::serde::Serde::is_null)), as `None` is, deletes its key.
///
/// ```
/// use oncestream_operators::{Materialized, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// let grouped = builder.stream::<String, i64>("in").group_by_key();
/// grouped.count("counts");
/// grouped.reduce(i64::max, Materialized::named("maxima").topic_setting("segment.ms", "600000"));
/// grouped.reduce(i64::min, Materialized::new());
/// let topology = builder.build().unwrap();
/// assert!(topology.store_names().contains("KSTREAM-REDUCE-STATE-STORE-0000000003"));
/// ```
pub struct Materialized<K, V, Kd = KeyValue> {
    pub(crate) kind: Kd,
    pub(crate) name: Option<String>,
    pub(crate) key_serde: DynSerde<K>,
    pub(crate) value_serde: DynSerde<V>,
    /// The serdes are those of the types.
    pub(crate) by_type: bool,
    pub(crate) caching: bool,
    pub(crate) changelog: Option<ChangelogConfig>,
    /// How long windows are kept, if it was said.
    pub(crate) retention: Option<Duration>,
    /// How long values are shown, if it was said.
    pub(crate) ttl: Option<Duration>,
    /// How long versions are kept, if it was said.
    pub(crate) history: Option<Duration>,
}

impl<K, V> Materialized<K, V> {
    /// The serdes of the types, and a generated name as Kafka Streams gives it where no
    /// `Materialized` is given.
    pub fn new() -> Self
    where
        K: HasSerde,
        V: HasSerde,
    {
        Self { by_type: true, ..Self::serdes(K::serde(), V::serde()) }
    }

    /// A name, and the serdes of the types.
    pub fn named(name: impl Into<String>) -> Self
    where
        K: HasSerde,
        V: HasSerde,
    {
        Self { name: Some(name.into()), ..Self::new() }
    }

    /// A name, and these serdes.
    pub fn with(name: impl Into<String>, key: DynSerde<K>, value: DynSerde<V>) -> Self {
        Self::of_kind(name, KeyValue::new(), key, value)
    }

    /// These serdes, and a generated name.
    pub fn serdes(key: DynSerde<K>, value: DynSerde<V>) -> Self {
        Self { name: None, ..Self::of_kind("", KeyValue::new(), key, value) }
    }

    /// A time to live: a key that was not written for so long is gone from the store. Kafka Streams has none.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, String>("clicks").group_by_key();
    /// let an_hour = Duration::from_secs(3600);
    /// // Counts a user's clicks, from 1 again if an hour has passed since the last one.
    /// clicks.count(Materialized::named("sessions").ttl(an_hour)).to_stream().to("counts");
    /// # assert!(builder.build().is_ok());
    /// ```
    ///
    /// - Time is that of records, and not the clock's: the latest time of a record that came to an operator
    ///   with this store, in this partition. It is committed with the offsets, so that the same input gives
    ///   the same result, whatever crashes. It stands still while no record comes.
    /// - A value is gone when its own time and `ttl` are not later than that time: it lives for exactly
    ///   `ttl`, as a window does by its retention. One record from the future ends all that is older.
    /// - A value that is gone is none to whoever reads the store. An aggregation begins anew with its
    ///   initializer, a `reduce` with its next value, and an update has no old value.
    /// - **Nothing is forwarded when a value goes.** What is below keeps what it was told last, and so does a
    ///   sum over the groups of this table. The deletion of a key is always forwarded, because nobody knows
    ///   whether it was told of a value.
    /// - Its row is deleted with one of the next commits, from the changelog too.
    ///
    /// It may be given to a store that has rows, be changed, and be taken away: the rows of before go by
    /// their own times. When it is given first, all rows are read once before the task starts.
    ///
    /// `build` refuses less than a millisecond, more than `i64::MAX` of them
    /// ([`TopologyError::InvalidTimeToLive`]), and windows, which have a [retention](Self::retention).
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.kind = KeyValue::with_ttl(ttl);
        self.ttl = Some(ttl);
        self
    }

    /// Versions: the store keeps the values that a key has had, each with the time from which it was valid,
    /// for as long as `history_retention`. So a record that comes out of order does not replace a newer
    /// value, and a [join](crate::KStream::join_table) finds the value as of its record's time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let an_hour = Duration::from_secs(3600);
    /// let prices = builder.table::<String, i64>("prices");
    /// let prices = prices.materialized(Materialized::named("prices").versioned(an_hour));
    /// let sales = builder.stream::<String, i64>("sales");
    /// // With the price at the time of the sale, also if it has changed since.
    /// sales.join_table(&prices, |number, price| number * price).to("turnover");
    /// # assert!(builder.build().is_ok());
    /// ```
    ///
    /// - Time is that of records: the latest time of a version in this store, in this partition. The
    ///   history begins `history_retention` before it. A version that ended by then is gone. The newest version
    ///   of a key stays.
    /// - A record from before the history is dropped and counted
    ///   ([`BeforeHistory`](oncestream_core::handlers::DropReason::BeforeHistory)).
    /// - An update that comes out of order is forwarded, as in Kafka Streams, and says so
    ///   ([`Change::is_latest`](crate::Change::is_latest)). Groupings and joins of tables leave it out.
    /// - Such a store has no cache: each update is forwarded at once.
    ///
    /// `build` refuses it for windows, with a time to live, and before a
    /// [`suppress`](crate::KTable::suppress) ([`TopologyError::InvalidVersions`]). A store of a processor
    /// gets versions by [`of_kind`](Self::of_kind) and
    /// [`Versioned`](oncestream_core::state::Versioned).
    #[must_use]
    pub fn versioned(mut self, history_retention: Duration) -> Self {
        self.history = Some(history_retention);
        self
    }
}

impl<K, V, Kd> Materialized<K, V, Kd> {
    /// A store of another kind, with these serdes, for
    /// [`StreamsBuilder::add_state_store`](crate::StreamsBuilder::add_state_store).
    ///
    /// The changelog of any kind is compacted, and keeps the last record of each row for ever. What
    /// a window store has expired may be deleted from its changelog by age, with the topic settings
    /// `cleanup.policy=compact,delete` and a `retention.ms` above the store's own retention; by the
    /// clock of the brokers, so not where old records are read again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_core::serde::HasSerde;
    /// use oncestream_core::state::Window;
    /// use oncestream_operators::{Materialized, StreamsBuilder};
    /// let builder = StreamsBuilder::new();
    /// let an_hour = Window::new(Duration::from_secs(3600));
    /// let seen = Materialized::of_kind("seen", an_hour, String::serde(), i64::serde());
    /// let seen = builder.add_state_store(seen);
    /// # let _ = seen;
    /// ```
    pub fn of_kind(
        name: impl Into<String>,
        kind: Kd,
        key: DynSerde<K>,
        value: DynSerde<V>,
    ) -> Self {
        Self {
            kind,
            name: Some(name.into()),
            key_serde: key,
            value_serde: value,
            by_type: false,
            caching: true,
            changelog: Some(ChangelogConfig::default()),
            retention: None,
            ttl: None,
            history: None,
        }
    }

    /// Forwards every update at once, instead of one per key and commit. It changes nothing for a
    /// store of processors, which forwards nothing.
    #[must_use]
    pub fn caching_disabled(mut self) -> Self {
        self.caching = false;
        self
    }

    /// Keeps no changelog. The store is then on the disk of one instance alone, and is lost with it.
    /// An instance that is assigned the partition begins with what its own disk has: nothing, or what
    /// it had when the partition was last its own. Exactly once does not hold for it: a crash between
    /// the commit and its writing to the disk loses that commit's updates. At least once, it is written
    /// before the offsets are committed: it never lacks what they say is done, and may have more.
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

    /// How long the store of a windowed aggregation keeps windows, counted from the latest start of one
    /// (of sessions: the latest end). The default is what the windows and their grace need; longer keeps
    /// results for queries, and lets no later record in. It is for windowed aggregations alone.
    ///
    /// Its changelog keeps them longer, by `windowstore.changelog.additional.retention.ms` (a day) and the
    /// clock of the brokers: `retention.ms` of the topic.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }

    /// The same store as one of another kind, whose rows expire.
    pub(crate) fn kept<Kd2>(self, kind: Kd2, retention_ms: i64) -> Materialized<K, V, Kd2> {
        let store = self.with_kind(kind);
        let changelog = store.changelog;
        let changelog =
            changelog.map(|config| ChangelogConfig { retention_ms: Some(retention_ms), ..config });
        Materialized { changelog, ..store }
    }

    /// The same store as one of another kind.
    fn with_kind<Kd2>(self, kind: Kd2) -> Materialized<K, V, Kd2> {
        let Self { name, key_serde, value_serde, by_type, caching, changelog, .. } = self;
        let (retention, ttl, history) = (None, None, None);
        Materialized {
            kind,
            name,
            key_serde,
            value_serde,
            by_type,
            caching,
            changelog,
            retention,
            ttl,
            history,
        }
    }

    /// How long versions are kept, in milliseconds, if there are any.
    pub(crate) fn history_ms(&self) -> Option<i64> {
        self.history.map(|history| i64::try_from(history.as_millis()).unwrap_or(i64::MAX))
    }

    /// Uses up a name, as `count` does in Kafka Streams if its `Materialized` has no name.
    pub(crate) fn burn_name(&self, dsl: &Dsl, prefix: &str) {
        if self.name.is_none() && !self.is_bare() {
            StoreName::generate(dsl, prefix);
        }
    }

    /// Nothing was asked for: it stands for no argument at all.
    pub(crate) fn is_bare(&self) -> bool {
        let default_changelog = self.changelog == Some(ChangelogConfig::default());
        let unkept = self.retention.is_none() && self.ttl.is_none() && self.history.is_none();
        self.name.is_none() && self.by_type && self.caching && unkept && default_changelog
    }

    /// The name of the store, or the next generated one. As in Kafka Streams, a name that is given
    /// uses up no number.
    pub(crate) fn store_name(&self, dsl: &Dsl, prefix: &str) -> StoreName {
        match &self.name {
            Some(name) => StoreName { name: name.clone(), generated: false },
            None => StoreName::generate(dsl, prefix),
        }
    }
}

/// The name of a store.
#[derive(Clone)]
pub(crate) struct StoreName {
    pub(crate) name: String,
    pub(crate) generated: bool,
}

impl StoreName {
    pub(crate) fn generate(dsl: &Dsl, prefix: &str) -> Self {
        Self { name: dsl.generated(&format!("{prefix}STATE-STORE-")), generated: true }
    }

    /// The same with a number before those that were made since: see [`Dsl::generated_at`].
    pub(crate) fn generate_at(dsl: &Dsl, number: usize, until: usize, prefix: &str) -> Self {
        let name = dsl.generated_at(number, until, &format!("{prefix}STATE-STORE-"));
        Self { name, generated: true }
    }
}

impl<K: StoreKey, V: Data, Kd: Kind<K>> Materialized<K, V, Kd>
where
    Kd::Key: StoreKey,
{
    /// Adds the store to the graph, under this name.
    pub(crate) fn add_to(self, dsl: &Dsl, name: &StoreName) {
        if name.generated {
            dsl.note_generated_store(&name.name);
        }
        if self.retention.is_some() {
            let node = format!("of store {}", name.name);
            let reason = "it is given a retention, but keeps no windows; leave retention() out";
            dsl.fail(TopologyError::InvalidWindows { node, reason: reason.to_owned() });
        }
        if let Some(ttl) = self.ttl.filter(|ttl| !is_time_to_live(*ttl)) {
            dsl.fail(TopologyError::InvalidTimeToLive { store: name.name.clone(), ttl });
        }
        if let Some(history) = self.history {
            let both = self.ttl.is_some();
            return self.with_versions(dsl, name, Versioned::new(history), both);
        }
        let Self { kind, key_serde, value_serde, mut changelog, .. } = self;
        if let (Some(history_ms), Some(config)) = (kind.history_ms(), &mut changelog) {
            // Compaction is to leave records alone that the history needs, by the clock of the brokers.
            let lag_ms = history_ms.saturating_add(COMPACTION_LAG_MS);
            let setting = config.topic_settings.entry("min.compaction.lag.ms".to_owned());
            setting.or_insert_with(|| lag_ms.to_string());
        }
        dsl.graph(|g| {
            g.add_store(&name.name, changelog, move |init| {
                Store::of_kind(kind.clone(), init, key_serde.clone(), value_serde.clone())
            });
        });
    }
}

impl<K: StoreKey, V: Data, Kd> Materialized<K, V, Kd> {
    /// Adds a store with versions to the graph. `is_limited`: it was given a time to live too.
    fn with_versions(self, dsl: &Dsl, name: &StoreName, kind: Versioned, is_limited: bool) {
        let at = || format!("store `{}`", name.name);
        if is_limited {
            let reason = "versions have a history retention and no time to live; leave ttl() out";
            dsl.fail(TopologyError::InvalidVersions { at: at(), reason: reason.to_owned() });
        }
        if self.history.is_some_and(|history| i64::try_from(history.as_millis()).is_err()) {
            let reason =
                "its history retention has more than 2^63-1 milliseconds; give a shorter one";
            dsl.fail(TopologyError::InvalidVersions { at: at(), reason: reason.to_owned() });
        }
        // The name was noted.
        self.with_kind(kind).add_to(dsl, &StoreName { name: name.name.clone(), generated: false });
    }
}

impl<K: HasSerde, V: HasSerde> Default for Materialized<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Into<String>, K: HasSerde, V: HasSerde> From<T> for Materialized<K, V> {
    fn from(name: T) -> Self {
        Self::named(name)
    }
}

impl<K, V, Kd: Clone> Clone for Materialized<K, V, Kd> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind.clone(),
            name: self.name.clone(),
            key_serde: Arc::clone(&self.key_serde),
            value_serde: Arc::clone(&self.value_serde),
            by_type: self.by_type,
            caching: self.caching,
            changelog: self.changelog.clone(),
            retention: self.retention,
            ttl: self.ttl,
            history: self.history,
        }
    }
}

/// Whether it has a whole millisecond, and as many as a time can have.
fn is_time_to_live(ttl: Duration) -> bool {
    i64::try_from(ttl.as_millis()).is_ok_and(|ttl_ms| ttl_ms > 0)
}

impl<K, V, Kd: fmt::Debug> fmt::Debug for Materialized<K, V, Kd> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Materialized")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .field("caching", &self.caching)
            .field("changelog", &self.changelog)
            .finish_non_exhaustive()
    }
}
