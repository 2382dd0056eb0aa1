//! The topologies of `ConformanceStores.java` for session stores: an input's value is a command, and its
//! output shows the command and the store's answer.
//!
//! Knows topologies; not how a case is played.

use std::time::Duration;

use oncestream_core::Record;
use oncestream_core::error::BoxError;
use oncestream_core::handlers::DropReason;
use oncestream_core::serde::HasSerde;
use oncestream_core::state::{Session, SessionKey};
use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
use oncestream_operators::{Materialized, StreamsBuilder};

use crate::format::Windows;
use crate::functions::Text;
use crate::play::Setup;
use crate::stores::end;

const RETENTION: Duration = Duration::from_secs(150);

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &str) -> Option<Setup> {
    if !matches!(case, "session_store" | "session_store_in_memory") {
        return None;
    }
    let b = StreamsBuilder::new();
    let kind = Session::new(RETENTION);
    let store = b.add_state_store(Materialized::of_kind("s", kind, Text::serde(), String::serde()));
    b.stream::<Text, String>("in").process(&store, |store| Answerer { store }).to("out");
    Some(Setup::new(b.build().unwrap(), &["s"]).with_windows("s", Windows::Session))
}

/// Does what the value of a record says, and adds the answer to it.
struct Answerer {
    store: StoreHandle<Text, String, Session>,
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
    /// Whether a put is not too late; `None` for another command. As in Kafka Streams, a removal that comes
    /// too late is not counted.
    fn put(&self, key: &Text, words: &[&str]) -> Result<Option<bool>, BoxError> {
        let session = |start: &str, end: &str| -> Result<SessionKey<Text>, BoxError> {
            Ok(SessionKey { key: key.clone(), start: start.parse()?, end: end.parse()? })
        };
        Ok(match *words {
            ["put", start, end, value] => {
                Some(self.store.put(session(start, end)?, value.to_owned())?)
            }
            ["remove", start, end] => {
                self.store.remove(session(start, end)?)?;
                Some(true)
            }
            _ => None,
        })
    }

    fn answer(&self, key: &Text, words: &[&str]) -> Result<String, BoxError> {
        let store = &self.store;
        let rows = match *words {
            ["fetchSession", start, end] => {
                let found = store.fetch_session(key, start.parse()?, end.parse()?)?;
                return Ok(found.unwrap_or_else(|| "null".to_owned()));
            }
            ["fetch"] => store.fetch(key),
            ["backwardFetch"] => store.fetch_rev(key),
            ["fetchRange", from, to] => store.fetch_range(&end(from), &end(to)),
            ["backwardFetchRange", from, to] => store.fetch_range_rev(&end(from), &end(to)),
            ["find", earliest, latest] => {
                store.find_sessions(key, earliest.parse()?, latest.parse()?)
            }
            ["backwardFind", earliest, latest] => {
                store.find_sessions_rev(key, earliest.parse()?, latest.parse()?)
            }
            ["findRange", from, to, earliest, latest] => {
                let (earliest, latest) = (earliest.parse()?, latest.parse()?);
                store.find_sessions_range(&end(from), &end(to), earliest, latest)
            }
            _ => return Err(format!("no such command: {words:?}").into()),
        };
        let shown = |(SessionKey { key, start, end }, value): (SessionKey<Text>, String)| {
            format!("[{}@{start}/{end}]={value}", key.unwrap_or_default())
        };
        Ok(rows?.into_iter().map(shown).collect::<Vec<_>>().join(" "))
    }
}
