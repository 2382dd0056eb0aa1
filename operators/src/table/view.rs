//! How a node of a task reads the current value of another table by its key: Kafka Streams'
//! `KTableValueGetter`.
//!
//! A [`View`] is made with [`KTable::view`] when an operator is added, and says which stores the node that
//! reads must be connected to. It opens a [`Reader`] for each task. A table with a store is read there,
//! through its cache, so what is read may not have been forwarded yet. One without a store is computed at
//! each read from the tables above it; a table that is a topic gets a store by being read.
//!
//! Invariant: no store is borrowed while a record is forwarded, so that a reader below may use it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use oncestream_core::TimestampMs;
use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::graph::NodeId;
use oncestream_core::state::{
    KeyValue, Kind, Session, SessionKey, Store, ValueAndTimestamp, Versioned, VersionedStore,
    Window, WindowKey,
};
use oncestream_core::task::TaskBuilder;

use super::KTable;
use super::made::{Made, TableInfo};
use crate::dsl::{Data, StoreKey};
use crate::windows::Windowed;

/// What is found for a key, with its time.
pub(crate) type Found<V> = Result<Option<ValueAndTimestamp<V>>, TaskError>;

/// Reads a table in one task.
pub(crate) enum Reader<K, V> {
    /// From its store.
    Store(Rc<RefCell<Store<K, V>>>),
    /// From its store with versions.
    Versions(Rc<RefCell<VersionedStore<K, V>>>),
    /// In any other way.
    Lookup(Box<dyn Lookup<K, V>>),
}

/// A way to read a table.
pub(crate) trait Lookup<K, V> {
    /// The value of a key. `now` is the time of the record in hand, for stores whose values expire.
    fn get(&mut self, key: &K, now: TimestampMs) -> Found<V>;

    /// The value of a key as of the time of the record in hand; the current one of a table without
    /// versions.
    fn as_of(&mut self, key: &K, time: TimestampMs) -> Found<V> {
        self.get(key, time)
    }

    /// Whether a change of the key was not told yet: it waits in a cache.
    fn is_untold(&mut self, key: &K) -> bool;
}

impl<K: StoreKey, V: Data> Reader<K, V> {
    /// The value of a key. `now` is the time of the record in hand, for stores whose values expire.
    #[inline]
    pub(crate) fn get(&mut self, key: &K, now: TimestampMs) -> Found<V> {
        match self {
            Self::Store(store) => {
                let mut store = store.borrow_mut();
                store.observe(now);
                store.get(key)
            }
            Self::Versions(store) => store.borrow_mut().newest(key),
            Self::Lookup(lookup) => lookup.get(key, now),
        }
    }

    /// The value of a key as of the time of the record in hand; the current one of a table without
    /// versions.
    pub(crate) fn as_of(&mut self, key: &K, time: TimestampMs) -> Found<V> {
        match self {
            Self::Store(_) => self.get(key, time),
            Self::Versions(store) => store.borrow_mut().as_of(key, time),
            Self::Lookup(lookup) => lookup.as_of(key, time),
        }
    }

    /// [`Self::with`] for what [`Self::as_of`] finds.
    #[inline]
    pub(crate) fn with_as_of<R>(
        &mut self,
        key: &K,
        time: TimestampMs,
        f: impl FnOnce(Option<(&V, TimestampMs)>) -> R,
    ) -> Result<R, TaskError> {
        match self {
            Self::Store(_) => self.with(key, time, f),
            Self::Versions(store) => store.borrow_mut().with_as_of(key, time, f),
            Self::Lookup(lookup) => {
                let found = lookup.as_of(key, time)?;
                Ok(f(found.as_ref().map(|found| (&found.value, found.timestamp))))
            }
        }
    }

    /// Whether a change of the key was not told yet: it waits in a cache.
    pub(crate) fn is_untold(&mut self, key: &K) -> bool {
        match self {
            Self::Store(store) => store.borrow_mut().is_untold(key),
            // It has no cache.
            Self::Versions(_) => false,
            Self::Lookup(lookup) => lookup.is_untold(key),
        }
    }

