//! The topologies of `ConformanceTableJoins.java`: tables joined with tables. Those of streams joined with
//! tables, which are of the same group, are in `stream_table_joins`.
//!
//! Knows topologies; not how a case is played. Keys may be null, as those of the streams that tables are
//! made of.

use std::time::Duration;

use oncestream_operators::{
    BufferConfig, KStream, KTable, Materialized, StoreKey, StreamsBuilder, Suppressed, TimeWindows,
};

use crate::format::{Case, Windows};
use crate::functions::{Text, join_or_reset, letter, pair, pair_or_reset};
use crate::play::Setup;
use crate::stream_table_joins;
use crate::windowed::write;

pub(crate) type Table<K = Text> = KTable<K, String>;
pub(crate) type Stores = &'static [&'static str];

/// The kind of join, with which a case's name begins.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Inner,
    Left,
    Outer,
}

impl Kind {
    /// The kind that a name says, and what is behind it.
    pub(crate) fn of(name: &str) -> Option<(Self, &str)> {
        let kinds = [("inner_join", Self::Inner), ("left_join", Self::Left)];
        let kinds = kinds.into_iter().chain([("outer_join", Self::Outer)]);
        kinds.into_iter().find_map(|(text, kind)| Some((kind, name.strip_prefix(text)?)))
    }

    /// Joined by [`pair`].
    pub(crate) fn join<K: StoreKey>(self, one: &Table<K>, two: &Table<K>) -> Table<K> {
        match self {
            Self::Inner => one.join(two, |l, r| pair(l.as_str(), r.as_str())),
            Self::Left => one.left_join(two, |l, r| pair(l.as_str(), r.map(String::as_str))),
            Self::Outer => {
                one.outer_join(two, |l, r| pair(l.map(String::as_str), r.map(String::as_str)))
            }
        }
    }

    /// The same, in the store `joined`.
    fn stored(self, one: &Table, two: &Table) -> Table {
        self.join(one, two).materialized("joined")
    }

    fn join_or_null(self, one: &Table, two: &Table) -> KTable<Text, Text> {
        match self {
            Self::Inner => one.join(two, |l, r| pair_or_reset(Some(l), Some(r))),
            Self::Left => one.left_join(two, |l, r| pair_or_reset(Some(l), r.map(String::as_str))),
            Self::Outer => one.outer_join(two, |l, r| {
                pair_or_reset(l.map(String::as_str), r.map(String::as_str))
            }),
        }
    }
}

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &Case) -> Option<Setup> {
    let b = StreamsBuilder::new();
    let Some(name) = case.name.strip_prefix("table_") else {
        let stores = stream_table_joins::added(&b, &case.name)?;
        return Some(Setup::new(b.build().unwrap(), stores));
    };
    let (kind, shape) = Kind::of(name)?;
    let stores: Stores = match shape {
        "" => plain(&b, kind),
        "_stored" => stored(&b, kind),
        "_grouped" => grouped(&b, kind, false),
        "_stored_grouped" => grouped(&b, kind, true),
        "_of_sides" => sides(&b, kind),
        "_of_stored_sides" => stored_sides(&b, kind),
        "_null_results" => null_results(&b, kind),
        "_itself" => itself(&b, kind),
        "_of_one_stream" => of_one_stream(&b, kind),
        "_followed" => followed(&b, kind),
        "_of_joins" => of_joins(&b, kind),
        "_windowed" => windowed(&b, kind),
        "_repartitioned" => repartitioned(&b),
        "_suppressed" => suppressed(&b),
        _ => return None,
    };
    let setup = Setup::new(b.build().unwrap(), stores);
    Some(match shape {
        "_windowed" => setup.with_windows("letters", TEN).with_windows("last", TEN),
        _ => setup,
    })
}

const TEN: Windows = Windows::Time(10);

pub(crate) fn strings(b: &StreamsBuilder, topic: &str) -> KStream<Text, Text> {
    b.stream(topic)
}

/// A table with a store of its topic's name.
pub(crate) fn source(b: &StreamsBuilder, topic: &str) -> Table {
    b.table(topic).materialized(format!("{topic}-store"))
}

fn plain(b: &StreamsBuilder, kind: Kind) -> Stores {
    kind.join::<Text>(&b.table("one"), &b.table("two")).to_stream().to("out");
    &[]
}

fn stored(b: &StreamsBuilder, kind: Kind) -> Stores {
    kind.stored(&source(b, "one"), &source(b, "two")).to_stream().to("out");
    &["one-store", "two-store", "joined"]
}

fn grouped(b: &StreamsBuilder, kind: Kind, stored: bool) -> Stores {
    let (one, two) = (source(b, "one"), source(b, "two"));
    let joined = if stored { kind.stored(&one, &two) } else { kind.join(&one, &two) };
    added_and_taken(&joined).to_stream().to("out");
    &["agg"]
}

/// An aggregation by the first letter, which adds and takes away.
pub(crate) fn added_and_taken(table: &Table) -> KTable<String, String> {
    table.group_by(|_, v| (v[..1].to_owned(), v.clone())).aggregate(
        String::new,
        |_, v, all| all + "(" + &v,
        |_, v, all| taken(&all, &v),
        "agg",
    )
}

