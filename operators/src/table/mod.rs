//! [`KTable`]: the latest value per key. Each operator is a file of this folder.

mod change_serde;
mod filter;
mod foreign_key;
mod group_by;
mod join;
mod made;
mod map_values;
mod output;
mod process_values;
mod refused;
mod source;
mod store;
mod suppress;
mod to_stream;
mod versioned;
mod view;

use std::any::TypeId;
use std::fmt;
use std::rc::Rc;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::NodeId;
use oncestream_core::state::Versioned;
use oncestream_core::task::{Node, TaskBuilder};

pub use change_serde::ChangeSerde;
use made::TableInfo;
pub(crate) use made::{Made, OnNeed, TableSerdes, TableSpec};
pub(crate) use output::TableOutput;
pub(crate) use refused::refused;
pub(crate) use source::nullable;
pub(crate) use store::{Forwarded, TableStore};
pub(crate) use suppress::{Entry, EntrySerde, Origin};
pub(crate) use versioned::StoredTable;
pub(crate) use view::{Found, KeyOf, Lookup, Reader, View};

use crate::dsl::{Data, Dsl, NextName, StoreKey};
use crate::options::Named;
use crate::processor::StoreRef;

/// What happened to one key of a table: its new value, and its old one where an operator
/// downstream needs it. `None` is "no value": a deletion, or a key that was not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<V> {
    /// The value from now on.
    pub new: Option<V>,
    /// The value before; `None` as well when nobody downstream asked for it.
    pub old: Option<V>,
    /// Whether the new value is the newest of its key. It is not if it came out of order into a
    /// [versioned](crate::Materialized::versioned) table: `old` is then the newest value.
    pub is_latest: bool,
}

impl<V> Change<V> {
    /// A change to the newest value.
    pub fn latest(new: Option<V>, old: Option<V>) -> Self {
        Self { new, old, is_latest: true }
    }
}

/// The latest value of each key.
///
/// A handle; cloning it gives another on the same table. Where a table has a store, and what it is
/// good for, says [`Self::materialized`].
///
/// ```
/// use oncestream_operators::{KTable, StreamsBuilder};
/// let builder = StreamsBuilder::new();
/// let countries: KTable<String, String> = builder.table("countries-of-users");
/// let users = countries.group_by(|user, country| (country.clone(), user.clone()));
/// users.count("users-of-countries").to_stream().to("numbers-of-users");
/// # assert!(builder.build().is_ok());
/// ```
pub struct KTable<K, V> {
    pub(crate) dsl: Dsl,
    pub(crate) node: NodeId,
    pub(crate) info: Rc<TableInfo<K, V>>,
    serdes: TableSerdes<K, V>,
    pub(crate) next_name: NextName,
}

impl<K, V> Clone for KTable<K, V> {
    fn clone(&self) -> Self {
        Self {
            dsl: self.dsl.clone(),
            node: self.node,
            info: self.info.clone(),
            serdes: self.serdes.clone(),
            next_name: self.next_name.clone(),
        }
    }
}

impl<K, V> fmt::Debug for KTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KTable")
            .field("node", &self.dsl.node_name(self.node))
            .field("store", &self.info.spec.store().map(|store| &store.name))
            .finish_non_exhaustive()
    }
}

impl<K: StoreKey, V: Data> KTable<K, V> {
    pub(crate) fn new(dsl: Dsl, node: NodeId, spec: TableSpec<V>, made: Made<K, V>) -> Self {
        let info = Rc::new(TableInfo { spec, made });
        let (serdes, next_name) = (TableSerdes::default(), NextName::default());
        Self { dsl, node, info, serdes, next_name }
    }

    /// The same table; the next operator called on what this returns gets the name. A name that no
    /// operator gets is refused by `build`.
    #[must_use]
    pub fn named(&self, name: impl Into<Named>) -> Self {
        Self { next_name: self.dsl.next_name(name), ..self.clone() }
    }

