//! A value that cannot go to another thread.

use std::rc::Rc;

use oncestream_operators::StreamsBuilder;

fn main() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("in").map_values(Rc::new).for_each(|_, _| {});
}
