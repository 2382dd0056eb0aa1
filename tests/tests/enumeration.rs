//! Every fault at every request of eleven topologies, on the embedded broker: exactly once holds. One of
//! them also begins at the end of its inputs.
//!
//! The same enumeration finds what is not exactly once: `at_least_once`, and a side effect in a
//! function. The full ones take minutes; a part of each runs always.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oncestream::prelude::*;
use oncestream_testkit::ExactlyOnceCheck;
use oncestream_testkit::check::CheckReport;

/// So many cases of each topology run always.
const PART: usize = 30;

const WORDS: [&str; 8] = ["to", "be", "or", "not", "that", "is", "the", "question"];

/// Lines of two words, with keys.
fn lines(count: usize) -> impl Iterator<Item = (String, String)> {
    let word = |n: usize| WORDS[n % WORDS.len()];
    (0..count).map(move |n| (format!("key-{}", n % 5), format!("{} {}", word(n * 5), word(n * 3))))
}

fn build(builder: StreamsBuilder) -> Topology {
    builder.build().unwrap_or_else(|e| panic!("{e}"))
}

/// One sub-topology without a store.
fn stateless() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .filter(|_, line| !line.contains("question"))
        .map_values(|line| line.to_uppercase())
        .to("upper");
    build(builder)
}

/// One sub-topology with a store.
fn counting() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .group_by_key()
        .count("counts")
        .to_stream()
        .to("counts");
    build(builder)
}

/// A repartition topic between the input and the store.
fn repartitioned() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .flat_map_values(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("counts")
        .to_stream()
        .to("counts");
    build(builder)
}

/// Two sub-topologies with a store each.
fn two_stores() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .group_by_key()
        .count("lines-by-key")
        .to_stream()
        .group_by(|_, count| (count.unwrap_or(0) % 3).to_string())
        .count("keys-by-count")
        .to_stream()
        .to("keys-by-count");
    build(builder)
}

/// Windows that are emitted when they close, and sessions that are emitted at each update, and finally. A
/// record's time is its value.
fn windowed() -> Topology {
    let shown = |of: Windowed<String>, count: Option<i64>| {
        (of.key, format!("{}..{}: {}", of.start, of.end, count.unwrap_or(0)))
    };
    let builder = StreamsBuilder::new();
    let by_value = Consumed::<String, i64>::new("times").timestamp_extractor(|r, _| r.value);
    let grouped = builder.stream(by_value).group_by_key();
    let windows = TimeWindows::of_size_and_grace(MS * 10, MS * 5);
    grouped
        .windowed_by(windows.advance_by(MS * 5))
        .emit_strategy(EmitStrategy::on_window_close())
        .count("windows")
        .to_stream()
        .map(shown)
        .to("closed-windows");
    let sessions = grouped
        .windowed_by(SessionWindows::of_inactivity_gap_and_grace(MS * 4, MS * 5))
        .count("sessions");
    sessions.to_stream().map(shown).to("sessions");
    let finally = Suppressed::until_window_closes(BufferConfig::unbounded()).with_name("final");
    sessions.suppress(finally).to_stream().map(shown).to("final-sessions");
    build(builder)
}

/// Counts that begin anew after a while, and a table of those of late. A record's time is its value.
fn expiring() -> Topology {
    let builder = StreamsBuilder::new();
    let by_value = Consumed::<String, i64>::new("times").timestamp_extractor(|r, _| r.value);
    let times = builder.stream(by_value);
    let counts = Materialized::named("visits").ttl(MS * 20);
    times.group_by_key().count(counts).to_stream().to("visits");
    let latest = Materialized::named("latest").ttl(MS * 10);
    times.to_table().materialized(latest).to_stream().to("latest");
    build(builder)
}

