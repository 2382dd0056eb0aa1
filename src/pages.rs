//! The README and the pages under `docs/`, so that `cargo test` compiles each Rust block in them, and
//! runs those that are not marked `no_run`. Not part of any build.

macro_rules! pages {
    ($($page:ident: $path:literal,)*) => { $(#[doc = include_str!($path)] struct $page;)* };
}

pages! {
    Readme: "../README.md",
    Configuration: "../docs/configuration.md",
    ForeignKeys: "../docs/foreign-keys.md",
    GlobalTables: "../docs/global-tables.md",
    Joins: "../docs/joins.md",
    Deduplicate: "../docs/deduplicate.md",
    Optimization: "../docs/optimization.md",
    RecordsThatFail: "../docs/records-that-fail.md",
    Reset: "../docs/reset.md",
    TableJoins: "../docs/table-joins.md",
    Testing: "../docs/testing.md",
    TimeToLive: "../docs/time-to-live.md",
    VersionedTables: "../docs/versioned-tables.md",
    Windows: "../docs/windows.md",
}