    /// What `f` makes of the value and its time, which it is lent. The store is borrowed meanwhile.
    #[inline]
    pub(crate) fn with<R>(
        &mut self,
        key: &K,
        now: TimestampMs,
        f: impl FnOnce(Option<(&V, TimestampMs)>) -> R,
    ) -> Result<R, TaskError> {
        match self {
            Self::Store(store) => {
                let mut store = store.borrow_mut();
                store.observe(now);
                Ok(f(store.lend(key)?))
            }
            Self::Versions(store) => store.borrow_mut().with_as_of(key, TimestampMs::MAX, f),
            Self::Lookup(lookup) => {
                let found = lookup.get(key, now)?;
                Ok(f(found.as_ref().map(|found| (&found.value, found.timestamp))))
            }
        }
    }
}

/// A table as other nodes read it.
pub(crate) struct View<K, V> {
    stores: Vec<Arc<str>>,
    forgets: bool,
    open: Open<K, V>,
}

/// Makes the reader of one task for a node that is connected to the stores.
type Open<K, V> =
    Arc<dyn Fn(&TaskBuilder<'_>, NodeId) -> Result<Reader<K, V>, TopologyError> + Send + Sync>;

impl<K: StoreKey, V: Data> View<K, V> {
    /// Of a table that is not only read in one store.
    pub(crate) fn new<F>(stores: Vec<Arc<str>>, open: F) -> Self
    where
        F: Fn(&TaskBuilder<'_>, NodeId) -> Result<Reader<K, V>, TopologyError>
            + Send
            + Sync
            + 'static,
    {
        Self { stores, forgets: false, open: Arc::new(open) }
    }

    /// Of a table that has this store, of any kind.
    pub(crate) fn of_store<K2: Data, Kd: Kind<K2>>(name: &str) -> Self
    where
        K: KeyOf<K2, Kd>,
        Kd::Key: StoreKey,
    {
        let name: Arc<str> = name.into();
        let stores = vec![name.clone()];
        Self::new(stores, move |b, node| Ok(K::reader(b.store::<Store<K2, V, Kd>>(node, &name)?)))
    }

    /// Of a table that is computed from this one, value by value.
    pub(crate) fn then<V2: Data, F>(self, compute: Arc<F>) -> View<K, V2>
    where
        F: Fn(&K, V) -> Option<V2> + Send + Sync + 'static,
    {
        let Self { stores, forgets, open } = self;
        let view = View::new(stores, move |b, node| {
            let (above, compute) = (open(b, node)?, compute.clone());
            Ok(Reader::Lookup(Box::new(Computed { above, compute })))
        });
        view.forgetting(forgets)
    }

    /// The same view, of a table whose values may go without being told of.
    pub(crate) fn forgetting(self, forgets: bool) -> Self {
        Self { forgets: self.forgets || forgets, ..self }
    }

    /// Whether values may go without being told of.
    pub(crate) fn forgets(&self) -> bool {
        self.forgets
    }

    /// The stores of this view and of another, each once.
    pub(crate) fn stores_with<K2, V2>(&self, other: &View<K2, V2>) -> Vec<Arc<str>> {
        let mut stores = self.stores.clone();
        stores.extend(other.stores.iter().filter(|name| !self.stores.contains(name)).cloned());
        stores
    }

    /// The stores to which the node that reads must be connected.
    pub(crate) fn stores(&self) -> &[Arc<str>] {
        &self.stores
    }

    /// Makes the reader of one task, for a node that is connected to the stores.
    pub(crate) fn reader(
        &self,
        b: &TaskBuilder<'_>,
        node: NodeId,
    ) -> Result<Reader<K, V>, TopologyError> {
        (self.open)(b, node)
    }
}

impl<K, V> Clone for View<K, V> {
    fn clone(&self) -> Self {
        let Self { stores, forgets, open } = self;
        Self { stores: stores.clone(), forgets: *forgets, open: open.clone() }
    }
}

impl<K: StoreKey, V: Data> KTable<K, V> {
    /// How other nodes read the table. A table that is a topic gets a store by this call if it has none.
    pub(crate) fn view(&self) -> View<K, V> {
        self.get_store();
        let TableInfo { spec, made } = &*self.info;
        let of_store = |name: &str| View::of_store::<K, KeyValue>(name);
        match (made, spec.store()) {
            (_, Some(store)) if store.history_ms.is_some() => {
                View::of_store::<K, Versioned>(&store.name)
            }
            (Made::WithStore(view), None) => view.clone(),
            (Made::WithStore(view), Some(store)) => view.clone().forgetting(store.forgets),
            (_, Some(store)) => of_store(&store.name).forgetting(store.forgets),
            (Made::FromTopic(on_need), None) => of_store(&on_need.name.name),
            (
                Made::FromTable { view, .. }
                | Made::Joined { view, .. }
                | Made::Suppressed { view, .. },
                None,
            ) => view(),
        }
    }
}

/// A key of a table whose rows are in a store of the kind `Kd`.
pub(crate) trait KeyOf<K, Kd: Kind<K>>: Sized {
    /// Reads the table in its store.
    fn reader<V: Data>(store: Rc<RefCell<Store<K, V, Kd>>>) -> Reader<Self, V>;
}

impl<K: StoreKey> KeyOf<K, KeyValue> for K {
    fn reader<V: Data>(store: Rc<RefCell<Store<K, V>>>) -> Reader<K, V> {
        Reader::Store(store)
    }
}

impl<K: StoreKey> KeyOf<K, Versioned> for K {
    fn reader<V: Data>(store: Rc<RefCell<VersionedStore<K, V>>>) -> Reader<K, V> {
        Reader::Versions(store)
    }
}

impl<K: StoreKey> KeyOf<K, Window> for Windowed<K> {
    fn reader<V: Data>(store: Rc<RefCell<Store<K, V, Window>>>) -> Reader<Self, V> {
        Reader::Lookup(Box::new(Windows(store)))
    }
}

impl<K: StoreKey> KeyOf<K, Session> for Windowed<K> {
    fn reader<V: Data>(store: Rc<RefCell<Store<K, V, Session>>>) -> Reader<Self, V> {
        Reader::Lookup(Box::new(Sessions(store)))
    }
}

struct Windows<K, V>(Rc<RefCell<Store<K, V, Window>>>);

impl<K: StoreKey, V: Data> Lookup<Windowed<K>, V> for Windows<K, V> {
    fn get(&mut self, window: &Windowed<K>, _now: TimestampMs) -> Found<V> {
        self.0.borrow_mut().get(&window_key(window))
    }

    fn is_untold(&mut self, window: &Windowed<K>) -> bool {
        self.0.borrow_mut().is_untold(&window_key(window))
    }
}

struct Sessions<K, V>(Rc<RefCell<Store<K, V, Session>>>);

impl<K: StoreKey, V: Data> Lookup<Windowed<K>, V> for Sessions<K, V> {
    fn get(&mut self, session: &Windowed<K>, _now: TimestampMs) -> Found<V> {
        self.0.borrow_mut().get(&session_key(session))
    }

    fn is_untold(&mut self, session: &Windowed<K>) -> bool {
        self.0.borrow_mut().is_untold(&session_key(session))
    }
}

fn window_key<K: StoreKey>(window: &Windowed<K>) -> WindowKey<K> {
    WindowKey { key: window.key.clone(), start: window.start, sequence: 0 }
}

fn session_key<K: StoreKey>(session: &Windowed<K>) -> SessionKey<K> {
    SessionKey { key: session.key.clone(), start: session.start, end: session.end }
}

/// A table that is computed from another, value by value.
struct Computed<K, V, F> {
    above: Reader<K, V>,
    compute: Arc<F>,
}

impl<K, V, V2, F: Fn(&K, V) -> Option<V2>> Computed<K, V, F> {
    fn compute(
        &self,
        key: &K,
        found: Option<ValueAndTimestamp<V>>,
    ) -> Option<ValueAndTimestamp<V2>> {
        let ValueAndTimestamp { value, timestamp } = found?;
        let value = (self.compute)(key, value)?;
        Some(ValueAndTimestamp { value, timestamp })
    }
}

impl<K: StoreKey, V: Data, V2, F: Fn(&K, V) -> Option<V2>> Lookup<K, V2> for Computed<K, V, F> {
    fn get(&mut self, key: &K, now: TimestampMs) -> Found<V2> {
        let found = self.above.get(key, now)?;
        Ok(self.compute(key, found))
    }

    fn as_of(&mut self, key: &K, time: TimestampMs) -> Found<V2> {
        let found = self.above.as_of(key, time)?;
        Ok(self.compute(key, found))
    }

    fn is_untold(&mut self, key: &K) -> bool {
        self.above.is_untold(key)
    }
}
