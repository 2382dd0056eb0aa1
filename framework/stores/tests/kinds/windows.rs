//! Window stores, and a map by segment and bytes that expires by arithmetic.

use std::collections::BTreeMap;
use std::time::Duration;

use oncestream_core::error::TaskError;
use oncestream_core::serde::HasSerde;
use oncestream_core::state::{StoreInit, Window, WindowKey, WindowStore};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::{Found, KEYS, Key, RETENTION_MS, SEGMENT_MS, Step, Subject, collected};

/// Window stores. The retention of the store itself may be wrong, for the control.
#[derive(Clone)]
pub(crate) struct Windows {
    pub(crate) duplicates: bool,
    pub(crate) retention_ms: i64,
}

impl Windows {
    pub(crate) fn new(duplicates: bool) -> Self {
        Self { duplicates, retention_ms: RETENTION_MS }
    }
}

/// Rows as Kafka Streams orders them, by segment and the bytes of key, start and number, with the
/// latest start and the number of puts.
#[derive(Clone, Default)]
pub(crate) struct WindowModel {
    rows: BTreeMap<(i64, Vec<u8>), (Key, i64, Found<i64>)>,
    time: Option<i64>,
    puts: u32,
}

impl WindowModel {
    fn is_live(&self, start: i64) -> bool {
        self.time.is_none_or(|time| start > time - RETENTION_MS)
    }

    fn shown(&self) -> Vec<(Key, i64, Found<i64>)> {
        self.rows.values().filter(|(_, start, _)| self.is_live(*start)).cloned().collect()
    }
}

/// Without the sequence numbers, which are the store's business.
fn plain(
    entries: Result<
        impl Iterator<Item = Result<(WindowKey<Key>, Found<i64>), TaskError>>,
        TaskError,
    >,
) -> Vec<(Key, i64, Found<i64>)> {
    let entries = collected(entries).into_iter();
    entries.map(|(window, found)| (window.key, window.start, found)).collect()
}

impl Subject for Windows {
    type Store = WindowStore<Key, i64>;
    type Model = WindowModel;

    fn open(&self, init: StoreInit) -> Self::Store {
        let retention = Duration::from_millis(self.retention_ms.unsigned_abs());
        let mut window = Window::new(retention);
        if self.duplicates {
            window = window.retain_duplicates();
        }
        WindowStore::of_kind(window, init, Key::serde(), i64::serde())
    }

    fn write(
        &self,
        store: &mut Self::Store,
        model: &mut Self::Model,
        step: &Step,
    ) -> TestCaseResult {
        let Step::Write(key, start, value, timestamp) = *step else { return Ok(()) };
        let key = KEYS[key].to_vec();
        if timestamp % 2 == 1 {
            // What is read before is known to be absent.
            store.fetch(&key, start).unwrap();
        }
        let is_put = store.put_at(key.clone(), start, value, timestamp).unwrap();
        if start < 0 || (self.duplicates && value.is_none()) {
            prop_assert!(!is_put);
            return Ok(());
        }
        let time = model.time.map_or(start, |time| time.max(start));
        model.time = Some(time);
        prop_assert_eq!(is_put, model.is_live(start), "{} at {}", start, time);
        if !is_put {
            return Ok(());
        }
        model.puts += 1;
        let number = if self.duplicates { model.puts } else { 0 };
        let bytes = [&key[..], &start.to_be_bytes(), &number.to_be_bytes()].concat();
        let row = (start / SEGMENT_MS, bytes);
        match value {
            Some(value) => model.rows.insert(row, (key, start, Found { value, timestamp })),
            None => model.rows.remove(&row),
        };
        Ok(())
    }

    fn read_absent(&self, store: &mut Self::Store) {
        for n in 0..40 {
            store.fetch(&b"x".to_vec(), 1_000_000 + n).unwrap();
            assert_eq!(store.fetch(&b"x".to_vec(), n).unwrap(), None);
        }
    }

    fn check(&self, store: &mut Self::Store, model: &Self::Model) -> TestCaseResult {
        let shown = model.shown();
        let reversed = |mut rows: Vec<(Key, i64, Found<i64>)>| {
            rows.reverse();
            rows
        };
        prop_assert_eq!(&plain(store.all()), &shown, "all");
        prop_assert_eq!(plain(store.all_rev()), reversed(shown.clone()), "all, backwards");
        let time = model.time.unwrap_or(0);
        let times = [
            0..=i64::MAX,
            -5..=20_001,
            19_999..=60_000,
            time - RETENTION_MS..=time - RETENTION_MS + 1,
            time - 40_000..=time,
            time + 1..=i64::MAX,
        ];
        for times in times {
            let of_times: Vec<_> =
                shown.iter().filter(|(_, start, _)| times.contains(start)).cloned().collect();
            prop_assert_eq!(&plain(store.fetch_all(times.clone())), &of_times, "{:?}", times);
            let backwards = plain(store.fetch_all_rev(times.clone()));
            prop_assert_eq!(backwards, reversed(of_times.clone()), "{:?}", times);
            for (from, to) in
                [(0, 0), (0, 2), (1, 2), (2, 3), (3, 5), (4, 4), (5, 4), (3, 6), (6, 6)]
            {
                let (from, to) = (KEYS[from].to_vec(), KEYS[to].to_vec());
                let within = |(key, _, _): &&(Key, i64, _)| from <= *key && *key <= to;
                let expected: Vec<_> = of_times.iter().filter(within).cloned().collect();
                let found = plain(store.fetch_range(&from, &to, times.clone()));
                prop_assert_eq!(&found, &expected, "{:?} to {:?} in {:?}", from, to, times);
                let found = plain(store.fetch_range_rev(&from, &to, times.clone()));
                prop_assert_eq!(&found, &reversed(expected.clone()), "{:?} to {:?}", from, to);
                if from == to {
                    let found = plain(store.fetch_between(&from, times.clone()));
                    prop_assert_eq!(&found, &expected, "{:?} in {:?}", from, times);
                    let lent = expected.iter().map(|(_, start, found)| (*start, found.value));
                    let (lent, mut rows) = (lent.collect::<Vec<_>>(), Vec::new());
                    let told = store.lend_between(&from, times.clone(), |start, value| {
                        rows.push((start, *value));
                        Ok(())
                    });
                    told.unwrap();
                    prop_assert_eq!(&rows, &lent, "lent: {:?} in {:?}", from, times);
                    let found = plain(store.fetch_between_rev(&from, times.clone()));
                    prop_assert_eq!(found, reversed(expected), "{:?} in {:?}", from, times);
                }
            }
        }
        for (key, start, _) in model.rows.values() {
            let first = shown.iter().find(|(k, s, _)| k == key && s == start);
            let expected = first.map(|(_, _, found)| found.clone());
            prop_assert_eq!(store.fetch(key, *start).unwrap(), expected, "{:?} at {}", key, start);
        }
        Ok(())
    }
}
