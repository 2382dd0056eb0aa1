//! What is no processor.

use oncestream_operators::StreamsBuilder;

struct Sums;

fn main() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, i64>("in").process((), |()| Sums);
}
