//! What a store holds at the end of a case, in the lines of the golden files.
//!
//! Knows the kinds of stores and the types that the topologies give them; not topologies. Rows of windows
//! are sorted by key, start and end, as the golden files have them.

use std::hash::Hash;

use oncestream_core::TimestampMs;
use oncestream_core::state::{Session, ValueAndTimestamp, Window};
use oncestream_operators::Windowed;
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::DriverError;

use crate::format::{Windows, untext};
use crate::functions::Text;

/// Key, value and time.
type Row = (Text, Text, TimestampMs);

/// What a call gives with the types of key and value that the store has.
macro_rules! of_its_types {
    ($rows:ident($($argument:expr),+)) => {
        $rows::<String, String>($($argument),+)
            .or_else(|_| $rows::<String, i64>($($argument),+))
            .or_else(|_| $rows::<String, Text>($($argument),+))
            .or_else(|_| $rows::<Text, String>($($argument),+))
            .or_else(|_| $rows::<Text, i64>($($argument),+))
            .or_else(|_| $rows::<Text, Text>($($argument),+))
            .unwrap()
    };
}

/// The lines of a store: one of keys and values, or of these windows.
pub(crate) fn held(
    driver: &TopologyTestDriver,
    store: &str,
    windows: Option<Windows>,
    timed: bool,
) -> Vec<String> {
    let rows = match windows {
        None => of_its_types!(rows(driver, store)),
        Some(Windows::Time(size_ms)) => of_its_types!(in_time(driver, store, size_ms)),
        Some(Windows::Session) => of_its_types!(in_sessions(driver, store)),
    };
    // A session is its own time.
    let timed = timed && !matches!(windows, Some(Windows::Session));
    let line = |(key, value, time): &Row| {
        let (key, value) = (untext(key.as_deref()), untext(value.as_deref()));
        let time = if timed { time.to_string() } else { "\\N".to_owned() };
        format!("store\t{store}\t{key}\t{value}\t{time}")
    };
    rows.iter().map(line).collect()
}

/// A key or a value of a store.
trait Shown: Hash + Eq + Clone + 'static {
    /// As the golden files print it.
    fn shown(self) -> Text;
}

impl Shown for String {
    fn shown(self) -> Text {
        Some(self)
    }
}

impl Shown for Text {
    fn shown(self) -> Text {
        self
    }
}

impl Shown for i64 {
    fn shown(self) -> Text {
        Some(self.to_string())
    }
}

fn rows<K: Shown, V: Shown>(
    driver: &TopologyTestDriver,
    store: &str,
) -> Result<Vec<Row>, DriverError> {
    let all = driver.store::<K, V>(store)?.all()?.into_iter();
    Ok(all.map(|(key, found)| (key.shown(), found.value.shown(), found.timestamp)).collect())
}

fn in_time<K: Shown, V: Shown>(
    driver: &TopologyTestDriver,
    store: &str,
    size_ms: i64,
) -> Result<Vec<Row>, DriverError> {
    let all = driver.store_of_kind::<K, V, Window>(store)?.all()?.into_iter();
    Ok(sorted(all.map(|(window, found)| {
        let end = window.start.saturating_add(size_ms);
        (Windowed { key: window.key, start: window.start, end }, found)
    })))
}

fn in_sessions<K: Shown, V: Shown>(
    driver: &TopologyTestDriver,
    store: &str,
) -> Result<Vec<Row>, DriverError> {
    let all = driver.store_of_kind::<K, V, Session>(store)?.all()?.into_iter();
    Ok(sorted(all.map(|(session, found)| {
        (Windowed { key: session.key, start: session.start, end: session.end }, found)
    })))
}

fn sorted<K: Shown, V: Shown>(
    rows: impl Iterator<Item = (Windowed<K>, ValueAndTimestamp<V>)>,
) -> Vec<Row> {
    let key = |Windowed { key, start, end }: Windowed<K>| {
        // No store has a null for a key.
        Windowed { key: key.shown().unwrap_or_default(), start, end }
    };
    let mut rows: Vec<_> = rows.map(|(windowed, found)| (key(windowed), found)).collect();
    // Stable: duplicates stay in the order of the store.
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let row = |(windowed, found): (Windowed<String>, ValueAndTimestamp<V>)| {
        (Some(windowed.to_string()), found.value.shown(), found.timestamp)
    };
    rows.into_iter().map(row).collect()
}
