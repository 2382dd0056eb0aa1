//! What `ConformanceJoinNames.java` and `ConformanceJoinRefused.java` have of joins of tables, and of streams
//! with tables.
//!
//! Knows topologies; not how a case is compared.

use oncestream_operators::{Joined, KStream, KTable, Materialized, Named, StreamsBuilder};

use crate::functions::{Text, pair};
use crate::stream_table_joins;
use crate::table_joins::{Kind, Table, source, strings};

/// Adds what a case describes, if it is here.
pub(crate) fn named(b: &StreamsBuilder, case: &str) -> Option<()> {
    if let Some(name) = case.strip_prefix("stream_table_") {
        return of_stream(b, name);
    }
    let (kind, shape) = Kind::of(case.strip_prefix("table_")?)?;
    let both = || (b.table("one"), b.table("two"));
    let write = |joined: Table| joined.to_stream().to("out");
    match shape {
        "" | "_optimised" => {
            let (one, two) = both();
            write(kind.join(&one, &two));
        }
        "_store" => {
            let (one, two) = both();
            write(kind.join(&one, &two).materialized("joined"));
        }
        "_named" => {
            let (one, two) = both();
            write(kind.join(&one.named("n"), &two));
        }
        "_named_store" => {
            let (one, two) = (source(b, "one"), source(b, "two"));
            write(kind.join(&one.named("n"), &two).materialized("s"));
        }
        "_of_sides" => {
            let one: Table = b.table("one").filter(|_, _| true);
            write(kind.join(&one, &b.table("two").map_values(|v| v)));
        }
        "_itself" => {
            let one = b.table("one");
            write(kind.join(&one, &one));
        }
        "_of_joins" => {
            let (one, two) = both();
            write(kind.join(&kind.join(&one, &two), &b.table("three")));
        }
        _ => return None,
    }
    Some(())
}

fn of_stream(b: &StreamsBuilder, name: &str) -> Option<()> {
    let (kind, shape) = Kind::of(name)?;
    let left = matches!(kind, Kind::Left);
    let (one, two) = (|| strings(b, "one"), || b.table::<Text, String>("two"));
    let rekeyed = || one().select_key(|_, v| v.clone());
    let join = |one: &KStream<Text, Text>, two: &Table| {
        stream_table_joins::join(left, one, two).to("out");
    };
    match shape {
        "" | "_optimised" => join(&one(), &two()),
        "_named" => join(&one().named("n"), &two()),
        "_repartitioned" => join(&rekeyed(), &two()),
        "_repartitioned_named" => {
            let (rekeyed, two) = (rekeyed(), two());
            let joined = Joined::with(&two).name("n");
            let text = |v: &Text, t: Option<&String>| pair(v.as_deref(), t.map(String::as_str));
            if left {
                rekeyed.left_join_table(joined, text).to("out");
            } else {
                rekeyed.join_table(joined, move |v, t| text(v, Some(t))).to("out");
            }
        }
        "_of_aggregation" => {
            let one = one();
            let table = strings(b, "two").group_by_key().reduce(|_, v| v, Materialized::new());
            if left {
                one.left_join_table(&table, |_, _| String::new()).to("out");
            } else {
                one.join_table(&table, |_, _| String::new()).to("out");
            }
        }
        "_of_sides" => {
            let one = one();
            join(&one, &two().filter(|_, _| true).map_values(|v| v));
        }
        _ => return None,
    }
    Some(())
}

/// What Kafka Streams refuses, and is built here: a topic that is read twice is one source.
pub(crate) const BUILT_HERE: &[(&str, &str)] = &[
    ("join_refused", "a_stream_and_a_table_of_one_topic"),
    ("join_refused", "two_tables_of_one_topic"),
];

/// What is refused there, and what is let through.
pub(crate) fn refused(b: &StreamsBuilder, case: &str) -> Option<()> {
    let named = Named::new("n");
    match case {
        "one_name_for_two_table_joins" => {
            let (one, two): (Table, Table) = (b.table("one"), b.table("two"));
            Kind::Inner.join(&one.named(named.clone()), &two);
            Kind::Left.join(&one.named(named), &two);
        }
        "one_name_for_two_stream_table_joins" => {
            let two: KTable<Text, String> = b.table("two");
            stream_table_joins::join(false, &strings(b, "one").named(named.clone()), &two);
            stream_table_joins::join(true, &strings(b, "one").named(named), &two);
        }
        "a_stream_and_a_table_of_one_topic" => {
            let table = b.table("one");
            stream_table_joins::join(false, &strings(b, "one"), &table).to("out");
        }
        "two_tables_of_one_topic" => {
            let one: Table = b.table("one");
            Kind::Inner.join(&one, &b.table("one")).to_stream().to("out");
        }
        _ => return None,
    }
    Some(())
}
