//! `suppress`: a table whose updates wait.
//!
//! The rules are those of Kafka Streams' `KTableSuppressProcessor`, but for old values: what follows is
//! told what was emitted last for the key, so that a table of tables sums right.

mod buffer;
mod entry;
mod node;
mod view;
mod wall_clock;

use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::error::TopologyError;
use oncestream_core::state::KeyValueStore;
use oncestream_core::task::Node;
use oncestream_core::{Header, Headers};

use super::{Change, KTable, Made, TableSpec};
use crate::dsl::{Data, StoreKey};
use crate::options::{StoreName, Suppressed, Until};
pub(crate) use entry::{Entry, EntrySerde, Origin};
use node::{Rules, Suppress};

const PREFIX: &str = "KTABLE-SUPPRESS-";
/// What Kafka Streams calls the format of an entry, in a header of its changelog's records.
const FORMAT: u8 = 3;

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// Keeps the updates of each key back, and emits the last one: when the window of the key closes, or
    /// a time after its first update. [`Suppressed`] says which, and how much may wait.
    ///
    /// What waits is in a store with a changelog, `<name>-store`; it survives a crash, and under exactly
    /// once each result is emitted once. Each update costs a look into the store, and a key that begins
    /// or ends to wait a logarithm of the number that waits.
    ///
    /// Downstream, the old value of a change is the value that was emitted last for its key. Kafka
    /// Streams gives that of the last update there, and what an aggregation begins with if nothing was
    /// emitted yet, so that sums and counts over suppressed tables are wrong.
    ///
    /// The table above gets a store if it has none, because old values are asked for, as in Kafka Streams.
    /// The suppressed table itself cannot be [materialized](Self::materialized); `build` refuses that
    /// ([`TopologyError::SuppressedTable`]), and a wait for windows where there are none
    /// ([`TopologyError::NoWindowsAbove`]).
    ///
    /// ```
    /// use std::time::Duration;
    /// use oncestream_core::serde::HasSerde;
    /// use oncestream_operators::{
    ///     BufferConfig, Produced, StreamsBuilder, Suppressed, TimeWindows, Windowed,
    /// };
    /// let minute = Duration::from_secs(60);
    /// let windows = TimeWindows::of_size_and_grace(minute, Duration::from_secs(5));
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, String>("clicks").group_by_key();
    /// let windowed = Windowed::time_serde(String::serde(), minute);
    /// clicks
    ///     .windowed_by(windows)
    ///     .count("clicks-per-minute")
    ///     .suppress(Suppressed::until_window_closes(BufferConfig::unbounded()))
    ///     .to_stream()
    ///     .to(Produced::with("final-counts", windowed, Option::<i64>::serde()));
    /// # assert!(builder.build().is_ok());
    /// ```
    pub fn suppress(&self, suppressed: Suppressed<K>) -> Self {
        if self.info.spec.history_ms().is_some() {
            let at = format!("suppress() of table `{}`", self.dsl.node_name(self.node));
            let reason = "the table has versions, or one above has, and updates of it come out of \
                          order; leave suppress() or versioned() out, as in Kafka Streams";
            self.dsl.fail(TopologyError::InvalidVersions { at, reason: reason.to_owned() });
        }
        let given = suppressed.name.as_ref().or_else(|| self.next_name.take());
        // As in Kafka Streams, a name that is given uses up no number.
        let name = given.map_or_else(|| self.dsl.generated(PREFIX), |n| n.as_str().to_owned());
        let store = match given {
            Some(name) => StoreName { name: format!("{}-store", name.as_str()), generated: false },
            None => StoreName::generate(&self.dsl, PREFIX),
        };
        self.ask_told_before();
        let limit_ms = match suppressed.until {
            Until::Limit(limit_ms) => limit_ms,
            Until::WindowCloses(_) => self.dsl.grace_above(self.node).unwrap_or_else(|| {
                self.dsl.fail(TopologyError::NoWindowsAbove { node: name.clone() });
                0
            }),
        };
        let rules = Rules::new(&suppressed, limit_ms);
        let Some((keys, values)) = self.known_serdes(&name, None) else { return self.clone() };
        if store.generated {
            self.dsl.note_generated_store(&store.name);
        }
        let of_store = values.clone();
        self.dsl.graph(|g| {
            g.add_store(&store.name, suppressed.changelog, move |init| {
                let entries = Arc::new(EntrySerde(of_store.clone()));
                let store = KeyValueStore::new(init, keys.clone(), entries);
                store.with_changelog_headers(Headers::from([Header::new("v", vec![FORMAT])]))
            });
        });
        let store: Arc<str> = store.name.into();
        let (of_node, waiting) = (store.clone(), store.clone());
        let node = self.dsl.graph(|g| {
            g.add_processor(&name, &[self.node], &[store], move |b, id| {
                let node = Suppress::instantiate(b, id, rules, &of_node, values.clone())?;
                Ok(node as Box<dyn Node<K, Change<V>>>)
            })
        });
        let parent = self.clone();
        let ask = Rc::new(move |force| parent.ask_old_values(force));
        let parent = self.clone();
        let view = Rc::new(move || view::suppressed(&parent.view(), &waiting));
        let made = Made::Suppressed { ask, view };
        let table = Self::new(self.dsl.clone(), node, TableSpec::new(), made);
        Self { serdes: self.serdes.clone(), ..table }
    }
}