/// Pairs of two topics. A record's time is its value, and none comes too late for its partners.
fn pairs() -> Topology {
    let builder = StreamsBuilder::new();
    let side = |topic: &str| {
        let by_value = Consumed::<String, i64>::new(topic).timestamp_extractor(|r, _| r.value);
        builder.stream(by_value)
    };
    let windows = JoinWindows::of_time_difference_and_grace(MS * 20, MS * 3_600_000);
    let joined = StreamJoined::new(windows).store_name("pairs");
    let pair = |left: &i64, right: &i64| format!("{left}+{right}");
    side("left").join(&side("right"), joined, pair).to("pairs");
    build(builder)
}

/// A left join of two streams out of one topic. Some records find no partner, and their windows close. A
/// record's time is its value.
fn left_join() -> Topology {
    let builder = StreamsBuilder::new();
    let by_value = Consumed::<String, i64>::new("times").timestamp_extractor(|r, _| r.value);
    let times = builder.stream(by_value);
    let is_right = |time: &i64| time % 1000 % 3 == 0;
    let left = times.filter(move |_, time| !is_right(time));
    let right = times.filter(move |_, time| is_right(time));
    let windows = JoinWindows::of_time_difference_and_grace(MS * 12, MS * 5);
    let joined = StreamJoined::new(windows).store_name("left");
    left.left_join(&right, joined, |left, right| format!("{left}+{right:?}")).to("joined");
    build(builder)
}

/// A stream with a table, and two tables with each other, all out of one topic. A record's time is its value.
fn table_joins() -> Topology {
    let builder = StreamsBuilder::new();
    let by_value = Consumed::<String, i64>::new("times").timestamp_extractor(|r, _| r.value);
    let times = builder.stream(by_value);
    let is_third = |time: &i64| time % 1000 % 3 == 0;
    let others = times.filter(move |_, time| !is_third(time));
    let thirds =
        times.filter(move |_, time| is_third(time)).to_table::<i64>().materialized("thirds");
    others.left_join_table(&thirds, |other, third| format!("{other}+{third:?}")).to("stream-table");
    others
        .to_table::<i64>()
        .materialized("others")
        .outer_join(&thirds, |other, third| format!("{other:?}+{third:?}"))
        .materialized("tables")
        .to_stream()
        .to("tables");
    build(builder)
}

/// Orders that name users, and users with their names, out of one topic.
fn foreign_keys() -> Topology {
    let builder = StreamsBuilder::new();
    let rows = builder.stream::<String, String>("rows");
    let table = |kind: &'static str| {
        rows.filter(move |key, _| key.starts_with(kind)).to_table::<String>().materialized(kind)
    };
    table("order")
        .foreign_key_join(
            TableJoined::with(&table("user")).name("of"),
            |user| Some(user.clone()),
            |user, name| format!("{user}: {name}"),
        )
        .to_stream()
        .to("named");
    build(builder)
}

/// Three waves of rows, and between them two of rows that nobody reads. Each of the three changes one table, and
/// each row once at most: so each result comes from one change, whichever partition is first. The check may
/// feed a wave while the one before is under way, but no later one.
const WAVES_OF_ROWS: usize = 5;

/// Orders; users; orders with other users.
fn rows() -> impl Iterator<Item = (String, String)> {
    let row = |wave: usize, n: usize| match wave {
        0 => (format!("order-{n}"), format!("user-{n}")),
        2 => (format!("user-{n}"), format!("name-{n}")),
        4 => (format!("order-{n}"), format!("user-{}", (n + 2) % 6)),
        _ => (format!("other-{n}"), String::new()),
    };
    (0..WAVES_OF_ROWS).flat_map(move |wave| (0..6).map(move |n| row(wave, n)))
}

/// Lines, and what a global table knows of one of their words.
fn global_join() -> Topology {
    let builder = StreamsBuilder::new();
    let lengths = builder.global_table::<String, String>("lengths");
    builder
        .stream::<String, String>("lines")
        .left_join_global(
            &lengths,
            |_, line| line.split_whitespace().next().map(str::to_owned),
            |line, length| format!("{line}: {length:?}"),
        )
        .to("lengths-of-lines");
    build(builder)
}

