//! Where Oncestream differs from Kafka Streams on purpose, and what is compared instead.
//!
//! Invariant: a test holds that each still differs, so a difference that has gone leaves this list.

use std::collections::BTreeMap;

use crate::caching::as_cached;
use crate::compared::Except;
use crate::format::Case;
use crate::play::{Setup, Variant, fault};

/// What is compared instead of all lines.
#[derive(Clone, Copy)]
enum Instead {
    /// What Kafka Streams gives in this case of the same inputs, with a cache or without; but for these
    /// lines.
    Lines(&'static str, bool, &'static [Except]),
    /// The same, with the case's own number of dropped records.
    Answers(&'static str, &'static [Except]),
    /// What a cache makes of what Kafka Streams gives in this case without one.
    AsCached,
    /// The case's own lines, but for these.
    But(&'static [Except]),
}

use Except::{
    About, Alone, AnswersTo, BeginningsIn, DeletedUnseen, Dropped, HeadersIn, KeyIn, LostHeaders,
    More, OrderIn, OverwrittenIn, Repeated, Stores,
};
use Instead::{Answers, AsCached, But, Lines};

/// The changelog of the subscriptions of a join by a foreign key.
const SUBSCRIPTIONS: &str = "golden-n-subscription-store-changelog";

/// Group, case, whether with a cache, and what is compared instead.
const DIFFERENCES: &[(&str, &str, bool, Instead)] = &[
    // Here a commit writes each version once, and the newest once more behind one that came out of order; what
    // is older than the history is not written. The forms are the same: `stores/tests/kinds/formats.rs`.
    ("versioned", "versioned_bytes", false, But(&[About("golden-in-versions-changelog")])),
    // Here what is put and joined at once is not written, records have times, and after a restart the sequence
    // goes on behind what waits. The form is the same: `a_record_that_waits_has_the_bytes_of_kafka_streams`.
    ("versioned", "versioned_grace_bytes", false, But(&[About("golden-n-Buffer-changelog")])),
    // There a cache answers with rows that the store behind it has forgotten, until it drops them for want
    // of room. Here a row is forgotten in time, wherever it lies: a cache changes no answer.
    ("stores", "window_store", true, Lines("window_store", false, &[Dropped])),
    // The same for sessions; and there a cache fails on some reads backwards.
    ("stores", "session_store", true, Lines("session_store", false, &[])),
    // There a store on disk takes what comes too late, and shows it to nobody, as long as it keeps the
    // segment; it counts as dropped only what comes later than that. Here that is refused and can be
    // counted, as a store in memory does there.
    ("stores", "window_store", false, But(&[Dropped])),
    // There a store in memory has windows in the order of their starts and then their keys, and sessions in
    // that of their ends, keys and starts; and it fails on a range of keys the wrong way round. Here there is
    // one store, with the order and the answers of the store on disk.
    ("stores", "window_store_in_memory", false, Answers("window_store", &[])),
    ("stores", "session_store_in_memory", false, Answers("session_store", &[])),
    (
        "stores",
        "window_store_in_memory_duplicates",
        false,
        Answers("window_store_duplicates", &[AnswersTo("get ")]),
    ),
    // The same for sessions: there a record joins one that the store has forgotten and the cache has not.
    ("session_windows", "session_reduce_no_grace", true, AsCached),
    // There `fetch` of one window looks for the sequence number 0, which no duplicate has, and so never
    // finds one. Here it gives the first.
    ("stores", "window_store_duplicates", false, But(&[AnswersTo("get "), Dropped])),
    // There a record is stored before the windows are read that it closes, and by its time the store has
    // forgotten those that began a retention before. Here no result is lost: what comes out is what comes
    // out there with a retention that is longer than any jump of time. What the store holds at the end is
    // another matter, because that retention keeps more. With a cache nothing is lost there either, but in
    // sliding windows, which have none.
    (
        "closing",
        "closing_tumbling",
        false,
        Lines("closing_tumbling_long_retention", false, &[Stores]),
    ),
    (
        "closing",
        "closing_hopping",
        false,
        Lines("closing_hopping_long_retention", false, &[Stores]),
    ),
    (
        "closing",
        "closing_sliding",
        false,
        Lines("closing_sliding_long_retention", false, &[Stores]),
    ),
    ("closing", "closing_sliding", true, Lines("closing_sliding_long_retention", true, &[Stores])),
    // There the store has forgotten sessions that end when they close, although records still join them:
    // another session begins beside. Here such a session goes on, as it does there with a long retention.
    (
        "closing",
        "closing_session",
        false,
        Lines("closing_session_long_retention", false, &[Stores]),
    ),
    ("closing", "closing_session", true, Lines("closing_session_long_retention", true, &[Stores])),
    // The same losses. No case of these inputs has a longer retention, so all that comes there must come
    // here, in its order, and more may.
    ("closing", "closing_tumbling_minutes", false, But(&[More])),
    ("closing", "closing_sliding_minutes", false, But(&[More])),
    ("closing", "closing_session_minutes", false, But(&[More])),
    // There a store in memory has sessions of one end in the order of their keys, and the store on disk in
    // the order of their starts. Here there is one store, with the latter.
    (
        "closing",
        "closing_session_in_memory_long_retention",
        false,
        Lines("closing_session_long_retention", false, &[]),
    ),
    // There a store in memory counts as dropped what it does not take because it would forget it at once,
    // though the result is forwarded; the store on disk takes it, and shows it to nobody.
    (
        "session_windows",
        "session_aggregate_in_memory",
        false,
        Lines("session_aggregate", false, &[LostHeaders]),
    ),
    // There sessions that are emitted on update have no headers without a cache, and those of the record
    // with one. Here they have them.
    ("session_windows", "session_count", false, But(&[LostHeaders])),
    ("session_windows", "session_reduce", false, But(&[LostHeaders])),
    ("session_windows", "session_reduce_no_grace", false, But(&[LostHeaders])),
    ("session_windows", "session_aggregate", false, But(&[LostHeaders])),
    ("session_windows", "session_null_results", false, But(&[LostHeaders])),
    ("session_windows", "session_tables", false, But(&[LostHeaders])),
    ("session_windows", "session_reduce_zero_gap", false, But(&[LostHeaders])),
    ("session_windows", "session_reduce_many_keys", false, But(&[LostHeaders])),
    ("session_windows", "session_minutes", false, But(&[LostHeaders])),
    ("cogroup", "cogroup_session", false, But(&[LostHeaders])),
    // There the left window of a record is made, and told of or dropped, a second time if it is the right
    // window of the record before.
    ("sliding_windows", "sliding_reduce", false, But(&[Repeated])),
    ("sliding_windows", "sliding_reduce_no_grace", false, But(&[Repeated])),
    ("sliding_windows", "sliding_reduce_difference_of_one", false, But(&[Repeated])),
    ("sliding_windows", "sliding_aggregate", false, But(&[Repeated])),
    ("sliding_windows", "sliding_aggregate_in_memory", false, But(&[Repeated])),
    ("sliding_windows", "sliding_null_results", false, But(&[Repeated])),
    ("closing", "closing_sliding_each_second", false, But(&[Dropped])),
    // As in `window_store` above: there the cache finds rows that the store has forgotten.
    ("cogroup", "cogroup_hopping", true, AsCached),
    ("cogroup", "cogroup_session", true, AsCached),
    ("cogroup", "cogroup_sliding", true, AsCached),
    ("table_joins", "table_inner_join_windowed", true, But(&[KeyIn("out", "[b@10/20]")])),
    ("table_joins", "table_left_join_windowed", true, But(&[KeyIn("out", "[b@10/20]")])),
    ("table_joins", "table_outer_join_windowed", true, But(&[KeyIn("out", "[b@10/20]")])),
    // There an inner join tells of no deletion where one update takes both values, and keeps the result. All
    // that comes there must come here, in its order, and more may.
    ("table_joins", "table_inner_join_itself", true, But(&[More])),
    ("table_joins", "table_inner_join_itself", false, But(&[More])),
    // There each put goes to the changelog, with the time of the record that led to it. Here a commit sends
    // each key once, with its last value, and with the time of the row, which is the session's end.
    (
        "windowed_keys",
        "session_windowed_keys",
        false,
        But(&[OverwrittenIn("golden-counts-changelog"), LostHeaders]),
    ),
    // There what follows a suppressed table is told the old value of the last update, which was never
    // emitted: an aggregation takes out what it has not put in. Here it is told what was emitted last, and
    // a sum over a suppressed table is that of what it has emitted (a test of `suppress`).
    ("suppress", "suppress_table", true, But(&[About("counts")])),
    ("suppress", "suppress_table", false, But(&[About("counts")])),
    ("suppress", "suppress_tables", true, But(&[About("sums")])),
    ("suppress", "suppress_tables", false, But(&[About("sums")])),
    // As of `session_reduce` above.
    ("suppress", "suppress_session", false, But(&[LostHeaders])),
    // As in `window_store` above: there the cache joins a record to a session that the store
    // has forgotten.
    ("suppress", "suppress_session", true, But(&[BeginningsIn("out")])),
    // There each put goes to the changelog, and what a buffer has to write lies in a hash table. Here a
    // commit sends each key once, in the order in which keys have changed, and does not delete what was
    // put into the buffer and emitted since the last commit.
    (
        "windowed_keys",
        "suppress_changelog",
        false,
        But(&[
            Repeated,
            DeletedUnseen("golden-buffer-store-changelog"),
            OverwrittenIn("golden-reduced-changelog"),
            OrderIn("golden-buffer-store-changelog"),
        ]),
    ),
    // There a record without a partner is told of at once if its window has ended, although a partner may
    // come within the grace; and it is joined with that one too. Here it waits until its window has closed.
    // What has a partner is compared; a test of `joins` holds what has none against a model.
    ("stream_joins", "left_join_grace", false, But(&[Alone])),
    ("optimized", "two_joins", false, But(&[Alone])),
    ("optimized", "two_joins", true, But(&[Alone])),
    ("stream_joins", "left_join_before_and_after", false, But(&[Alone])),
    ("stream_joins", "left_join_nulls", false, But(&[Alone])),
    ("stream_joins", "left_join_minutes", false, But(&[Alone])),
    ("stream_joins", "left_join_null_results", false, But(&[Alone])),
    ("stream_joins", "left_join_same_topic", false, But(&[Alone])),
    ("stream_joins", "left_join_repartitioned", false, But(&[Alone])),
    ("stream_joins", "left_join_itself_before_and_after", false, But(&[Alone])),
    ("stream_joins", "outer_join_grace", false, But(&[Alone])),
    ("stream_joins", "outer_join_before_and_after", false, But(&[Alone])),
    ("stream_joins", "outer_join_nulls", false, But(&[Alone])),
    ("stream_joins", "outer_join_minutes", false, But(&[Alone])),
    ("stream_joins", "outer_join_null_results", false, But(&[Alone])),
    ("stream_joins", "outer_join_same_topic", false, But(&[Alone])),
    ("stream_joins", "outer_join_repartitioned", false, But(&[Alone])),
    ("stream_joins", "outer_join_itself_before_and_after", false, But(&[Alone])),
    // The same; and there a store in memory counts each record that it does not take, and not only those
    // whose segment is gone.
    ("stream_joins", "left_join_in_memory", false, But(&[Alone, Dropped])),
    ("stream_joins", "outer_join_in_memory", false, But(&[Alone, Dropped])),
    ("stream_joins", "inner_join_in_memory", false, But(&[Dropped])),
    ("stream_joins", "outer_join_left_repartitioned", false, But(&[Alone])),
    ("stream_joins", "outer_join_right_repartitioned", false, But(&[Alone])),
    ("stream_joins", "outer_join_same_times", false, But(&[Alone])),
    ("stream_joins", "inner_join_then_left", false, But(&[Alone])),
    ("stream_joins", "left_join_then_left", false, But(&[Alone])),
    ("stream_joins", "outer_join_then_left", false, But(&[Alone])),
    // There the store forgets records before their window has closed, where a window ends at its record or
    // lies apart from it; and it forgets each record at once where the window has no length and no grace. Here
    // they are kept, so there are more pairs.
    ("stream_joins", "inner_join_only_before", false, But(&[More])),
    ("stream_joins", "inner_join_only_after", false, But(&[More])),
    ("stream_joins", "inner_join_wholly_after", false, But(&[More])),
    ("stream_joins", "inner_join_wholly_before", false, But(&[More])),
    ("stream_joins", "inner_join_zero", false, But(&[More])),
    ("stream_joins", "inner_join_itself_zero", false, But(&[More])),
    ("stream_joins", "inner_join_itself_zero_optimised", false, But(&[More])),
    ("stream_joins", "left_join_only_before", false, But(&[Alone, More])),
    ("stream_joins", "left_join_only_after", false, But(&[Alone, More])),
    ("stream_joins", "left_join_wholly_after", false, But(&[Alone, More])),
    ("stream_joins", "left_join_wholly_before", false, But(&[Alone, More])),
    ("stream_joins", "left_join_zero", false, But(&[Alone, More])),
    ("stream_joins", "left_join_itself_zero", false, But(&[Alone, More])),
    ("stream_joins", "left_join_itself_zero_optimised", false, But(&[Alone, More])),
    ("stream_joins", "left_join_zero_grace", false, But(&[Alone, Stores])),
    ("stream_joins", "outer_join_only_before", false, But(&[Alone, More])),
    ("stream_joins", "outer_join_only_after", false, But(&[Alone, More])),
    ("stream_joins", "outer_join_wholly_after", false, But(&[Alone, More])),
    ("stream_joins", "outer_join_wholly_before", false, But(&[Alone, More])),
    ("stream_joins", "outer_join_zero", false, But(&[Alone, More])),
    ("stream_joins", "outer_join_itself_zero", false, But(&[Alone, More])),
    ("stream_joins", "outer_join_itself_zero_optimised", false, But(&[Alone, More])),
    ("stream_joins", "outer_join_zero_grace", false, But(&[Alone, Stores])),
    // There times before 0 are taken for 0, so that a record near it is joined with itself although its window
    // lies apart from it; and each is where one store is asked for.
    ("stream_joins", "inner_join_itself_wholly_after", false, But(&[About("out")])),
    ("stream_joins", "inner_join_itself_wholly_after_optimised", false, But(&[About("out")])),
    ("stream_joins", "left_join_itself_wholly_after", false, But(&[About("out")])),
    ("stream_joins", "left_join_itself_wholly_after_optimised", false, But(&[About("out")])),
    ("stream_joins", "outer_join_itself_wholly_after", false, But(&[About("out")])),
    ("stream_joins", "outer_join_itself_wholly_after_optimised", false, But(&[About("out")])),
    // There each put goes to the changelog, with the headers of its record, also of a null. Here a null is no
    // row, and has no number.
    (
        "stream_joins",
        "outer_join_bytes",
        false,
        But(&[
            About("golden-j-outer-this-join-store-changelog"),
            About("golden-j-outer-other-join-store-changelog"),
        ]),
    ),
    // There the result of an older row may stay for ever, where the response that takes it back is dropped. Here
    // the row asks again, or is known to have no result: a result may come twice, or a deletion more.
    ("foreign_keys", "foreign_key_inner_join_quick", false, But(&[More])),
    ("foreign_keys", "foreign_key_inner_join_itself", false, But(&[More])),
    // There subscriptions are kept with the headers of their records. Here a store keeps none.
    ("foreign_keys", "foreign_key_inner_join_bytes", false, But(&[HeadersIn(SUBSCRIPTIONS)])),
    ("foreign_keys", "foreign_key_left_join_bytes", false, But(&[HeadersIn(SUBSCRIPTIONS)])),
];

/// Group and case of topologies that Kafka Streams builds and that fail there with the first record. Here
/// `build` refuses them, which a test in the group's module shows.
pub(crate) const REFUSED: &[(&str, &str)] =
    &[("sliding_windows", "sliding_reduce_zero_difference")];

/// Group and case of topologies that Kafka Streams builds, and here `build` refuses: a global table without a
/// stream, whose records nobody would ever see.
pub(crate) const NOT_BUILT: &[(&str, &str)] = &[("join_refused", "a_global_table_alone")];

/// Whether a case differs on purpose.
pub(crate) fn is_listed(case: &Case) -> bool {
    listed(case).is_some()
}

fn listed(case: &Case) -> Option<Instead> {
    let is_it = |(group, name, cache, _): &&(&str, &str, bool, Instead)| {
        case.group == *group && case.name == *name && case.cache == *cache
    };
    DIFFERENCES.iter().find(is_it).map(|(.., instead)| *instead)
}

/// Where a case differs from what comes here, but for the differences on purpose.
pub(crate) fn unforeseen(
    case: &Case,
    cases: &[Case],
    setup: Setup,
    variant: Variant,
) -> Option<String> {
    // The other case has the same inputs, or else the first of them shows as a difference.
    let with = |lines: Vec<String>| Case { lines, ..case.clone() };
    match listed(case) {
        None => fault(case, setup, variant),
        Some(But(except)) => fault(case, Setup { except, ..setup }, variant),
        Some(Lines(name, cache, except)) => {
            let lines = other(case, cases, name, cache).lines.clone();
            fault(&with(lines), Setup { except, ..setup }, variant)
        }
        Some(Answers(name, except)) => {
            let is_dropped = |line: &&String| line.starts_with("dropped\t");
            let others = other(case, cases, name, false).lines.iter();
            let others = others.filter(|line| !is_dropped(line));
            let lines = others.chain(case.lines.iter().filter(is_dropped)).cloned().collect();
            fault(&with(lines), Setup { except, ..setup }, variant)
        }
        Some(AsCached) => {
            fault(&with(as_cached(other(case, cases, &case.name, false))), setup, variant)
        }
    }
}

/// What is left out of the comparison of other seeds than the committed ones: cases whose difference on
/// purpose, told above, shows in other lines with each seed. In `closing_session` it is what becomes of
/// sessions that end where they close; with a cache, sessions that a store has forgotten and its cache has
/// not (of `session_count` one whose time has come when it is put: it comes out at once here, and there with
/// the commit; seed 47639832 shows it); in the changelog, rows that have expired before their commit.
const NOT_IN_ANY_SEED: &[(&str, &str, bool)] = &[
    ("closing", "closing_session", true),
    ("closing", "closing_session", false),
    ("session_windows", "session_tables", true),
    ("suppress", "suppress_session", true),
    ("windowed_keys", "session_windowed_keys", false),
    ("commits", "session_count", true),
    ("table_joins", "table_inner_join_windowed", true),
    ("table_joins", "table_left_join_windowed", true),
    ("table_joins", "table_outer_join_windowed", true),
];

/// Whether a version is deleted at its own time, and an older one of its key comes then. Kafka Streams' store
/// does not know of the deletion any more, if nothing was valid before it, and takes the older one for the newest
/// (seed 900202 shows it; docs/versioned-tables.md tells why it is older here).
fn forgets_a_deletion(case: &Case) -> bool {
    let mut versions = BTreeMap::<_, BTreeMap<i64, bool>>::new();
    let is_versioned = case.group == "versioned";
    is_versioned
        && case.lines.iter().any(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let ["in", topic, key, value, time, ..] = fields[..] else { return false };
            let Ok(time) = time.parse() else { return false };
            // True for a time whose version was deleted.
            let of_key = versions.entry((topic, key)).or_default();
            if value == "\\N" {
                of_key.entry(time).and_modify(|is_deleted| *is_deleted = true);
                return false;
            }
            let is_older = of_key.range(time + 1..).any(|(_, is_deleted)| *is_deleted);
            of_key.insert(time, false);
            is_older
        })
}

