//! The topologies of `ConformanceStores.java` for window stores: an input's value is a command, and its
//! output shows the command and the store's answer.
//!
//! Knows topologies; not how a case is played. A handle on a store offers no way to read backwards, and none
//! of a range of keys: these commands are answered from what it offers, whose order they show as well.

use std::time::Duration;

use oncestream_core::error::BoxError;
use oncestream_core::serde::HasSerde;
use oncestream_core::state::{Window, WindowKey};
use oncestream_core::{Record, TimestampMs};
use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
use oncestream_operators::{Materialized, StreamsBuilder};

use crate::play::Setup;

/// How long a window is, in milliseconds.
const SIZE_MS: i64 = 10_000;
const RETENTION: Duration = Duration::from_secs(150);

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &str) -> Option<Setup> {
    let kind = match case {
        "window_store" => Window::new(RETENTION),
        "window_store_duplicates" => Window::new(RETENTION).retain_duplicates(),
        _ => return None,
    };
    let b = StreamsBuilder::new();
    let store = Materialized::of_kind("s", kind, String::serde(), String::serde());
    let store = b.add_state_store(store);
    b.stream::<String, String>("in").process(&store, |store| Answerer { store }).to("out");
    let setup = Setup::new(b.build().unwrap(), &["s"]);
    Some(Setup { window_ms: Some(SIZE_MS), without_time: &["s"], counts_dropped: false, ..setup })
}

/// Does what the value of a record says, and adds the answer to it.
struct Answerer {
    store: StoreHandle<String, String, Window>,
}

impl Processor for Answerer {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<String, String>,
    ) -> Result<(), BoxError> {
        let answer = self.answer(&record.key, &record.value)?;
        let told = format!("{} -> {answer}", record.value);
        Ok(ctx.forward(record.with_value(told))?)
    }
}

impl Answerer {
    fn answer(&self, key: &str, command: &str) -> Result<String, BoxError> {
        let (store, key) = (&self.store, key.to_owned());
        let words: Vec<&str> = command.split(' ').collect();
        let mut rows = match words[..] {
            ["put", start, value] => {
                store.put_at(key, start.parse()?, value.to_owned())?;
                return Ok("done".to_owned());
            }
            ["delete", start] => {
                store.put_at(key, start.parse()?, None)?;
                return Ok("done".to_owned());
            }
            ["get", start] => {
                let found = store.fetch(&key, start.parse()?)?;
                return Ok(found.unwrap_or_else(|| "null".to_owned()));
            }
            ["fetch" | "backwardFetch", from, to] => {
                let found = store.fetch_between(&key, from.parse()?..=to.parse()?)?;
                found.into_iter().map(|(start, value)| format!("{start}={value}")).collect()
            }
            ["range" | "backwardRange", least, greatest, from, to] => {
                let is_in = |key: &str| {
                    (least == "*" || key >= least) && (greatest == "*" || key <= greatest)
                };
                self.rows(from.parse()?, to.parse()?, is_in)?
            }
            ["fetchAll" | "backwardFetchAll", from, to] => {
                self.rows(from.parse()?, to.parse()?, |_| true)?
            }
            ["all" | "backwardAll"] => self.rows(0, TimestampMs::MAX, |_| true)?,
            _ => return Err(format!("no such command: {command}").into()),
        };
        if command.starts_with("backward") {
            rows.reverse();
        }
        Ok(rows.join(" "))
    }

    fn rows(
        &self,
        from: TimestampMs,
        to: TimestampMs,
        is_in: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, BoxError> {
        let all = self.store.fetch_all(from..=to)?.into_iter();
        let all = all.filter(|(window, _)| is_in(&window.key));
        Ok(all.map(|(window, value)| format!("{}={value}", shown(&window, SIZE_MS))).collect())
    }
}

/// A window as Java prints it.
pub(crate) fn shown(window: &WindowKey<String>, size_ms: i64) -> String {
    format!("[{}@{}/{}]", window.key, window.start, window.start + size_ms)
}
