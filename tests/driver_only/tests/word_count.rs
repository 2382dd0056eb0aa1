//! The driver runs a topology without librdkafka, and crashes it.

use oncestream_driver_only::word_count;
use oncestream_testkit::TopologyTestDriver;

#[test]
fn words_are_counted_once_whatever_instance_crashes() {
    let topology = word_count().unwrap();
    let mut driver =
        TopologyTestDriver::builder(topology).partitions("lines", 2).instances(2).build().unwrap();
    let lines = driver.input::<Option<String>, String>("lines");
    driver.pipe(&lines, None, "to be or not".to_owned(), 0).unwrap();
    driver.crash_instance(0);
    driver.pipe(&lines, None, "to be".to_owned(), 1).unwrap();
    driver.recover().unwrap();
    driver.commit_all().unwrap();
    let counts = driver.output::<String, Option<i64>>("counts").read_last_per_key().unwrap();
    assert_eq!((counts["be"], counts["not"]), (Some(2), Some(1)));
    assert_eq!(
        driver.store::<String, i64>("counts").unwrap().get(&"to".to_owned()).unwrap(),
        Some(2)
    );
}
