//! Types of the user's without a serde: read, written, kept and grouped.

use oncestream_operators::StreamsBuilder;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Order {
    item: String,
}

fn main() {
    let builder = StreamsBuilder::new();
    let orders = builder.stream::<String, Order>("orders");
    orders.to("out");
    orders.group_by(|_, order| order.clone());
    let items = builder.stream::<String, String>("items").group_by_key();
    items.aggregate(|| Order { item: String::new() }, |_, _, last| last, "last");
}
