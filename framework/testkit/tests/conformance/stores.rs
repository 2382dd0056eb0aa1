//! The topologies of `ConformanceStores.java` for stores of keys and values: an input's value is a command,
//! and its output shows the command and the store's answer.
//!
//! Knows topologies; not how a case is played. A store here offers no way to read backwards, and none by
//! prefix: these commands are answered from `range` and `all`, whose order they show as well.

use oncestream_core::Record;
use oncestream_core::error::{BoxError, TaskError};
use oncestream_operators::StreamsBuilder;
use oncestream_operators::processor::{Entries, Processor, ProcessorContext, StoreHandle};

use crate::functions::Text;
use crate::play::Setup;

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &str) -> Option<Setup> {
    if !matches!(case, "key_value_store" | "key_value_store_in_memory") {
        return None;
    }
    let b = StreamsBuilder::new();
    let store = b.add_state_store("s");
    b.stream::<Text, String>("in").process(&store, |store| Answerer { store }).to("out");
    Some(Setup { without_time: &["s"], ..Setup::new(b.build().unwrap(), &["s"]) })
}

/// Does what the value of a record says, and adds the answer to it.
struct Answerer {
    store: StoreHandle<Text, String>,
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
        let answer = self.answer(&record.key, &record.value)?;
        let told = format!("{} -> {answer}", record.value);
        Ok(ctx.forward(record.with_value(told))?)
    }
}

impl Answerer {
    fn answer(&self, key: &Text, command: &str) -> Result<String, BoxError> {
        let store = &self.store;
        let words: Vec<&str> = command.split(' ').collect();
        Ok(match words[..] {
            ["put", value] => {
                store.put(key.clone(), value.to_owned())?;
                "done".to_owned()
            }
            ["putIfAbsent", value] => or_null(store.put_if_absent(key.clone(), value.to_owned())?),
            ["delete"] => or_null(store.delete(key)?),
            ["get"] => or_null(store.get(key)?),
            ["range", from, to] => rows(store.range(&end(from), &end(to)), false, "")?,
            ["reverseRange", from, to] => rows(store.range(&end(from), &end(to)), true, "")?,
            ["prefixScan", prefix] => rows(store.all(), false, prefix)?,
            ["all"] => rows(store.all(), false, "")?,
            ["reverseAll"] => rows(store.all(), true, "")?,
            _ => return Err(format!("no such command: {command}").into()),
        })
    }
}

/// As Java prints a null within a text.
fn or_null(value: Text) -> String {
    value.unwrap_or_else(|| "null".to_owned())
}

/// The end of a range; `*` is an open one.
pub(crate) fn end(key: &str) -> Text {
    (key != "*").then(|| key.to_owned())
}

fn rows(
    entries: Entries<Text, String>,
    backwards: bool,
    prefix: &str,
) -> Result<String, TaskError> {
    let mut rows = Vec::new();
    for entry in entries {
        let (key, value) = entry?;
        let key = key.unwrap_or_default();
        if key.starts_with(prefix) {
            rows.push(format!("{key}={value}"));
        }
    }
    if backwards {
        rows.reverse();
    }
    Ok(rows.join(" "))
}
