//! How soon an application works again after SIGKILL, with a large store.
//!
//!     cargo run --release -p oncestream-tests --bin recovery -- --keys 2000000 --kills 5
//!
//! Counts per key, exactly once, on the broker that `ONCESTREAM_TEST_BROKER` names; 2 partitions,
//! 500 records a second while it is killed and started again. Prints for each kill, in
//! milliseconds from the start of the new process, when it was running and when it had made its
//! first commit of new records, and how many changelog records it restored.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A measurement that cannot run says so and ends.

#[path = "../instance/run.rs"]
mod run;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oncestream_tests::instance::Instance;
use oncestream_tests::kafka::{
    Isolation, broker, client, committed, consumer, create_topics, ends, eventually,
};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

const APPLICATION: &str = "recovery";
const INPUT: &str = "recovery-input";
const OUTPUT: &str = "recovery-output";
const CHANGELOG: &str = "recovery-counts-changelog";
const PARTITIONS: i32 = 2;
/// What the instance runs with. Static membership lets it come back without a rebalance; the
/// transaction that was open is aborted by the new producer.
const SETTINGS: [&str; 5] = [
    "processing.guarantee=exactly_once",
    "commit.interval.ms=100",
    "transaction.timeout.ms=5000",
    "session.timeout.ms=10000",
    "group.instance.id=one",
];

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn flag(name: &str, otherwise: u64) -> u64 {
    let mut args = std::env::args();
    let value = args.by_ref().find(|arg| arg == name).and_then(|_| args.next());
    value.map_or(otherwise, |text| text.parse().expect("a number"))
}

fn start(folder: &Path, number: u64) -> Instance {
    let mut args = vec!["instance".to_owned()];
    for (flag, value) in [
        ("--bootstrap-servers", broker().bootstrap_servers()),
        ("--application-id", APPLICATION),
        ("--job", "count"),
        ("--input", INPUT),
        ("--output", OUTPUT),
        ("--state-dir", &folder.join("state").display().to_string()),
    ] {
        args.extend([flag.to_owned(), value.to_owned()]);
    }
    args.extend(SETTINGS.iter().flat_map(|s| ["--set".to_owned(), (*s).to_owned()]));
    let binary = std::env::current_exe().unwrap();
    Instance::start(&binary, &args, folder.join(format!("{number}.log")))
}

type Feeder = ThreadedProducer<DefaultProducerContext>;

fn send(producer: &Feeder, key: u64) {
    let key = format!("key-{key:09}");
    let value = 1_i64.to_be_bytes();
    let mut record: BaseRecord<'_, str, [u8]> =
        BaseRecord::to(INPUT).key(key.as_str()).payload(&value[..]);
    while let Err((_, again)) = producer.send(record) {
        record = again;
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn await_all_committed() {
    let consumer = consumer(APPLICATION, Isolation::Committed);
    eventually("the offsets at the end of the input", Duration::from_mins(10), || {
        let ends: Vec<_> = ends(INPUT, Isolation::Committed).into_iter().map(Some).collect();
        committed(&consumer, INPUT) == ends
    });
}

fn main() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("instance") {
        run::run(args).expect("the instance runs");
        return;
    }
    let (keys, kills) = (flag("--keys", 2_000_000), flag("--kills", 5));
    let folder = tempfile::tempdir().unwrap();
    create_topics(&[INPUT, OUTPUT], PARTITIONS);
    let producer: Feeder = client().set("linger.ms", "5").create().unwrap();
    let begun = Instant::now();
    (0..keys).for_each(|key| send(&producer, key));
    producer.flush(Duration::from_mins(2)).unwrap();
    let mut instance = start(folder.path(), 0);
    await_all_committed();
    println!("{keys} keys counted in {:.1?}", begun.elapsed());

    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, trickle) = (Arc::clone(&stop), producer.clone());
    let feeder = std::thread::spawn(move || {
        for number in 0_u64.. {
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            send(&trickle, number.wrapping_mul(2_654_435_761) % keys);
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let mut firsts = Vec::new();
    for number in 1..=kills {
        // In the middle of a commit, so that a transaction is left open.
        instance.await_action("SendOffsets");
        instance.kill();
        let started_ms = now_ms();
        instance = start(folder.path(), number);
        let restored: u64 = instance.await_running().values().sum();
        let (running, first) = instance.await_first_commit();
        let changelog: i64 = ends(CHANGELOG, Isolation::Uncommitted).iter().sum();
        println!(
            "kill {number}: running after {} ms, first new commit after {} ms, restored {restored} \
             of {changelog} changelog records",
            running - started_ms,
            first - started_ms,
        );
        firsts.push(first - started_ms);
    }
    firsts.sort_unstable();
    println!(
        "first new commit: median {} ms, slowest {} ms",
        firsts[firsts.len() / 2],
        firsts[firsts.len() - 1]
    );
    stop.store(true, Ordering::Relaxed);
    feeder.join().unwrap();
    producer.flush(Duration::from_mins(1)).unwrap();
    await_all_committed();
    instance.terminate();
}
