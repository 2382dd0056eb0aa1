//! A store by numbers, where the processor looks up texts.

use oncestream_core::Record;
use oncestream_core::error::BoxError;
use oncestream_operators::StreamsBuilder;
use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};

struct Sums {
    sums: StoreHandle<i64, i64>,
}

impl Processor for Sums {
    type KeyIn = String;
    type ValueIn = i64;
    type KeyOut = String;
    type ValueOut = i64;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<String, i64>,
    ) -> Result<(), BoxError> {
        self.sums.put(record.key.clone(), record.value)?;
        Ok(ctx.forward(record)?)
    }
}

fn main() {
    let builder = StreamsBuilder::new();
    let sums = builder.add_state_store("sums");
    builder.stream::<String, i64>("in").process(&sums, |sums| Sums { sums }).to("out");
}
