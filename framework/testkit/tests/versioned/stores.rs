//! Versioned stores in processors, and what is refused.

use std::time::Duration;

use oncestream_core::Record;
use oncestream_core::error::BoxError;
use oncestream_core::serde::HasSerde;
use oncestream_core::state::{VersionPut, Versioned};
use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
use oncestream_operators::{Joined, Materialized, StreamsBuilder};

use crate::{HISTORY, driver, set, texts, told, versioned};

struct Keeper(StoreHandle<String, String, Versioned>);

impl Processor for Keeper {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<String, String>,
    ) -> Result<(), BoxError> {
        let Record { key, value, timestamp, .. } = record;
        let said = match value.as_str() {
            "delete" => format!("{:?}", self.0.delete(key.clone(), timestamp)?.map(|v| v.value)),
            "get" => format!("{:?}", self.0.get(&key)?.map(|v| (v.value, v.valid_from))),
            "as of" => format!("{:?}", self.0.get_as_of(&key, timestamp)?.map(|v| v.valid_to)),
            "all" => format!("{}", self.0.versions(&key, 0..=timestamp)?.len()),
            _ => match self.0.put(key.clone(), value, timestamp)? {
                VersionPut::Newest => "newest".to_owned(),
                VersionPut::Older { valid_to } => format!("until {valid_to}"),
                VersionPut::Expired => "expired".to_owned(),
            },
        };
        ctx.forward(Record::new(key, said, timestamp))?;
        Ok(())
    }
}

#[test]
fn a_processor_writes_and_reads_versions() {
    let b = StreamsBuilder::new();
    let kind = Versioned::new(HISTORY);
    let store =
        b.add_state_store(Materialized::of_kind("own", kind, String::serde(), String::serde()));
    b.stream::<String, String>("in").process(&store, Keeper).to("out");
    // That of a table is the same kind.
    let table = versioned(&b, "table");
    b.stream::<String, String>("ask").process(&table.versioned_store(), Keeper).to("answers");
    let mut driver = driver(b);
    let script = [
        ("a", 100, "newest"),
        ("b", 50, "until 100"),
        ("delete", 70, "Some(\"b\")"),
        ("c", 60, "until 70"),
        ("as of", 55, "Some(Some(60))"),
        ("as of", 75, "None"),
        ("get", 0, "Some((\"a\", 100))"),
        ("all", 65, "2"),
        ("d", 150, "newest"),
        ("e", 49, "expired"),
    ];
    for (value, time, _) in script {
        set(&mut driver, "in", Some(value), time);
    }
    let said: Vec<_> = told(&driver, "out").into_iter().map(|(value, _)| value.unwrap()).collect();
    assert_eq!(said, script.map(|(_, _, said)| said));
    set(&mut driver, "table", Some("of the table"), 10);
    set(&mut driver, "ask", Some("get"), 20);
    assert_eq!(told(&driver, "answers"), texts([(Some("Some((\"of the table\", 10))"), 20)]));
}

fn refused(b: StreamsBuilder) -> String {
    b.build().unwrap_err().to_string()
}

#[test]
fn what_cannot_have_versions_is_refused_with_what_to_do() {
    let b = StreamsBuilder::new();
    let plain = b.table::<String, String>("table").materialized("plain");
    let grace = Joined::with(&plain).grace(Duration::from_millis(1)).name("n");
    b.stream::<String, String>("in").join_table(grace, |s, _| s.clone()).to("out");
    let error = refused(b);
    assert!(
        error.contains("the grace of `n`") && error.contains("Materialized::versioned"),
        "{error}"
    );

    let b = StreamsBuilder::new();
    let grace = Joined::with(&versioned(&b, "table")).grace(HISTORY + Duration::from_millis(1));
    b.stream::<String, String>("in").join_table(grace, |s, _| s.clone()).to("out");
    let error = refused(b);
    assert!(error.contains("a history of 100 ms") && error.contains("101 ms"), "{error}");

    let b = StreamsBuilder::new();
    let _ = versioned(&b, "table").store();
    let error = refused(b);
    assert!(error.contains("use versioned_store()"), "{error}");

    let b = StreamsBuilder::new();
    let _ = b.table::<String, String>("table").materialized("plain").versioned_store();
    assert!(refused(b).contains("use store()"));

    let b = StreamsBuilder::new();
    let both = Materialized::named("s").ttl(HISTORY).versioned(HISTORY);
    b.table::<String, String>("table").materialized(both);
    assert!(refused(b).contains("leave ttl() out"));

    let b = StreamsBuilder::new();
    let _ = b.add_state_store::<String, String, _>(Materialized::named("s").versioned(HISTORY));
    assert!(refused(b).contains("Materialized::of_kind"));
}
