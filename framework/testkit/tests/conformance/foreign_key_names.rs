//! What `ConformanceJoinNames.java` and `ConformanceJoinRefused.java` have of joins by a foreign key.
//!
//! Knows topologies; not how a case is compared.

use oncestream_operators::{StreamsBuilder, TableJoined};

use crate::foreign_keys::Kind;
use crate::functions::letter;
use crate::table_joins::Table;

/// Adds what a case describes, if it is here.
pub(crate) fn named(b: &StreamsBuilder, case: &str) -> Option<()> {
    let (kind, shape) = Kind::of(case)?;
    let write = |joined: Table| joined.to_stream().to("out");
    let one: Table = b.table("one");
    if shape == "_itself" {
        write(kind.join(&one, &one));
        return Some(());
    }
    let two: Table = b.table("two");
    let named = || kind.join_by(&one, TableJoined::with(&two).name("n"), |v| letter(Some(v)));
    match shape {
        "" | "_optimised" => write(kind.join(&one, &two)),
        "_named" => write(named()),
        "_store" => write(kind.join(&one, &two).materialized("joined")),
        "_named_store" => write(named().materialized("s")),
        "_in_a_row" => {
            let first = kind.join(&one, &two);
            write(kind.join(&first, &b.table("three")));
        }
        _ => return None,
    }
    Some(())
}

/// What is refused there.
pub(crate) fn refused(b: &StreamsBuilder, case: &str) -> Option<()> {
    if case != "one_name_for_two_foreign_key_joins" {
        return None;
    }
    let (one, two): (Table, Table) = (b.table("one"), b.table("two"));
    for kind in [Kind::Inner, Kind::Left] {
        kind.join_by(&one, TableJoined::with(&two).name("n"), |v| Some(v.to_owned()));
    }
    Some(())
}