const MS: Duration = Duration::from_millis(1);

/// Times that go on, fall back, are too late and jump, near to now: a changelog of windows keeps no
/// older ones.
fn times(count: usize) -> impl Iterator<Item = (String, i64)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let begin = i64::try_from(now / 1000 * 1000).unwrap_or(0);
    let shifts = [0, 3, 1, 2, -4, 6, -20, 9, 40, 1];
    (0..count)
        .map(move |n| (format!("key-{}", n % 4), begin + 4 * n as i64 + shifts[n % shifts.len()]))
}

fn check_windows(name: &str, test: &str) -> ExactlyOnceCheck {
    ExactlyOnceCheck::new(name, windowed).test(test).input("times", times(40))
}

fn check_expiring(name: &str, test: &str) -> ExactlyOnceCheck {
    ExactlyOnceCheck::new(name, expiring).test(test).input("times", times(40))
}

/// Neighbours in time are in different topics. Which of them comes first, and with it the order of the pairs,
/// is for the worker.
fn check_pairs(name: &str, test: &str) -> ExactlyOnceCheck {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for (n, record) in times(40).enumerate() {
        // A round of all keys goes to one topic.
        if n / 4 % 2 == 0 { left.push(record) } else { right.push(record) }
    }
    let check = ExactlyOnceCheck::new(name, pairs).test(test);
    check.input("left", left).input("right", right).unordered()
}

fn check_left_join(name: &str, test: &str) -> ExactlyOnceCheck {
    ExactlyOnceCheck::new(name, left_join).test(test).input("times", times(40))
}

fn check_table_joins(name: &str, test: &str) -> ExactlyOnceCheck {
    ExactlyOnceCheck::new(name, table_joins).test(test).input("times", times(40))
}

fn check_foreign_keys(name: &str, test: &str) -> ExactlyOnceCheck {
    let check = ExactlyOnceCheck::new(name, foreign_keys).test(test);
    check.input("rows", rows()).waves(WAVES_OF_ROWS)
}

fn check_global_join(name: &str, test: &str) -> ExactlyOnceCheck {
    let lengths = WORDS.map(|word| (word.to_owned(), word.len().to_string()));
    check(name, global_join, test).input("lengths", lengths)
}

fn check(name: &str, topology: fn() -> Topology, test: &str) -> ExactlyOnceCheck {
    ExactlyOnceCheck::new(name, topology).test(test).input("lines", lines(30))
}

/// A check of all cases, which runs alone in its process, so that it can count threads.
fn full(name: &str, topology: fn() -> Topology, test: &str) -> ExactlyOnceCheck {
    check(name, topology, test).check_threads()
}

/// The count of cases is what this enumeration is worth: it is told, and bounded from below.
fn told(report: &CheckReport, at_least: usize) {
    println!("{report}");
    for case in &report.not_reached {
        println!("  not reached: {case}");
    }
    if std::env::var_os("ONCESTREAM_CHECK_ONLY").is_none() {
        let reached = report.cases - report.not_reached.len();
        assert!(reached >= at_least, "{reached} cases");
    }
}

#[test]
fn a_part_of_the_faults_leaves_a_stateless_topology_exact() {
    let test = "a_part_of_the_faults_leaves_a_stateless_topology_exact";
    told(&check("stateless-part", stateless, test).cases(PART).run(), PART * 7 / 8);
}

#[test]
fn a_part_of_the_faults_leaves_counts_with_a_cache_exact() {
    let test = "a_part_of_the_faults_leaves_counts_with_a_cache_exact";
    let check = check("counting-part", counting, test);
    told(&check.setting("statestore.cache.max.bytes", "100000").cases(PART).run(), PART * 7 / 8);
}

#[test]
fn a_part_of_the_faults_leaves_repartitioned_counts_exact() {
    let test = "a_part_of_the_faults_leaves_repartitioned_counts_exact";
    told(&check("repartitioned-part", repartitioned, test).cases(PART).run(), PART * 7 / 8);
}

