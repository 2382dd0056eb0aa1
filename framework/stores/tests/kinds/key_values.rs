//! Key-value stores, and a map by key.

use std::collections::BTreeMap;

use oncestream_core::serde::HasSerde;
use oncestream_core::state::{KeyValueStore, StoreInit};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::{Found, KEYS, Key, Step, Subject, check_both_ways, collected};

#[derive(Clone)]
pub(crate) struct KeyValues;

impl Subject for KeyValues {
    type Store = KeyValueStore<Key, i64>;
    type Model = BTreeMap<Key, Found<i64>>;

    fn open(&self, init: StoreInit) -> Self::Store {
        KeyValueStore::new(init, Key::serde(), i64::serde())
    }

    fn write(
        &self,
        store: &mut Self::Store,
        model: &mut Self::Model,
        step: &Step,
    ) -> TestCaseResult {
        let Step::Write(key, start, value, timestamp) = *step else { return Ok(()) };
        let key = KEYS[key].to_vec();
        if start % 2 == 0 {
            store.put(key.clone(), value, timestamp).unwrap();
        } else {
            let old = store.update(&key, true, |_| (value, timestamp)).unwrap().old;
            prop_assert_eq!(old, model.get(&key).map(|found| found.value));
        }
        match value {
            Some(value) => model.insert(key, Found { value, timestamp }),
            None => model.remove(&key),
        };
        Ok(())
    }

    fn read_absent(&self, store: &mut Self::Store) {
        for n in 0..40_u8 {
            assert_eq!(store.get(&vec![b'x', n]).unwrap(), None);
        }
    }

    fn check(&self, store: &mut Self::Store, model: &Self::Model) -> TestCaseResult {
        for key in KEYS {
            let found = store.get(&key.to_vec()).unwrap();
            prop_assert_eq!(found.as_ref(), model.get(key));
        }
        let all: Vec<_> = model.clone().into_iter().collect();
        check_both_ways!(all.clone(), store.all(), store.all_rev(), "all");
        for (from, to) in [(0, 2), (1, 1), (3, 4), (4, 3), (2, 6)] {
            let (from, to) = (KEYS[from].to_vec(), KEYS[to].to_vec());
            let within = |(key, _): &(Key, _)| from <= *key && *key <= to;
            let expected: Vec<_> = all.iter().filter(|e| within(e)).cloned().collect();
            let (forwards, backwards) = (store.range(&from, &to), store.range_rev(&from, &to));
            check_both_ways!(expected, forwards, backwards, "{:?} to {:?}", from, to);
        }
        Ok(())
    }
}