/// `all` without `(v`; what it does not hold is shown as taken too often.
fn taken(all: &str, v: &str) -> String {
    match all.split_once(&format!("({v}")) {
        Some((before, behind)) => before.to_owned() + behind,
        None => format!("{all}){v}"),
    }
}

pub(crate) fn early(v: &str) -> bool {
    v < "d"
}

fn sides(b: &StreamsBuilder, kind: Kind) -> Stores {
    let one = b.table::<Text, String>("one").filter(|_, v| early(v));
    let two = b.table::<Text, String>("two").filter_map_values(|v| letter(Some(&v)));
    kind.join(&one, &two).to_stream().to("out");
    &[]
}

fn stored_sides(b: &StreamsBuilder, kind: Kind) -> Stores {
    let one = source(b, "one").filter(|_, v| early(v)).materialized("kept");
    let two = source(b, "two").filter_map_values(|v| letter(Some(&v))).materialized("letters");
    kind.join(&one, &two).to_stream().to("out");
    &["kept", "letters"]
}

fn null_results(b: &StreamsBuilder, kind: Kind) -> Stores {
    let (one, two) = (source(b, "one"), source(b, "two"));
    kind.join_or_null(&one, &two).to_stream().to("out");
    kind.join_or_null(&one, &two).materialized("joined").to_stream().to("stored");
    &["joined"]
}

fn itself(b: &StreamsBuilder, kind: Kind) -> Stores {
    let table = source(b, "in");
    kind.join(&table, &table).to_stream().to("out");
    kind.stored(&table, &table.map_values(|v| v.to_uppercase())).to_stream().to("stored");
    &["joined"]
}

fn of_one_stream(b: &StreamsBuilder, kind: Kind) -> Stores {
    let input = strings(b, "in");
    let letters = input.group_by_key().aggregate(
        String::new,
        |_, v, all: String| join_or_reset(&all, letter(v.as_deref()).as_deref()),
        "letters",
    );
    let last = input
        .filter_map_values(|v| v.filter(|v| v.ends_with('1')))
        .group_by_key()
        .reduce(|_, new| new, "last");
    kind.join(&letters, &last).to_stream().to("out");
    kind.stored(&last, &letters).to_stream().to("stored");
    &["letters", "last", "joined"]
}

fn followed(b: &StreamsBuilder, kind: Kind) -> Stores {
    let joined = kind.join(&source(b, "one"), &source(b, "two"));
    joined.filter(|_, v| early(v)).to_stream().to("out");
    joined.map_values(|v| v + "!").to_stream().to("mapped");
    joined.map_values(|v| v + "?").materialized("kept").to_stream().to("mapped-stored");
    stream_table_joins::join(true, &strings(b, "asked"), &joined).to("answered");
    &["kept"]
}

fn of_joins(b: &StreamsBuilder, kind: Kind) -> Stores {
    let [one, two, three] = ["one", "two", "three"].map(|topic| source(b, topic));
    Kind::Left.join(&kind.join(&one, &two), &three).to_stream().to("out");
    Kind::Outer.join(&three, &kind.join(&one, &two)).to_stream().to("right");
    added_and_taken(&kind.join(&kind.stored(&one, &two), &three)).to_stream().to("agg");
    &["joined", "agg"]
}

fn windowed(b: &StreamsBuilder, kind: Kind) -> Stores {
    let windows =
        TimeWindows::of_size_and_grace(Duration::from_millis(10), Duration::from_millis(15));
    let letters = strings(b, "one").group_by_key().windowed_by(windows).aggregate(
        String::new,
        |_, v, all: String| join_or_reset(&all, letter(v.as_deref()).as_deref()),
        "letters",
    );
    let last = strings(b, "two").group_by_key().windowed_by(windows).reduce(|_, new| new, "last");
    let last = last.map_values(Option::unwrap_or_default);
    write(&kind.join(&letters, &last).to_stream(), "out", TEN);
    &["letters", "last"]
}

fn repartitioned(b: &StreamsBuilder) -> Stores {
    let one = strings(b, "one").select_key(|_, v| letter(v.as_deref())).to_table::<String>();
    let one = one.materialized("one-store");
    let two = source(b, "two").group_by(|_, v| (Some(v[..1].to_owned()), v.clone())).reduce(
        |_, new| new,
        |all, _| all,
        "two-by-letter",
    );
    Kind::Outer.stored(&one, &two).to_stream().to("out");
    &["one-store", "two-by-letter", "joined"]
}

fn suppressed(b: &StreamsBuilder) -> Stores {
    // The buffer's serdes are those of a store.
    let store = Materialized::named("joined").caching_disabled();
    let joined = Kind::Outer.join(&source(b, "one"), &source(b, "two")).materialized(store);
    let limit = Duration::from_millis(12);
    let later = Suppressed::until_time_limit(limit, BufferConfig::unbounded());
    joined.suppress(later).to_stream().to("out");
    &[]
}