#[test]
fn a_part_of_the_faults_leaves_two_stores_exact() {
    let test = "a_part_of_the_faults_leaves_two_stores_exact";
    told(&check("two-stores-part", two_stores, test).cases(PART).run(), PART * 7 / 8);
}

#[test]
fn a_part_of_the_faults_leaves_windows_exact() {
    let test = "a_part_of_the_faults_leaves_windows_exact";
    told(&check_windows("windows-part", test).cases(PART).run(), PART * 7 / 8);
}

#[test]
fn a_part_of_the_faults_leaves_stores_with_a_time_to_live_exact() {
    let test = "a_part_of_the_faults_leaves_stores_with_a_time_to_live_exact";
    told(&check_expiring("expiring-part", test).cases(PART).run(), PART * 7 / 8);
}

#[test]
fn a_part_of_the_faults_leaves_a_stream_join_exact() {
    let test = "a_part_of_the_faults_leaves_a_stream_join_exact";
    told(&check_pairs("pairs-part", test).cases(PART).run(), PART * 7 / 8);
}

#[test]
fn a_part_of_the_faults_leaves_a_left_stream_join_exact() {
    let test = "a_part_of_the_faults_leaves_a_left_stream_join_exact";
    told(&check_left_join("left-join-part", test).cases(PART).run(), PART * 7 / 8);
}