    /// Adds the node of a table that is computed from this one. `view` says how it is read where it has
    /// no store.
    pub(crate) fn add<V2: Data, W, F>(
        &self,
        prefix: &'static str,
        spec: TableSpec<V2>,
        view: W,
        factory: F,
    ) -> KTable<K, V2>
    where
        W: Fn(View<K, V>) -> View<K, V2> + 'static,
        F: Fn(&mut TaskBuilder<'_>, NodeId) -> Result<Box<dyn Node<K, Change<V>>>, TopologyError>
            + Send
            + Sync
            + 'static,
    {
        let name = self.dsl.name(self.next_name.take(), prefix);
        let node = self.dsl.graph(|g| g.add_processor(&name, &[self.node], &[], factory));
        let parent = self.clone();
        let ask = Rc::new(move |force| parent.ask_old_values(force));
        let parent = self.clone();
        let above = Rc::new(move || parent.ask_told_before());
        let history = self.info.spec.clone();
        spec.inherit(move || history.history_ms());
        let parent = self.clone();
        let view = Rc::new(move || view(parent.view()));
        let made = Made::FromTable { prefix, ask, above, view };
        let table = KTable::new(self.dsl.clone(), node, spec, made);
        KTable { serdes: self.serdes.of_keys(), ..table }
    }

    /// The store of the table, for processors: they may read it, and write it too, which forwards
    /// nothing. A table that is a topic gets a store by this call if it has none.
    ///
    /// A table that is computed from another must have been [materialized](Self::materialized);
    /// `build` refuses it otherwise ([`TopologyError::NoStore`]).
    ///
    /// ```
    /// use oncestream_operators::StreamsBuilder;
    /// let builder = StreamsBuilder::new();
    /// let users = builder.table::<i64, String>("users").materialized("users-store");
    /// assert_eq!(users.store().name(), "users-store");
    /// ```
    ///
    /// That of a windowed aggregation is [`window_store`](Self::window_store) or
    /// [`session_store`](Self::session_store).
    pub fn store(&self) -> StoreRef<K, V> {
        self.store_of_kind()
    }

    /// The store, of the kind that the caller knows it has.
    pub(crate) fn store_of_kind<K2, Kd: 'static>(&self) -> StoreRef<K2, V, Kd> {
        let has_store = self.get_store();
        self.info.spec.give_away();
        self.check_kind::<Kd>();
        let name = match self.info.spec.store() {
            Some(store) if has_store => store.name.clone(),
            _ => {
                let node = self.dsl.node_name(self.node);
                self.dsl.fail(match self.info.made {
                    Made::Suppressed { .. } => {
                        TopologyError::SuppressedTable { node: node.clone() }
                    }
                    _ => TopologyError::NoStore { node: node.clone() },
                });
                node.into()
            }
        };
        StoreRef::new(&name, self.dsl.identity())
    }

    /// The store of a [versioned](crate::Materialized::versioned) table, for processors: see
    /// [`Self::store`].
    pub fn versioned_store(&self) -> StoreRef<K, V, Versioned> {
        self.store_of_kind()
    }

    /// How long the table keeps versions, in milliseconds; `None` if it has none.
    pub(crate) fn history_ms(&self) -> Option<i64> {
        self.info.spec.history_ms()
    }

    /// A store with versions is no other, and no other has any.
    fn check_kind<Kd: 'static>(&self) {
        let Some(store) = self.info.spec.store() else { return };
        let asks = TypeId::of::<Kd>() == TypeId::of::<Versioned>();
        if asks != store.history_ms.is_some() {
            let reason = if asks {
                "versioned_store() gives a store with versions, and it has none; use store(), or make it \
                 with Materialized::versioned()"
            } else {
                "store() gives a store without versions, and it has them; use versioned_store()"
            };
            let at = format!("the handle on store `{}`", store.name);
            self.dsl.fail(TopologyError::InvalidVersions { at, reason: reason.to_owned() });
        }
    }

    /// The table's windows cannot be.
    pub(crate) fn refuse_windows(&self, reason: String) {
        let node = self.dsl.node_name(self.node);
        self.dsl.fail(TopologyError::InvalidWindows { node, reason });
    }
}
