//! No crash changes what comes out or what is kept.

use std::time::Duration;

use oncestream_core::state::{Version, Versioned};
use oncestream_core::{Record, TimestampMs};
use oncestream_operators::{Joined, Materialized, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::DriverError;

use crate::{HISTORY, Text, builder, pair, versioned};

/// Everything that remembers versions, and a join that waits.
fn several() -> StreamsBuilder {
    let b = StreamsBuilder::new();
    let (left, right) = (versioned(&b, "left"), versioned(&b, "right"));
    let joined = left
        .left_join(&right, |l, r| pair(Some(l), r))
        .materialized(Materialized::named("joined").versioned(HISTORY));
    joined.to_stream().to("joined");
    left.group_by(|_, v| (v.clone(), 1_i64)).count("counts").to_stream().to("counted");
    let stream = b.stream::<String, String>("stream");
    stream.left_join_table(&joined, |s, t| pair(Some(s), t)).to("asked");
    let grace = Joined::with(&left).grace(Duration::from_millis(30)).name("n");
    stream.left_join_table(grace, |s, t| pair(Some(s), t)).to("waited");
    b
}

/// All that came out, and what the stores have.
#[derive(Debug, PartialEq)]
struct Outcome {
    told: Vec<Vec<(String, Text, TimestampMs)>>,
    counted: Vec<(String, Option<i64>)>,
    stores: Vec<Vec<(String, Version<String>)>>,
}

fn outcome(driver: &TopologyTestDriver) -> Outcome {
    let of_topic = |topic| {
        let records = driver.output::<String, Text>(topic).read_all().unwrap();
        records.into_iter().map(|r| (r.key, r.value, r.timestamp)).collect()
    };
    let of_store = |store| {
        let store = driver.store_of_kind::<String, String, Versioned>(store).unwrap();
        store.all().unwrap()
    };
    Outcome {
        told: ["joined", "asked", "waited"].map(of_topic).to_vec(),
        counted: driver.output::<String, Option<i64>>("counted").read_pairs().unwrap(),
        stores: ["left-versions", "right-versions", "joined"].map(of_store).to_vec(),
    }
}

/// Topics, keys, values and times that often go back, now and then by more than a history. The seed says
/// which.
fn inputs(seed: u64, count: u64) -> Vec<(&'static str, String, Text, TimestampMs)> {
    let mut state = seed;
    let mut below = |n: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut now = 200;
    (0..count)
        .map(|n| {
            now += below(40).cast_signed();
            let back = if below(9) == 0 { below(180) } else { below(50) };
            let topic = ["left", "right", "stream"][below(3) as usize];
            let value = (topic == "stream" || below(5) > 0).then(|| format!("{n},"));
            let key = ["a", "b"][below(2) as usize].to_owned();
            (topic, key, value, now - back.cast_signed())
        })
        .collect()
}

/// Each record once, also one that was handed in when a crash came.
fn run(
    driver: &mut TopologyTestDriver,
    seed: u64,
    mut after_each: impl FnMut(&mut TopologyTestDriver),
) {
    for (topic, key, value, time) in inputs(seed, 36) {
        let input = driver.input::<String, Text>(topic).partition(0);
        driver.produce(&input, Record::new(key, value, time)).unwrap();
        while let Err(error) = driver.run() {
            assert!(matches!(error, DriverError::Crashed { .. } | DriverError::Down), "{error}");
            driver.recover().unwrap();
        }
        after_each(driver);
    }
}

#[test]
fn a_crash_at_any_step_and_a_lost_disk_after_any_input_change_nothing() {
    for (cache_bytes, every, seed) in [(0, 5, 7), (1 << 20, 11, 14)] {
        let driver = || builder(several()).cache_max_bytes(cache_bytes).build().unwrap();
        let mut whole = driver();
        run(&mut whole, seed, |_| {});
        let steps = whole.commit_steps();
        let expected = outcome(&whole);
        assert!(steps > 100 && expected.told.iter().all(|told| told.len() > 5), "{expected:?}");
        // Few versions are within the history at the end.
        assert!(expected.stores.iter().flatten().count() > 5, "{expected:?}");
        for step in (0..steps).step_by(every) {
            let mut driver = driver();
            driver.crash_at_count(step);
            run(&mut driver, seed, |_| {});
            if driver.is_down() {
                driver.recover().unwrap();
            }
            assert_eq!(outcome(&driver), expected, "after a crash at step {step}");
        }
        let mut losing = driver();
        run(&mut losing, seed, |driver| {
            driver.crash_and_lose_disk().unwrap();
            driver.recover().unwrap();
        });
        assert_eq!(outcome(&losing), expected, "after losses of the disk");
    }
}
