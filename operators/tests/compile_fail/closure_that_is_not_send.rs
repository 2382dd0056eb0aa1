//! A function that only one thread may call.

use std::cell::Cell;
use std::rc::Rc;

use oncestream_operators::StreamsBuilder;

fn main() {
    let seen = Rc::new(Cell::new(0));
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, i64>("in")
        .filter(move |_, _| {
            seen.set(seen.get() + 1);
            seen.get() > 10
        })
        .to("out");
}