/// What few seeds show, by the cases of which it is.
const FEW_SHOW: &[(fn(&Case) -> bool, &[Except])] = &[
    // There a store on disk takes what its segments still hold, and counts only what lies before.
    (|case| case.group == "stores", &[Dropped]),
    // What `inner_join_itself_wholly_after` shows: there a record near the time 0, or just not late, is joined with
    // itself, or is not (seeds 1002 and 1003 show it of the optimised ones).
    (
        |case| {
            case.group == "stream_joins"
                && (case.name.contains("itself") || case.name.contains("wholly"))
                || case.group == "optimized" && case.name.contains("with_itself")
        },
        &[About("out")],
    ),
    // A null value moves the time of a store in memory there, and of none on disk: what such a store still
    // holds is told only by seeds that end with one (139748581).
    (|case| case.group == "stream_joins" && case.name.contains("in_memory"), &[Stores]),
    // As of `left_join_grace`.
    (
        |case| {
            case.group == "stream_joins" || case.group == "optimized" && case.name.contains("join")
        },
        &[Alone],
    ),
    // A cache there keeps a deletion of nothing to itself, and the store's time with it, so the store still holds
    // what has expired here (S11; seed 247250830 ends with one).
    (|case| case.group == "suppress" && case.cache, &[Stores]),
    // As of `sliding_reduce` (seed 1002 shows it of `suppress_sliding`).
    (|case| case.name.contains("sliding") && case.group != "stores", &[Repeated, Dropped]),
];

