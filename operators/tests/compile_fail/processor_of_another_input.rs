//! A processor of texts below a stream of numbers.

use oncestream_core::Record;
use oncestream_core::error::BoxError;
use oncestream_operators::StreamsBuilder;
use oncestream_operators::processor::{Processor, ProcessorContext};

struct Texts;

impl Processor for Texts {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = ();
    type ValueOut = ();

    fn process(
        &mut self,
        _ctx: &mut ProcessorContext<'_, Self>,
        _record: Record<String, String>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

fn main() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, i64>("in").process((), |()| Texts);
}
