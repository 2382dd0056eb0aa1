//! The topologies of `ConformanceCogroup.java`: cogrouped streams, plain and in each kind of window.
//!
//! Knows topologies; not how a case is played. Of two topics, the values of the second are put in upper
//! case, so that a result shows where its parts are from.

use std::time::Duration;

use oncestream_operators::{
    CogroupedKStream, KGroupedStream, KTable, Materialized, SessionWindows, SlidingWindows,
    StreamsBuilder, TimeWindows, Windowed,
};

use crate::format::{Case, Form, Windows};
use crate::functions::{Text, join, join_or_reset, show};
use crate::play::Setup;
use crate::session_windows::merged;
use crate::windowed::write;

/// The topology of a case, if it is here. All windows are 10 ms long, or sessions with a gap of 6 ms.
pub(crate) fn setup(case: &Case) -> Option<Setup> {
    let b = StreamsBuilder::new();
    let stores = match &*case.name {
        "cogroup" => plain(&b),
        "cogroup_after_repartition" => repartitioned(&b),
        "cogroup_tumbling" => windowed(case, &in_time(&b, tumbling(case))),
        "cogroup_hopping" => {
            windowed(case, &in_time(&b, tumbling(case).advance_by(Duration::from_millis(4))))
        }
        "cogroup_sliding" => windowed(case, &sliding(&b, case)),
        "cogroup_session" => windowed(case, &session(&b, case)),
        _ => return None,
    };
    let setup = Setup::new(b.build().unwrap(), stores);
    Some(match keys(case) {
        Some(windows) => setup.with_windows("agg", windows),
        None => setup,
    })
}

type Stores = &'static [&'static str];

fn grouped(b: &StreamsBuilder, topic: &str) -> KGroupedStream<Text, Text> {
    b.stream::<Text, Text>(topic).group_by_key()
}

fn upper(value: Text) -> Text {
    value.map(|value| value.to_uppercase())
}

fn both(b: &StreamsBuilder) -> CogroupedKStream<Text, String> {
    let (one, two) = (grouped(b, "one"), grouped(b, "two"));
    one.cogroup(|_: &Text, v: Text, all: String| join(all.as_str(), v.as_deref()))
        .cogroup(&two, |_: &Text, v: Text, all: String| join_or_reset(&all, upper(v).as_deref()))
}

fn plain(b: &StreamsBuilder) -> Stores {
    let all = both(b).aggregate(String::new, "agg");
    all.to_stream().to("out");
    // Without a cache, the first old value is what the initializer gave, and is grouped too.
    all.group_by(|_, v| (v.chars().last().map_or("first".to_owned(), String::from), v.clone()))
        .count("counts")
        .to_stream()
        .map_values(show)
        .to("counts");
    &["agg", "counts"]
}

/// One of the streams changes its key, so one comes through a repartition topic.
fn repartitioned(b: &StreamsBuilder) -> Stores {
    let one = grouped(b, "one");
    let two = b.stream::<Text, Text>("two").group_by(|_, v| v.clone());
    one.cogroup(|_: &Text, v: Text, all: String| join(all.as_str(), v.as_deref()))
        .cogroup(&two, |_: &Text, v: Text, all: String| join(all.as_str(), upper(v).as_deref()))
        .aggregate(String::new, "agg")
        .to_stream()
        .to("out");
    &["agg"]
}

/// The windows that the line `case` says.
fn keys(case: &Case) -> Option<Windows> {
    match case.outputs[0].form {
        Form::Windowed(windows) => Some(windows),
        Form::Text | Form::Hex => None,
    }
}

fn windowed(case: &Case, table: &KTable<Windowed<Text>, String>) -> Stores {
    write(&table.to_stream(), "out", keys(case).unwrap());
    &["agg"]
}

fn grace(case: &Case) -> Duration {
    case.duration("grace").unwrap()
}

fn tumbling(case: &Case) -> TimeWindows {
    TimeWindows::of_size_and_grace(Duration::from_millis(10), grace(case))
}

fn in_time(b: &StreamsBuilder, windows: TimeWindows) -> KTable<Windowed<Text>, String> {
    both(b).windowed_by(windows).aggregate(String::new, "agg")
}

fn sliding(b: &StreamsBuilder, case: &Case) -> KTable<Windowed<Text>, String> {
    let ten = Duration::from_millis(10);
    let windows = SlidingWindows::of_time_difference_and_grace(ten, grace(case));
    both(b).windowed_by(windows).aggregate(String::new, "agg")
}

fn session(b: &StreamsBuilder, case: &Case) -> KTable<Windowed<Text>, String> {
    let six = Duration::from_millis(6);
    let windows = SessionWindows::of_inactivity_gap_and_grace(six, grace(case));
    both(b).windowed_by(windows).aggregate(String::new, merged, "agg")
}

/// `cogrouped` of `ConformanceNames.java`.
pub(crate) fn named(b: &StreamsBuilder, case: &str) -> Option<()> {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let hour = TimeWindows::of_size_and_grace(minutes(60), minutes(1));
    let sliding = SlidingWindows::of_time_difference_and_grace(minutes(5), minutes(1));
    let sessions = SessionWindows::of_inactivity_gap_and_grace(minutes(5), minutes(1));
    let same = |_: &Text, _: Text, all: String| all;
    let cogrouped = |one: KGroupedStream<Text, Text>, two: KGroupedStream<Text, Text>| {
        one.cogroup(same).cogroup(&two, same)
    };
    let both = || cogrouped(grouped(b, "one"), grouped(b, "two"));
    let by_value = |topic: &str| b.stream::<Text, Text>(topic).group_by(|_, v| v.clone());
    let plain = |table: KTable<Text, String>| table.to_stream().to("out");
    let end = |table: KTable<Windowed<Text>, String>, windows| {
        write(&table.to_stream(), "out", windows);
    };
    let in_hour = Windows::Time(hour.size_ms());
    match case {
        "cogroup" => plain(both().aggregate(String::new, Materialized::new())),
        "cogroup_store" => plain(both().aggregate(String::new, "s")),
        "cogroup_named" => plain(both().named("n").aggregate(String::new, "s")),
        "cogroup_tumbling" => {
            end(both().windowed_by(hour).aggregate(String::new, Materialized::new()), in_hour);
        }
        "cogroup_tumbling_store" => {
            end(both().windowed_by(hour).aggregate(String::new, "s"), in_hour);
        }
        "cogroup_sliding" => {
            let table = both().windowed_by(sliding).aggregate(String::new, Materialized::new());
            end(table, Windows::Time(sliding.time_difference_ms()));
        }
        "cogroup_session" => {
            let first = |_: &Text, one: String, _: String| one;
            let table =
                both().windowed_by(sessions).aggregate(String::new, first, Materialized::new());
            end(table, Windows::Session);
        }
        "cogroup_after_repartition" => {
            let both = cogrouped(by_value("one"), by_value("two"));
            plain(both.aggregate(String::new, Materialized::new()));
        }
        "cogroup_after_named_repartition" => {
            let both = cogrouped(by_value("one").grouped("g1"), by_value("two").grouped("g2"));
            plain(both.aggregate(String::new, "s"));
        }
        _ => return None,
    }
    Some(())
}
