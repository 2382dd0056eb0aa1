//! A key that has no hash.

use oncestream_operators::StreamsBuilder;

fn main() {
    let builder = StreamsBuilder::new();
    builder.stream::<f64, i64>("in").group_by_key().count("counts");
}
