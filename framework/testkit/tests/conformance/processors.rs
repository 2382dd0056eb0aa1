//! The topologies of `ConformanceProcessors.java`: processors with stores, and with schedules on both
//! clocks.
//!
//! Knows topologies; not how a case is played.

use std::time::Duration;

use oncestream_core::error::BoxError;
use oncestream_core::task::PunctuationType;
use oncestream_core::{Record, TimestampMs};
use oncestream_operators::StreamsBuilder;
use oncestream_operators::processor::{
    FixedKeyProcessor, FixedKeyProcessorContext, FixedKeyRecord, Processor, ProcessorContext,
    StoreHandle,
};

use crate::functions::{RESET, Text, join, show};
use crate::play::Setup;

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &str) -> Option<Setup> {
    let b = StreamsBuilder::new();
    match case {
        "processor_stores" => {
            stores(&b);
            let setup = Setup::new(b.build().unwrap(), &["seen", "counts"]);
            Some(Setup { without_time: &["seen"], ..setup })
        }
        "schedules" => {
            b.stream::<Text, Text>("in").process((), |()| Ticker { records: 0 }).to("out");
            Some(Setup { schedules: true, ..Setup::new(b.build().unwrap(), &[]) })
        }
        _ => None,
    }
}

fn stores(b: &StreamsBuilder) {
    let seen = b.add_state_store("seen");
    let input = b.stream::<Text, Text>("in");
    input.process(&seen, |seen| Joiner { seen }).to("out");
    input
        .process_values((), |()| Upper)
        .group_by_key()
        .count("counts")
        .to_stream()
        .map_values(show)
        .to("counts");
}

/// Joins what came for a key, and forwards it, and again with another time and one more header.
struct Joiner {
    seen: StoreHandle<String, String>,
}

impl Processor for Joiner {
    type KeyIn = Text;
    type ValueIn = Text;
    type KeyOut = Text;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<Text, Text>,
    ) -> Result<(), BoxError> {
        let Some(key) = record.key.clone() else { return Ok(()) };
        let value = record.value.as_deref();
        let all = join(self.seen.get(&key)?.as_deref(), value);
        if value == Some(RESET) {
            self.seen.delete(&key)?;
        } else {
            self.seen.put(key, all.clone())?;
        }
        ctx.forward(record.clone().with_value(all))?;
        let mut later = record.with_value("later".to_owned());
        later.timestamp += 100;
        later.headers.add("by", b"joiner".to_vec());
        ctx.forward(later)?;
        Ok(())
    }
}

/// Values only: the key stays, so nothing is repartitioned after it.
struct Upper;

impl FixedKeyProcessor for Upper {
    type Key = Text;
    type ValueIn = Text;
    type ValueOut = Text;

    fn process(
        &mut self,
        ctx: &mut FixedKeyProcessorContext<'_, Self>,
        record: FixedKeyRecord<Text, Text>,
    ) -> Result<(), BoxError> {
        let value = record.value.as_deref().map(str::to_uppercase);
        Ok(ctx.forward(record.with_value(value))?)
    }
}

/// Says when it is called, on both clocks, and how many records it has seen.
struct Ticker {
    records: usize,
}

type Context<'a> = ProcessorContext<'a, Ticker>;

impl Processor for Ticker {
    type KeyIn = Text;
    type ValueIn = Text;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, ctx: &mut Context<'_>) -> Result<(), BoxError> {
        let stream = |ticker: &mut Self, ctx: &mut Context<'_>, at| ticker.tell(ctx, "stream", at);
        ctx.schedule(Duration::from_millis(20), PunctuationType::StreamTime, stream);
        let wall = |ticker: &mut Self, ctx: &mut Context<'_>, at| ticker.tell(ctx, "wall", at);
        ctx.schedule(Duration::from_millis(100), PunctuationType::WallClockTime, wall);
        Ok(())
    }

    fn process(&mut self, _: &mut Context<'_>, _: Record<Text, Text>) -> Result<(), BoxError> {
        self.records += 1;
        Ok(())
    }
}

impl Ticker {
    fn tell(&self, ctx: &mut Context<'_>, clock: &str, at: TimestampMs) -> Result<(), BoxError> {
        Ok(ctx.forward(Record::new(clock.to_owned(), self.records.to_string(), at))?)
    }
}
