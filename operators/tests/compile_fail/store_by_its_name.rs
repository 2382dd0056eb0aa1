//! A store is no text.

use oncestream_core::Record;
use oncestream_core::error::BoxError;
use oncestream_operators::StreamsBuilder;
use oncestream_operators::processor::{Processor, ProcessorContext};

struct Nothing;

impl Processor for Nothing {
    type KeyIn = String;
    type ValueIn = i64;
    type KeyOut = ();
    type ValueOut = ();

    fn process(
        &mut self,
        _ctx: &mut ProcessorContext<'_, Self>,
        _record: Record<String, i64>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

fn main() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, i64>("in").process("sums", |_| Nothing);
}
