//! A look into a store of some kind, over all tasks that have a part of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::marker::PhantomData;
use std::rc::Rc;

use oncestream_core::error::TaskError;
use oncestream_core::state::{
    KeyValue, Kind, Session, SessionKey, Store, ValueAndTimestamp, Version, Versioned, Window,
    WindowKey,
};
use oncestream_core::{TaskId, TimestampMs};

use super::{DriverError, TopologyTestDriver};

/// A store as the tasks see it, with what is not committed yet.
///
/// It borrows the driver, so that it never shows what a later crash has thrown away.
///
/// ```
/// # use oncestream_operators::StreamsBuilder;
/// # use oncestream_testkit::TopologyTestDriver;
/// # let builder = StreamsBuilder::new();
/// # builder.stream::<String, String>("in").group_by_key().count("counts");
/// # let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
/// let input = driver.input::<String, String>("in");
/// driver.pipe(&input, "a".into(), "x".into(), 7)?;
/// let counts = driver.store::<String, i64>("counts")?;
/// assert_eq!(counts.get(&"a".into())?, Some(1));
/// assert_eq!(counts.get(&"b".into())?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TestStore<'a, K, V, Kd: Kind<K> = KeyValue> {
    pub(super) parts: Vec<Part<K, V, Kd>>,
    driver: PhantomData<&'a TopologyTestDriver>,
}

/// The store of one task.
pub(super) type Part<K, V, Kd> = (TaskId, Rc<RefCell<Store<K, V, Kd>>>);

impl<K, V, Kd: Kind<K>> TestStore<'_, K, V, Kd> {
    pub(super) fn new(parts: Vec<Part<K, V, Kd>>) -> Self {
        Self { parts, driver: PhantomData }
    }

    /// What is read of the store of each task, one behind the other.
    fn entries<E>(
        &self,
        read: impl Fn(&mut Store<K, V, Kd>) -> Result<Vec<E>, TaskError>,
    ) -> Result<Vec<E>, DriverError> {
        let mut all = Vec::new();
        for (task, part) in &self.parts {
            let failed = |source| DriverError::Task { task: *task, source };
            all.extend(read(&mut part.borrow_mut()).map_err(failed)?);
        }
        Ok(all)
    }
}

impl<K: Hash + Eq + Clone, V: Clone> TestStore<'_, K, V, Window> {
    /// The value of a key for the window that begins at `start`, in whichever partition it is.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn fetch(
        &self,
        key: &K,
        start: TimestampMs,
    ) -> Result<Option<ValueAndTimestamp<V>>, DriverError> {
        for (task, part) in &self.parts {
            let found = part.borrow_mut().fetch(key, start);
            let found = found.map_err(|source| DriverError::Task { task: *task, source })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Every window that has not expired: partition by partition, each in the order of its store.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn all(&self) -> Result<Vec<(WindowKey<K>, ValueAndTimestamp<V>)>, DriverError> {
        self.entries(|store| store.all()?.collect())
    }
}

impl<K: Hash + Eq + Clone, V: Clone> TestStore<'_, K, V, Session> {
    /// Every session that the store shows, partition by partition.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn all(&self) -> Result<Vec<(SessionKey<K>, ValueAndTimestamp<V>)>, DriverError> {
        self.entries(|store| store.all()?.collect())
    }
}

impl<K: Hash + Eq + Clone, V: Clone> TestStore<'_, K, V, Versioned> {
    /// The newest value of a key, and when it begins, in whichever partition it is.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn get(&self, key: &K) -> Result<Option<ValueAndTimestamp<V>>, DriverError> {
        self.get_as_of(key, TimestampMs::MAX)
    }

    /// The value of a key as of a time, and when it begins, in whichever partition it is.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn get_as_of(
        &self,
        key: &K,
        timestamp: TimestampMs,
    ) -> Result<Option<ValueAndTimestamp<V>>, DriverError> {
        for (task, part) in &self.parts {
            let found = part.borrow_mut().as_of(key, timestamp);
            let found = found.map_err(|source| DriverError::Task { task: *task, source })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Every key with the versions that the store shows, partition by partition.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn all(&self) -> Result<Vec<(K, Version<V>)>, DriverError> {
        self.entries(Store::all_versions)
    }
}

impl<K: Hash + Eq + Clone, V: Clone> TestStore<'_, K, V> {
    /// The value of a key, in whichever partition it is.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn get(&self, key: &K) -> Result<Option<V>, DriverError> {
        Ok(self.get_with_timestamp(key)?.map(|found| found.value))
    }

    /// The value of a key and its event time.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn get_with_timestamp(&self, key: &K) -> Result<Option<ValueAndTimestamp<V>>, DriverError> {
        for (task, part) in &self.parts {
            let found = part.borrow_mut().get(key);
            if let Some(found) =
                found.map_err(|source| DriverError::Task { task: *task, source })?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Every entry: partition by partition, each in the order of its keys' bytes.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn all(&self) -> Result<Vec<(K, ValueAndTimestamp<V>)>, DriverError> {
        self.entries(|store| store.all()?.collect())
    }

    /// Every key with its value.
    ///
    /// # Errors
    /// When the backend or a serde fails.
    pub fn to_map(&self) -> Result<HashMap<K, V>, DriverError> {
        Ok(self.all()?.into_iter().map(|(key, found)| (key, found.value)).collect())
    }
}
