//! A topology, described without what would run it on Kafka.

use oncestream::prelude::*;

/// Counts the words of `lines` into `counts`.
///
/// # Errors
/// The topology does not fit itself.
pub fn word_count() -> Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>("lines")
        .flat_map_values(|line| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("counts")
        .to_stream()
        .to("counts");
    builder.build()
}