/// [`unforeseen`] for any seed: differences on purpose that few seeds show are left out of all.
pub(crate) fn unforeseen_in_any_seed(
    case: &Case,
    cases: &[Case],
    setup: impl Fn() -> Setup,
) -> Option<String> {
    if NOT_IN_ANY_SEED.contains(&(&case.group, &case.name, case.cache)) || forgets_a_deletion(case)
    {
        return None;
    }
    let also = FEW_SHOW.iter().filter(|(is_of, _)| is_of(case)).map(|(_, except)| *except);
    let also: &[Except] = also.collect::<Vec<_>>().concat().leak();
    let setup = || Setup { also, ..setup() };
    let found = unforeseen(case, cases, setup(), Variant::Undisturbed)?;
    let in_windows = ["time_windows", "sliding_windows", "session_windows", "cogroup"];
    if !case.cache || !in_windows.contains(&&*case.group) {
        return Some(found);
    }
    // There a cache still finds windows that the store behind it has forgotten.
    let lines = as_cached(other(case, cases, &case.name, false));
    fault(&Case { lines, ..case.clone() }, setup(), Variant::Undisturbed).map(|_| found)
}

/// The case of this name, of the same group and seed.
pub(crate) fn other<'a>(case: &Case, cases: &'a [Case], name: &str, cache: bool) -> &'a Case {
    let is_it = |other: &&Case| {
        (&other.group, &other.seed) == (&case.group, &case.seed)
            && other.name == name
            && other.cache == cache
    };
    cases.iter().find(is_it).unwrap()
}

