//! The topologies of `ConformanceJoinNames.java` and `ConformanceJoinRefused.java` that join streams, and the
//! cases that cannot be written.
//!
//! Knows topologies; not what is compared.

use std::time::Duration;

use oncestream_operators::{JoinWindows, Joined, Materialized, StreamJoined, StreamsBuilder};

use crate::functions::Text;
use crate::stream_joins::{Kind, Options, Stream, paired};

/// Cases that cannot be written here, by the reason.
const CANNOT_BE_WRITTEN: &[(&str, &[&str])] = &[
    (
        "a `Duration` is not negative, and a window from one time to another has no difference",
        &["negative_join_difference", "negative_join_grace"],
    ),
    (
        "a join makes its own stores",
        &[
            "join_store_without_duplicates",
            "join_store_of_another_retention",
            "join_store_of_another_size",
            "join_stores_of_one_name",
            "join_stores_given",
        ],
    ),
    (
        "a join that tells of what has no partner keeps its stores, and is not optimised",
        &[
            "left_join_itself_optimised",
            "left_join_itself_optimised_named",
            "left_join_itself_repartitioned_optimised",
            "left_join_two_sources_optimised",
            "outer_join_itself_optimised",
            "outer_join_itself_optimised_named",
            "outer_join_itself_repartitioned_optimised",
            "outer_join_two_sources_optimised",
        ],
    ),
    (
        "a name that no topic can have is refused by `build`; Kafka Streams fails at the start",
        &["a_join_store_name_with_a_slash"],
    ),
];

/// Whether a case cannot be written here.
pub(crate) fn cannot_be_written(group: &str, case: &str) -> bool {
    matches!(group, "join_names" | "join_refused")
        && CANNOT_BE_WRITTEN.iter().any(|(_, cases)| cases.contains(&case))
}

fn hour() -> JoinWindows {
    let minute = Duration::from_secs(60);
    JoinWindows::of_time_difference_and_grace(60 * minute, minute)
}

fn stream(b: &StreamsBuilder, topic: &str) -> Stream {
    b.stream(topic)
}

fn rekeyed(b: &StreamsBuilder, topic: &str) -> Stream {
    stream(b, topic).select_key(|_, v| v.clone())
}

fn plain() -> Options {
    StreamJoined::new(hour())
}

fn join(kind: Kind, one: &Stream, two: &Stream, joined: Options) {
    kind.join(one, two, joined, paired).to("out");
}

/// `streams` and `several` of `ConformanceJoinNames.java`.
pub(crate) fn named(b: &StreamsBuilder, case: &str) -> Option<()> {
    if cannot_be_written("join_names", case) {
        return None;
    }
    let Some((kind, rest)) = Kind::of(case) else { return several(b, case) };
    let (in_one, in_two) = (|| stream(b, "one"), || stream(b, "two"));
    let (new_one, new_two) = (|| rekeyed(b, "one"), || rekeyed(b, "two"));
    match rest {
        "" => join(kind, &in_one(), &in_two(), plain()),
        "_named" => join(kind, &in_one(), &in_two(), plain().name("n")),
        "_store" => join(kind, &in_one(), &in_two(), plain().store_name("s")),
        "_named_store" => join(kind, &in_one(), &in_two(), plain().name("n").store_name("s")),
        "_log_settings" => {
            let joined = plain().store_name("s").topic_setting("segment.bytes", "1000000");
            join(kind, &in_one(), &in_two(), joined);
        }
        "_no_log" => {
            join(kind, &in_one(), &in_two(), plain().store_name("s").logging_disabled());
        }
        "_repartitioned" => join(kind, &new_one(), &new_two(), plain()),
        "_repartitioned_store" => join(kind, &new_one(), &new_two(), plain().store_name("s")),
        "_repartitioned_named" => join(kind, &new_one(), &new_two(), plain().name("n")),
        "_left_repartitioned_named" => join(kind, &new_one(), &in_two(), plain().name("n")),
        "_right_repartitioned_named" => join(kind, &in_one(), &new_two(), plain().name("n")),
        "_itself" | "_itself_optimised" => {
            let one = in_one();
            join(kind, &one, &one, plain());
        }
        "_itself_optimised_named" => {
            let one = in_one();
            join(kind, &one, &one, plain().name("n").store_name("s"));
        }
        "_itself_repartitioned_optimised" => {
            let one = new_one();
            join(kind, &one, &one, plain());
        }
        "_itself_mapped_optimised" => {
            let one = in_one();
            join(kind, &one, &one.map_values(|v| v), plain());
        }
        "_two_sources" | "_two_sources_optimised" => {
            join(kind, &in_one(), &in_one(), plain());
        }
        _ => return None,
    }
    Some(())
}

fn several(b: &StreamsBuilder, case: &str) -> Option<()> {
    match case {
        "two_joins_of_one_stream" | "two_joins_of_one_stream_optimised" => {
            let one = rekeyed(b, "one");
            join(Kind::Inner, &one, &stream(b, "two"), plain());
            join(Kind::Left, &one, &stream(b, "three"), plain());
        }
        "two_named_joins_of_one_stream" | "two_named_joins_of_one_stream_optimised" => {
            let one = rekeyed(b, "one");
            join(Kind::Inner, &one, &stream(b, "two"), plain().name("n"));
            join(Kind::Left, &one, &stream(b, "three"), plain().name("m"));
        }
        "a_join_and_a_count_of_one_stream" | "a_join_and_a_count_of_one_stream_optimised" => {
            let one = rekeyed(b, "one");
            let two = b.table::<Text, String>("two");
            let joined = Joined::with(&two).name("n");
            one.left_join_table(joined, |one, two: Option<&String>| {
                paired(one.as_deref(), two.map(String::as_str))
            })
            .to("out");
            one.group_by_key().grouped("g").count(Materialized::new()).to_stream().to("counts");
        }
        "a_join_of_a_join" | "a_join_of_a_join_optimised" => {
            let first = Kind::Inner.join(&stream(b, "one"), &stream(b, "two"), plain(), paired);
            let again = first.select_key(|_, v| v.clone());
            join(Kind::Outer, &again, &stream(b, "three"), plain().name("n"));
        }
        _ => return None,
    }
    Some(())
}

/// `windows` and what concerns streams of `names` of `ConformanceJoinRefused.java`.
pub(crate) fn refused(b: &StreamsBuilder, case: &str) -> Option<()> {
    let ms = Duration::from_millis;
    let ten = JoinWindows::of_time_difference_and_grace(ms(10), ms(5));
    let add = |joined: Options| {
        join(Kind::Inner, &stream(b, "one"), &stream(b, "two"), joined);
    };
    let plain = || StreamJoined::<Text, Text, Text>::new(ten);
    let of = |windows: JoinWindows| add(StreamJoined::new(windows));
    match case {
        "join_before_below_after" => of(ten.between_ms(11, 10)),
        "join_before_of_after" => of(ten.between_ms(10, 10)),
        "join_after_below_before" => of(ten.between_ms(-10, -11)),
        "join_of_zero" => of(JoinWindows::of_time_difference_with_no_grace(ms(0))),
        "one_store_name_for_two_joins" => {
            add(plain().store_name("s"));
            add(plain().store_name("s"));
        }
        "one_name_for_two_joins" => {
            add(plain().name("n"));
            add(plain().name("n"));
        }
        "a_join_name_with_a_slash" => add(plain().name("a/b")),
        _ => return None,
    }
    Some(())
}
