//! What a Kafka broker answers, and when: one set of bodies that every broker here must pass.
//!
//! Apache Kafka is the truth. A body takes the broker to ask, and topics, groups and ids of its
//! own, because all bodies of a process share one broker per kind and run at the same time. What a
//! body may expect differently is in `support/target.rs`. The list at the end declares the tests.
//!
//! `cargo test -p oncestream-tests --test conformance` runs them on the embedded broker, and with
//! `-- --include-ignored` on Apache Kafka too, which needs Java, and Maven once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod calls;
mod compaction;
mod configs;
mod fetch;
mod flows;
mod groups;
mod idempotence;
mod membership;
mod offsets;
mod produce;
mod protocol;
mod topics;
mod transactions;
mod versions;
mod zombies;

use oncestream_tests::target::Target;

/// Hands the list of all bodies to a macro that declares a test for each.
macro_rules! with_all_bodies {
    ($declare:ident) => {
        $declare! {
            produce:
                records_come_back_as_sent,
                codecs_are_kept_as_sent,
                log_append_time_is_the_brokers,
                create_time_has_no_append_time,
                a_batch_above_the_maximum_is_refused,
                damaged_batches_are_refused,
                a_compacted_topic_wants_keys,
                timestamps_far_off_are_refused,
                unknown_partitions_are_named_one_by_one,
                acks_say_when_to_answer;
            fetch:
                offsets_out_of_range_are_refused,
                unknown_partitions_and_epochs_are_refused,
                a_fetch_waits_for_the_bytes_it_wants,
                a_fetch_gives_up_waiting,
                a_waiting_fetch_sees_a_commit,
                limits_still_bring_one_batch,
                every_version_reads_the_same,
                offsets_are_found_by_time,
                an_open_transaction_bounds_committed_offsets,
                deleted_records_are_out_of_range;
            idempotence:
                a_repeated_batch_gets_its_first_offsets,
                the_last_five_batches_are_remembered,
                gaps_are_refused,
                an_unknown_producer_may_begin_anywhere,
                sequences_wrap_to_zero,
                a_new_epoch_begins_at_zero_and_ends_the_old,
                acknowledgements_do_not_matter_to_sequences,
                without_a_transactional_id_every_producer_is_new,
                a_producer_asks_for_its_next_epoch,
                wrong_requests_for_an_id_are_refused;
            transactions:
                a_commit_makes_all_visible_at_once,
                an_abort_is_listed_to_readers,
                transactions_interleave,
                one_transaction_spans_partitions,
                unknown_partitions_spoil_the_request,
                records_without_a_transaction_are_refused,
                a_transactional_batch_needs_its_id,
                records_outside_an_open_transaction_are_refused,
                an_end_repeats_and_never_turns,
                an_empty_transaction_of_offsets_alone_ends,
                the_next_transaction_waits_for_the_markers,
                the_coordinator_tells_of_its_transactions,
                transactions_are_listed_by_state_and_producer;
            zombies:
                a_second_producer_ends_the_firsts_transaction,
                the_replaced_producer_is_refused_everywhere,
                a_transaction_that_takes_too_long_is_aborted,
                a_producer_that_timed_out_may_ask_for_the_next_epoch,
                an_open_transaction_is_aborted_for_the_next_epoch,
                strangers_to_the_id_are_told_so,
                sequences_go_on_over_the_end_of_a_transaction;
            offsets:
                outsiders_commit_to_an_empty_group,
                every_version_fetches_the_same,
                metadata_has_a_limit,
                members_commit_in_their_generation_only,
                offsets_of_a_transaction_pend_until_it_commits,
                offsets_of_an_aborted_transaction_are_dropped,
                a_plain_commit_overtakes_a_pending_one,
                transactional_offsets_need_the_current_member,
                transactional_offsets_of_an_evicted_member_are_refused,
                transactional_offsets_of_a_fenced_instance_are_refused,
                offsets_without_the_group_in_the_transaction,
                offsets_are_deleted_with_care,
                offsets_of_a_subscribed_topic_stay,
                offsets_go_with_their_topic;
            groups:
                a_first_join_is_sent_away_for_an_id,
                old_versions_join_at_once,
                two_members_share_by_the_leaders_plan,
                a_leave_calls_the_others_together,
                a_silent_member_is_evicted,
                beats_keep_a_member,
                stale_generations_and_strangers_are_refused,
                unfit_joins_are_refused,
                a_leader_that_joins_again_calls_all,
                the_protocol_is_one_that_all_know,
                groups_are_listed_and_deleted_when_empty;
            membership:
                a_static_member_needs_no_second_join,
                a_return_keeps_the_assignment_and_fences_the_old,
                a_return_with_another_subscription_does_not_rebalance,
                an_instance_leaves_by_its_name,
                a_silent_static_member_is_evicted_too;
            compaction:
                the_newest_of_each_key_stays_where_it_was,
                a_tombstone_is_kept_then_goes,
                aborted_records_go_first,
                what_is_past_the_last_stable_offset_is_left_alone,
                a_producer_is_remembered_over_compaction;
            topics:
                a_created_topic_is_told_of,
                defaults_are_the_brokers,
                wrong_topics_are_refused,
                names_that_only_differ_by_a_dot_collide,
                a_deleted_topic_is_gone_and_comes_back_empty,
                partitions_are_added_never_removed,
                records_are_deleted_by_partition;
            configs:
                set_values_are_told_from_defaults,
                settings_are_set_deleted_appended_subtracted,
                the_old_way_replaces_all_settings,
                a_change_takes_hold,
                old_records_go_by_time,
                the_broker_tells_its_own_settings;
            protocol:
                versions_are_told,
                an_unknown_version_of_versions_gets_an_old_answer,
                broken_frames_end_their_connection_alone,
                coordinators_are_found,
                the_cluster_is_described,
                metadata_names_all_some_or_none,
                topics_are_found_by_id,
                epochs_end_where_the_next_begins;
            versions:
                a_member_lives_in_every_version,
                an_unknown_group_is_dead_or_not_found,
                offsets_join_a_transaction_in_every_version;
            flows:
                what_is_consumed_and_produced_is_exact,
                range_groups_rebalance,
                roundrobin_groups_rebalance,
                cooperative_groups_rebalance,
                a_static_member_returns_to_its_partitions,
                a_replaced_transactional_producer_fails_for_good;
        }
    };
}

macro_rules! on_apache_kafka {
    ($($module:ident: $($body:ident),+;)+) => {
        mod apache {
            $(mod $module {
                $(#[test]
                #[ignore = "needs Apache Kafka from Maven"]
                fn $body() {
                    crate::$module::$body(crate::Target::apache());
                })+
            })+
        }
    };
}

macro_rules! on_the_embedded_broker {
    ($($module:ident: $($body:ident),+;)+) => {
        mod embedded {
            $(mod $module {
                $(#[test]
                fn $body() {
                    crate::$module::$body(crate::Target::embedded());
                })+
            })+
        }
    };
}

with_all_bodies!(on_apache_kafka);
with_all_bodies!(on_the_embedded_broker);
