//! The topologies of `ConformanceStores.java` for window stores: an input's value is a command, and its
//! output shows the command and the store's answer.
//!
//! Knows topologies; not how a case is played.

use std::time::Duration;

use oncestream_core::Record;
use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::HasSerde;
use oncestream_core::state::{Window, WindowKey};
use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
use oncestream_operators::{Materialized, StreamsBuilder};

use crate::format::Windows;
use crate::functions::Text;
use crate::play::Setup;
use crate::stores::end;

/// How long a window is, in milliseconds.
const SIZE_MS: i64 = 10_000;
const RETENTION: Duration = Duration::from_secs(150);

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &str) -> Option<Setup> {
    let duplicates = match case {
        "window_store" | "window_store_in_memory" => false,
        "window_store_duplicates" | "window_store_in_memory_duplicates" => true,
        _ => return None,
    };
    let kind = Window::new(RETENTION);
    let kind = if duplicates { kind.retain_duplicates() } else { kind };
    let b = StreamsBuilder::new();
    let store = Materialized::of_kind("s", kind, Text::serde(), String::serde());
    let store = b.add_state_store(store);
    b.stream::<Text, String>("in")
        .process(&store, move |store| Answerer { store, duplicates })
        .to("out");
    let setup = Setup::new(b.build().unwrap(), &["s"]).with_windows("s", Windows::Time(SIZE_MS));
    Some(Setup { without_time: &["s"], ..setup })
}

/// Does what the value of a record says, and adds the answer to it.
struct Answerer {
    store: StoreHandle<Text, String, Window>,
    duplicates: bool,
}

impl Processor for Answerer {
    type KeyIn = Text;
    type ValueIn = String;
    type KeyOut = Text;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<Text, String>,
    ) -> Result<(), BoxError> {
        let words: Vec<&str> = record.value.split(' ').collect();
        let answer = match self.put(&record.key, &words)? {
            Some(is_put) => {
                if !is_put {
                    ctx.drop_record(DropReason::LateRecord);
                }
                "done".to_owned()
            }
            None => self.answer(&record.key, &words)?,
        };
        let told = format!("{} -> {answer}", record.value);
        Ok(ctx.forward(record.with_value(told))?)
    }
}

impl Answerer {
    /// Whether a put is not too late; `None` for another command. Nothing is deleted from duplicates, so no
    /// record of that is dropped.
    fn put(&self, key: &Text, words: &[&str]) -> Result<Option<bool>, BoxError> {
        let (start, value) = match *words {
            ["put", start, value] => (start, Some(value.to_owned())),
            ["delete", start] => (start, None),
            _ => return Ok(None),
        };
        let is_nothing = value.is_none() && self.duplicates;
        Ok(Some(self.store.put_at(key.clone(), start.parse()?, value)? || is_nothing))
    }

    fn answer(&self, key: &Text, words: &[&str]) -> Result<String, BoxError> {
        let store = &self.store;
        let rows = match *words {
            ["get", start] => {
                let found = store.fetch(key, start.parse()?)?;
                return Ok(found.unwrap_or_else(|| "null".to_owned()));
            }
            ["fetch", from, to] => {
                return Ok(starts(store.fetch_between(key, from.parse()?..=to.parse()?)?));
            }
            ["backwardFetch", from, to] => {
                return Ok(starts(store.fetch_between_rev(key, from.parse()?..=to.parse()?)?));
            }
            ["range", least, greatest, from, to] => {
                store.fetch_range(&end(least), &end(greatest), from.parse()?..=to.parse()?)
            }
            ["backwardRange", least, greatest, from, to] => {
                store.fetch_range_rev(&end(least), &end(greatest), from.parse()?..=to.parse()?)
            }
            ["fetchAll", from, to] => store.fetch_all(from.parse()?..=to.parse()?),
            ["backwardFetchAll", from, to] => store.fetch_all_rev(from.parse()?..=to.parse()?),
            ["all"] => store.all(),
            ["backwardAll"] => store.all_rev(),
            _ => return Err(format!("no such command: {words:?}").into()),
        };
        rows_as_java(rows).map_err(Into::into)
    }
}

fn starts(found: Vec<(i64, String)>) -> String {
    let rows: Vec<String> =
        found.into_iter().map(|(start, value)| format!("{start}={value}")).collect();
    rows.join(" ")
}

/// Windows as Java prints them.
fn rows_as_java(
    found: Result<Vec<(WindowKey<Text>, String)>, TaskError>,
) -> Result<String, TaskError> {
    let shown = |(WindowKey { key, start, .. }, value): (WindowKey<Text>, String)| {
        format!("[{}@{start}/{}]={value}", key.unwrap_or_default(), start + SIZE_MS)
    };
    Ok(found?.into_iter().map(shown).collect::<Vec<_>>().join(" "))
}