#[test]
fn a_part_of_the_faults_leaves_table_joins_exact() {
    let test = "a_part_of_the_faults_leaves_table_joins_exact";
    told(&check_table_joins("table-joins-part", test).cases(PART).run(), PART * 7 / 8);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_request_leaves_table_joins_exact() {
    let test = "every_fault_at_every_request_leaves_table_joins_exact";
    told(&check_table_joins("table-joins", test).check_threads().run(), 1000);
}

#[test]
fn a_part_of_the_faults_leaves_a_foreign_key_join_exact() {
    let test = "a_part_of_the_faults_leaves_a_foreign_key_join_exact";
    told(&check_foreign_keys("foreign-keys-part", test).cases(PART).run(), PART * 7 / 8);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_request_leaves_a_foreign_key_join_exact() {
    let test = "every_fault_at_every_request_leaves_a_foreign_key_join_exact";
    told(&check_foreign_keys("foreign-keys", test).check_threads().run(), 1000);
}

#[test]
fn a_part_of_the_faults_leaves_a_global_join_exact() {
    let test = "a_part_of_the_faults_leaves_a_global_join_exact";
    told(&check_global_join("global-join-part", test).cases(PART).run(), PART * 7 / 8);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_request_leaves_a_global_join_exact() {
    let test = "every_fault_at_every_request_leaves_a_global_join_exact";
    told(&check_global_join("global-join", test).check_threads().run(), 800);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_request_leaves_a_stream_join_exact() {
    let test = "every_fault_at_every_request_leaves_a_stream_join_exact";
    // Each wave adds some hundred cases.
    told(&check_pairs("pairs", test).waves(2).check_threads().run(), 1000);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_request_leaves_a_left_stream_join_exact() {
    let test = "every_fault_at_every_request_leaves_a_left_stream_join_exact";
    let check = check_left_join("left-join", test).partitions(1).waves(2);
    told(&check.check_threads().run(), 800);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_request_leaves_stores_with_a_time_to_live_exact() {
    let test = "every_fault_at_every_request_leaves_stores_with_a_time_to_live_exact";
    told(&check_expiring("expiring", test).check_threads().run(), 1000);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_request_leaves_windows_exact() {
    let test = "every_fault_at_every_request_leaves_windows_exact";
    told(&check_windows("windows", test).check_threads().run(), 1000);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_request_leaves_a_stateless_topology_exact() {
    let test = "every_fault_at_every_request_leaves_a_stateless_topology_exact";
    told(&full("stateless", stateless, test).run(), 800);
}

/// From where it begins at its first start it reads every record, whatever happens then.
#[test]
fn a_part_of_the_faults_leaves_a_topology_that_begins_at_the_end_exact() {
    let test = "a_part_of_the_faults_leaves_a_topology_that_begins_at_the_end_exact";
    let check = check("latest-part", stateless, test).setting("auto.offset.reset", "latest");
    told(&check.cases(PART).run(), PART * 7 / 8);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_request_leaves_a_topology_that_begins_at_the_end_exact() {
    let test = "every_fault_at_every_request_leaves_a_topology_that_begins_at_the_end_exact";
    let check = full("latest", stateless, test).setting("auto.offset.reset", "latest");
    told(&check.run(), 800);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_request_leaves_counts_with_a_cache_exact() {
    let test = "every_fault_at_every_request_leaves_counts_with_a_cache_exact";
    let check = full("counting", counting, test);
    told(&check.setting("statestore.cache.max.bytes", "100000").run(), 1000);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_request_leaves_repartitioned_counts_exact() {
    let test = "every_fault_at_every_request_leaves_repartitioned_counts_exact";
    told(&full("repartitioned", repartitioned, test).run(), 1200);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_request_leaves_two_stores_exact() {
    let test = "every_fault_at_every_request_leaves_two_stores_exact";
    told(&full("two-stores", two_stores, test).run(), 1200);
}

/// A record that was given up with its transaction, and reaches the broker in the next one.
#[test]
fn a_record_that_arrives_late_is_never_part_of_the_next_transaction() {
    let test = "a_record_that_arrives_late_is_never_part_of_the_next_transaction";
    told(&check("late", stateless, test).only("producer: applied late").run(), 15);
}

/// An error for the first offset of a partition must not be taken for its end.
#[test]
fn an_error_for_an_offset_skips_no_record() {
    let test = "an_error_for_an_offset_skips_no_record";
    told(&check("offsets", counting, test).only("ListOffsets").processes(false).run(), 50);
}

/// After an abort the partitions are assigned anew. Each of them must be read again; one in two
/// hundred times the client lost the start of one.
#[test]
fn an_abort_leaves_no_partition_unread() {
    let test = "an_abort_leaves_no_partition_unread";
    told(&check("aborts", counting, test).only("INVALID").processes(false).run(), 40);
}

/// A few of them.
#[test]
fn a_few_aborts_leave_counts_exact() {
    let test = "a_few_aborts_leave_counts_exact";
    told(&check("few-aborts", counting, test).only("INVALID").processes(false).cases(6).run(), 4);
}

/// Every fault at the end of a transaction: whether Kafka has committed it is all that decides.
#[test]
fn every_end_of_a_transaction_leaves_counts_exact() {
    let test = "every_end_of_a_transaction_leaves_counts_exact";
    told(&check("ends", counting, test).only("EndTxn").cases(24).run(), 20);
}

/// A time-out that finds a transaction open, at each request that names it.
#[test]
fn a_transaction_that_times_out_is_made_again() {
    let test = "a_transaction_that_times_out_is_made_again";
    told(&check("time-outs", stateless, test).only("TimeOutTransaction").run(), 10);
}

/// A follower, or a new leader, may answer a fetch with an older end than the leader told. A
/// restore that took it for the end of the changelog would leave the last transaction out for good.
#[test]
fn a_store_that_is_restored_from_a_broker_that_lags_is_exact() {
    let test = "a_store_that_is_restored_from_a_broker_that_lags_is_exact";
    let report = check("lagging", counting, test).only("as of").cases(18).run();
    told(&report, 12);
    let lost = report.by_fault.keys().filter(|kind| kind.starts_with("stores lost"));
    if !report.by_fault.is_empty() && std::env::var_os("ONCESTREAM_CHECK_ONLY").is_none() {
        assert_eq!(lost.count(), 2, "{:?}", report.by_fault);
    }
}

/// A kill between output and offsets makes duplicates, and the same checks see them.
#[test]
fn at_least_once_is_found_out() {
    let failure = check("at-least-once", counting, "at_least_once_is_found_out")
        .setting("processing.guarantee", "at_least_once")
        .only("OffsetCommit")
        .cases(12)
        .try_run()
        .err()
        .map(|failure| failure.to_string());
    // A child gets here with an empty report.
    let Some(failure) = failure else { panic!("duplicates were not found") };
    println!("{failure}");
    assert!(failure.contains("output counts-"), "{failure}");
}

/// A counter outside Kafka counts what was processed, not what was committed.
#[test]
fn a_side_effect_in_a_map_is_found_out() {
    let numbered = || {
        let numbers = AtomicU64::new(0);
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, String>("lines")
            .map_values(move |line| format!("{} {line}", numbers.fetch_add(1, Ordering::Relaxed)))
            .to("numbered");
        build(builder)
    };
    let failure = ExactlyOnceCheck::new("numbered", numbered)
        .partitions(1)
        .input("lines", lines(12))
        .only("EndTxn #2")
        .processes(false)
        .try_run()
        .expect_err("the numbers depend on how often a record was processed");
    println!("{failure}");
    assert!(failure.to_string().contains("output numbered-0"), "{failure}");
}

/// A filter that remembers lets a record through once only, and its transaction may be aborted.
/// The cache of another branch is no excuse, nor that a function chooses the topic.
#[test]
fn a_record_lost_beside_a_store_with_a_cache_is_found_out() {
    let fresh = || {
        let seen = Mutex::new(BTreeSet::new());
        let builder = StreamsBuilder::new();
        let lines = builder.stream::<String, String>("lines");
        lines
            .map_values(|line| format!("{line}!"))
            .filter(move |key, line| seen.lock().unwrap().insert((key.clone(), line.clone())))
            .to(Produced::chosen(|_, _| "fresh".to_owned()));
        lines.group_by_key().count("counts").to_stream().to("counts");
        build(builder)
    };
    let failure = ExactlyOnceCheck::new("fresh", fresh)
        .input("lines", (0..30).map(|n| (format!("key-{}", n % 2), format!("line {n}"))))
        .output("fresh")
        .setting("statestore.cache.max.bytes", "100000")
        .only("EndTxn #1")
        .processes(false)
        .try_run()
        .expect_err("what was aborted is filtered out the second time");
    println!("{failure}");
    assert!(failure.to_string().contains("output fresh-"), "{failure}");
    assert!(!failure.to_string().contains("output counts-"), "{failure}");
}

/// What these tests are worth: with a bug planted into the worker they fail.
#[cfg(feature = "sabotage")]
mod planted {
    use std::process::Command;

    /// Runs a test of this program with a bug, and gives what it printed when it failed.
    fn noticed(bug: &str, test: &str) -> String {
        let program = std::env::current_exe().unwrap_or_else(|e| panic!("{e}"));
        let mut command = Command::new(program);
        let command = command.args(["--exact", test, "--nocapture"]);
        let ended = command.env("ONCESTREAM_SABOTAGE", bug).output();
        let ended = ended.unwrap_or_else(|e| panic!("{e}"));
        let printed = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        assert!(printed.contains("running 1 test"), "{printed}");
        assert!(!ended.status.success(), "{bug} was not noticed: {printed}");
        printed
    }

    #[test]
    fn a_restore_that_ends_too_early_is_noticed() {
        let test = "a_store_that_is_restored_from_a_broker_that_lags_is_exact";
        let printed = noticed("short_restore", test);
        assert!(printed.contains("counts"), "{printed}");
    }

    #[test]
    fn stores_that_are_applied_before_the_commit_are_noticed() {
        let printed = noticed("apply_first", "every_end_of_a_transaction_leaves_counts_exact");
        assert!(printed.contains("counts"), "{printed}");
    }

    #[test]
    fn tasks_that_start_again_without_an_abort_are_noticed() {
        let printed = noticed("no_abort", "a_few_aborts_leave_counts_exact");
        assert!(printed.contains("counts"), "{printed}");
    }
}
