//! The topologies of `ConformanceForeignKeys.java`: tables joined by a foreign key, which is the first letter
//! of a row's value.
//!
//! Knows topologies; not how a case is played.

use oncestream_core::serde::HasSerde;
use oncestream_operators::{StreamsBuilder, TableJoined};

use crate::functions::{Text, join_or_reset, letter, pair, pair_or_reset};
use crate::play::Setup;
use crate::table_joins::{Stores, Table, added_and_taken, early, source, strings};

/// The kind of join, with which a case's name goes on.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Inner,
    Left,
}

impl Kind {
    /// The kind that a name says, and what is behind it.
    pub(crate) fn of(case: &str) -> Option<(Self, &str)> {
        let name = case.strip_prefix("foreign_key_")?;
        let inner = name.strip_prefix("inner_join").map(|shape| (Self::Inner, shape));
        inner.or_else(|| Some((Self::Left, name.strip_prefix("left_join")?)))
    }

    /// Joined by the first letter.
    pub(crate) fn join(self, rows: &Table, others: &Table) -> Table {
        self.join_by(rows, TableJoined::with(others), |v| letter(Some(v)))
    }

    pub(crate) fn join_by(
        self,
        rows: &Table,
        others: TableJoined<Text, String, Text, String>,
        key: impl Fn(&str) -> Text + Send + Sync + 'static,
    ) -> Table {
        let key = move |v: &String| Some(key(v));
        match self {
            Self::Inner => rows.foreign_key_join(others, key, |l, r| pair(l.as_str(), r.as_str())),
            Self::Left => rows
                .left_foreign_key_join(others, key, |l, r| pair(l.as_str(), r.map(String::as_str))),
        }
    }
}

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &str) -> Option<Setup> {
    let b = StreamsBuilder::new();
    let (kind, shape) = Kind::of(case)?;
    let (rows, others) = (|| source(&b, "rows"), || source(&b, "others"));
    let stores: Stores = match shape {
        "" | "_of_empty_values" => {
            kind.join(&b.table("rows"), &b.table("others")).to_stream().to("out");
            &[]
        }
        "_stored" => {
            let joined = kind.join(&rows(), &others()).materialized("joined");
            joined.to_stream().to("out");
            &["rows-store", "others-store", "joined"]
        }
        "_grouped" => {
            added_and_taken(&kind.join(&rows(), &others())).to_stream().to("out");
            &["agg"]
        }
        "_of_sides" => sides(&b, kind),
        "_quick" => quick(&b, kind),
        "_followed" => {
            let joined = kind.join(&rows(), &others());
            joined.filter(|_, v| early(v)).to_stream().to("out");
            joined.map_values(|v| v + "!").materialized("kept").to_stream().to("mapped");
            &["kept"]
        }
        "_null_results" => null_results(&b, kind),
        "_with_key" => with_key(&b, kind),
        "_many_rows" => many_rows(&b, kind),
        "_itself" => {
            let table = rows();
            kind.join(&table, &table).to_stream().to("out");
            &["rows-store"]
        }
        "_in_a_row" => {
            let first = kind.join(&rows(), &others());
            first.to_stream().to("first");
            let thirds = source(&b, "thirds");
            let last = |v: &str| letter(v.split_once('+').map(|(_, found)| found));
            kind.join_by(&first, TableJoined::with(&thirds), last).to_stream().to("out");
            &[]
        }
        "_aggregated" => aggregated(&b, kind),
        "_bytes" => {
            let (rows, others) = (rows(), others());
            let named = TableJoined::with(&others).name("n");
            kind.join_by(&rows, named, |v| letter(Some(v))).to_stream().to("out");
            &[]
        }
        _ => return None,
    };
    Some(Setup::new(b.build().unwrap(), stores))
}

fn sides(b: &StreamsBuilder, kind: Kind) -> Stores {
    let rows = b.table::<Text, String>("rows").filter(|_, v| !v.ends_with('2'));
    let others = b.table::<Text, String>("others").filter_map_values(|v| letter(Some(&v)));
    let others = TableJoined::with(&others).other_value_serde(String::serde());
    kind.join_by(&rows, others, |v| letter(Some(v))).to_stream().to("out");
    &[]
}

fn quick(b: &StreamsBuilder, kind: Kind) -> Stores {
    let some = |v: &str| Some(v.to_owned());
    let changes = move |v: Text| match v {
        Some(v) if v.ends_with('0') => vec![Some(v)],
        Some(v) if v.ends_with('1') => vec![Some(v.clone()), some("e7"), Some(v)],
        Some(v) => vec![some("b7"), Some(v)],
        None => vec![None],
    };
    let rows = strings(b, "rows").flat_map_values(changes).to_table::<String>();
    let rows = rows.materialized("rows-store");
    kind.join(&rows, &source(b, "others")).to_stream().to("out");
    &["rows-store"]
}

fn null_results(b: &StreamsBuilder, kind: Kind) -> Stores {
    let (rows, others) = (source(b, "rows"), source(b, "others"));
    let key = |v: &String| Some(letter(Some(v)));
    let joined = match kind {
        Kind::Inner => rows.foreign_key_join(&others, key, |l, r| pair_or_reset(Some(l), Some(r))),
        Kind::Left => rows.left_foreign_key_join(&others, key, |l, r| {
            pair_or_reset(Some(l), r.map(String::as_str))
        }),
    };
    joined.materialized("joined").to_stream().to("out");
    &["joined"]
}

fn with_key(b: &StreamsBuilder, kind: Kind) -> Stores {
    let (rows, others) = (source(b, "rows"), source(b, "others"));
    let key =
        |k: &Text, v: &String| Some(if v.ends_with('0') { k.clone() } else { letter(Some(v)) });
    let joined: Table = match kind {
        Kind::Inner => {
            rows.foreign_key_join_with_key(&others, key, |_, l, r| pair(l.as_str(), r.as_str()))
        }
        Kind::Left => rows.left_foreign_key_join_with_key(&others, key, |_, l, r| {
            pair(l.as_str(), r.map(String::as_str))
        }),
    };
    joined.to_stream().to("out");
    &[]
}

fn many_rows(b: &StreamsBuilder, kind: Kind) -> Stores {
    let rows: Table = b.table("rows");
    let few = |k: &Text, _: &Text| {
        k.as_ref().map(|k| if k.as_str() < "k20" { "b" } else { "c" }.to_owned())
    };
    let others = strings(b, "others").select_key(few).to_table::<String>();
    kind.join(&rows, &others).to_stream().to("out");
    &[]
}

fn aggregated(b: &StreamsBuilder, kind: Kind) -> Stores {
    let rows = strings(b, "rows").group_by_key().reduce(|_, new| new, "rows-store");
    let others = strings(b, "others").group_by_key().aggregate(
        String::new,
        |_, v, all: String| join_or_reset(&all, letter(v.as_deref()).as_deref()),
        "others-store",
    );
    let key = |v: &Text| Some(letter(v.as_deref()));
    let joined: Table = match kind {
        Kind::Inner => rows.foreign_key_join(&others, key, |l, r| pair(l.as_deref(), r.as_str())),
        Kind::Left => rows
            .left_foreign_key_join(&others, key, |l, r| pair(l.as_deref(), r.map(String::as_str))),
    };
    joined.to_stream().to("out");
    &["rows-store", "others-store"]
}
