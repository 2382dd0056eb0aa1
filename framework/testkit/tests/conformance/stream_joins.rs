//! The topologies of `ConformanceStreamJoins.java`: streams joined with streams.
//!
//! Knows topologies; not how a case is played. The name of a case begins with the kind of join, and its
//! options say the windows. Kafka Streams' test driver looks for records without a match with each record,
//! because the cases say so; those `_each_second` look once a second, as Kafka Streams does.

use std::time::Duration;

use oncestream_operators::{JoinWindows, KStream, Optimization, StreamJoined, StreamsBuilder};

use crate::format::{Case, Windows};
use crate::functions::{Text, letter, pair, pair_or_reset};
use crate::play::Setup;

/// The least time between two looks, in milliseconds.
const INTERVAL: &str = "__emit.interval.ms.kstreams.outer.join.spurious.results.fix__";

pub(crate) type Stream = KStream<Text, Text>;
pub(crate) type Options = StreamJoined<Text, Text, Text>;

/// Which records without a match are results.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Inner,
    Left,
    Outer,
}

impl Kind {
    /// The kind that a case's name begins with, and the rest.
    pub(crate) fn of(case: &str) -> Option<(Self, &str)> {
        let kinds =
            [("inner_join", Self::Inner), ("left_join", Self::Left), ("outer_join", Self::Outer)];
        kinds.into_iter().find_map(|(name, kind)| Some((kind, case.strip_prefix(name)?)))
    }

    /// Joins two streams.
    pub(crate) fn join(
        self,
        one: &Stream,
        two: &Stream,
        options: Options,
        joiner: impl Fn(Option<&str>, Option<&str>) -> Text + Send + Sync + 'static,
    ) -> Stream {
        let with = move |one: Option<&Text>, two: Option<&Text>| {
            joiner(one.and_then(Option::as_deref), two.and_then(Option::as_deref))
        };
        match self {
            Self::Inner => one.join(two, options, move |one, two| with(Some(one), Some(two))),
            Self::Left => one.left_join(two, options, move |one, two| with(Some(one), two)),
            Self::Outer => one.outer_join(two, options, with),
        }
    }

    fn join_with_key(self, one: &Stream, two: &Stream, joined: Options) -> Stream {
        let with = |key: &Text, one: Option<&Text>, two: Option<&Text>| {
            let text = |value: Option<&Text>| value.cloned().flatten();
            let pair = paired(text(one).as_deref(), text(two).as_deref());
            Some(format!("{}={}", key.as_deref().unwrap_or("null"), pair.unwrap_or_default()))
        };
        match self {
            Self::Inner => {
                one.join_with_key(two, joined, move |k, one, two| with(k, Some(one), Some(two)))
            }
            Self::Left => {
                one.left_join_with_key(two, joined, move |k, one, two| with(k, Some(one), two))
            }
            Self::Outer => one.outer_join_with_key(two, joined, with),
        }
    }

    /// The stores of a join whose stores are named `j`; the last one has what was joined with none.
    fn stores(self) -> &'static [&'static str] {
        match self {
            Self::Inner => &["j-this-join-store", "j-other-join-store"],
            Self::Left => {
                &["j-this-join-store", "j-outer-other-join-store", "j-left-shared-join-store"]
            }
            Self::Outer => &[
                "j-outer-this-join-store",
                "j-outer-other-join-store",
                "j-outer-shared-join-store",
            ],
        }
    }
}

