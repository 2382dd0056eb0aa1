//! Every fault at every request of twelve topologies, on the embedded broker: exactly once holds. One of
//! them also begins at the end of its inputs.
//!
//! The same enumeration finds what is not exactly once: `at_least_once`, and a side effect in a
//! function. The full ones take minutes; a part of each runs always.

mod found_out;
mod joins;
mod lines;
#[cfg(feature = "sabotage")]
mod planted;
mod times;

use oncestream_testkit::check::CheckReport;

use joins::{check_foreign_keys, check_left_join, check_pairs, check_table_joins};
use lines::{
    check, check_global_join, counting, full, repartitioned, stateless, table_of_its_topic,
    two_stores,
};
use times::{check_expiring, check_windows};

/// So many cases of each topology run always.
const PART: usize = 30;

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
fn a_part_of_the_faults_leaves_a_table_of_its_topic_exact() {
    let test = "a_part_of_the_faults_leaves_a_table_of_its_topic_exact";
    told(&check("table-of-topic-part", table_of_its_topic, test).cases(PART).run(), PART * 7 / 8);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_at_every_request_leaves_a_table_of_its_topic_exact() {
    let test = "every_fault_at_every_request_leaves_a_table_of_its_topic_exact";
    told(&check("table-of-topic", table_of_its_topic, test).check_threads().run(), 1000);
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