#[test]
fn an_older_version_behind_a_deletion_at_its_own_time_is_seen() {
    let of = |lines: &[&str]| {
        let mut case = crate::format::golden().swap_remove(0);
        case.group = "versioned".to_owned();
        case.lines = lines.iter().map(|line| (*line).to_owned()).collect();
        forgets_a_deletion(&case)
    };
    let (set, deleted) = ("in\tin\tc\td1\t4\t", "in\tin\tc\t\\N\t4\t");
    assert!(of(&[set, deleted, "in\tin\tc\td2\t3\t"]));
    assert!(!of(&[set, deleted, "in\tin\tc\td2\t4\t"]) && !of(&[deleted, "in\tin\tc\td2\t3\t"]));
    assert!(!of(&[set, deleted, "in\tin\tb\td2\t3\t"]));
}

#[test]
fn each_difference_on_purpose_is_still_there() {
    let cases = crate::format::golden();
    for (group, name, cache, _) in DIFFERENCES {
        let of_it =
            |case: &&Case| case.group == *group && case.name == *name && case.cache == *cache;
        let differs =
            |case: &Case| fault(case, crate::setup(case).unwrap(), Variant::Undisturbed).is_some();
        assert!(cases.iter().filter(of_it).any(differs), "{group}, {name}: take it off the list");
    }
}