/// `pair` as a result.
#[expect(clippy::unnecessary_wraps, reason = "a joiner gives what the values are")]
pub(crate) fn paired(one: Option<&str>, two: Option<&str>) -> Text {
    Some(pair(one, two))
}

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &Case) -> Option<Setup> {
    let (kind, rest) = Kind::of(&case.name)?;
    let b = StreamsBuilder::new().optimization(
        case.option("topology.optimization")
            .map_or_else(Optimization::none, |it| it.parse().unwrap()),
    );
    let stream = |topic: &str| b.stream::<Text, Text>(topic);
    let joined = options(case);
    let has_stores = case.lines.iter().any(|line| line.starts_with("store\t"));
    match rest {
        "_null_results" => {
            let results = kind.join(&stream("left"), &stream("right"), joined, pair_or_reset);
            results.to("out");
        }
        "_with_key" => kind.join_with_key(&stream("left"), &stream("right"), joined).to("out"),
        "_same_topic" => {
            let all = stream("in");
            let some = all.filter(|_, v| letter(v.as_deref()).is_some());
            let upper = all.map_values(|v| v.map(|v| v.to_uppercase()));
            kind.join(&some, &upper, joined, paired).to("out");
        }
        "_two_sources" => kind.join(&stream("in"), &stream("in"), joined, paired).to("out"),
        "_left_repartitioned" | "_right_repartitioned" | "_repartitioned" => {
            let keyed = |topic: &str, other: &str| {
                let stream = stream(topic);
                if rest == other {
                    return stream;
                }
                stream.select_key(|_, v| letter(v.as_deref()))
            };
            let (one, two) =
                (keyed("left", "_right_repartitioned"), keyed("right", "_left_repartitioned"));
            kind.join(&one, &two, joined.name("n"), paired).to("out");
        }
        "_then_left" => {
            let first = kind.join(&stream("left"), &stream("right"), joined, paired);
            let grace = JoinWindows::of_time_difference_and_grace(
                Duration::from_millis(10),
                Duration::from_millis(15),
            );
            let second = StreamJoined::new(grace).store_name("k");
            Kind::Left.join(&first, &stream("third"), second, paired).to("out");
            first.to("first");
        }
        _ if rest.starts_with("_itself") => {
            let all = stream("in");
            if rest.ends_with("_optimised") && kind != Kind::Inner {
                // Kafka Streams makes an inner join of them too.
                all.self_join(joined, |one, two| paired(one.as_deref(), two.as_deref())).to("out");
            } else {
                kind.join(&all, &all, joined, paired).to("out");
            }
        }
        _ => kind.join(&stream("left"), &stream("right"), joined, paired).to("out"),
    }
    let stores = if has_stores || rest == "_bytes" { kind.stores() } else { &[] };
    Some(with_stores(
        Setup::new(b.build().unwrap(), if rest == "_bytes" { &[] } else { stores }),
        case,
    ))
}

fn with_stores(setup: Setup, case: &Case) -> Setup {
    let windows = windows(case);
    let size = Windows::Time(windows.before_ms() + windows.after_ms());
    let of_streams: Vec<_> = setup.stores.iter().filter(|s| !s.contains("-shared-")).collect();
    let setup = of_streams.into_iter().fold(setup, |setup, store| setup.with_windows(store, size));
    // An interval begins anew with its task, in Kafka Streams too.
    let schedules = case.duration(INTERVAL).is_some_and(|interval| interval > Duration::ZERO);
    // Kafka Streams' stores in memory are printed with the times of their rows.
    let is_timed = case.lines.iter().any(|line| {
        line.starts_with("store\t") && !line.contains("-shared-") && !line.ends_with("\t\\N")
    });
    let without_time = if is_timed { &[] } else { setup.stores };
    Setup { without_time, schedules, ..setup }
}

/// The windows that a case says.
fn windows(case: &Case) -> JoinWindows {
    let of = |option: &str| case.option(option).unwrap().parse::<i64>().unwrap();
    let grace = case.duration("grace").unwrap();
    let windows = JoinWindows::of_time_difference_and_grace(Duration::ZERO, grace);
    windows.between_ms(-of("before"), of("after"))
}

fn options(case: &Case) -> Options {
    let interval = case.duration(INTERVAL).unwrap_or_default();
    StreamJoined::new(windows(case)).store_name("j").look_at_most_every(interval)
}
