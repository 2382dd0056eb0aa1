//! What the topologies of windows share.
//!
//! Knows options of cases and serdes of keys in windows; no topology.

use std::time::Duration;

use oncestream_core::serde::HasSerde;
use oncestream_operators::{
    Data, KGroupedStream, KStream, Materialized, Produced, StreamsBuilder, Windowed,
};

use crate::format::{Case, Windows};
use crate::functions::{Text, join};

/// The records of the topic `in`, grouped by their keys.
pub(crate) fn grouped(b: &StreamsBuilder) -> KGroupedStream<Text, Text> {
    b.stream::<Text, Text>("in").group_by_key()
}

/// [`join`] as a reducer.
#[expect(clippy::unnecessary_wraps, reason = "a reducer gives what the values are")]
pub(crate) fn joined(all: Text, v: Text) -> Text {
    Some(join(all.as_deref(), v.as_deref()))
}

/// A store of this name, which keeps windows for as long as the case says.
pub(crate) fn kept<V: HasSerde>(name: &str, case: &Case) -> Materialized<Text, V> {
    let store = Materialized::named(name);
    match case.duration("retention") {
        Some(retention) => store.retention(retention),
        None => store,
    }
}

/// Writes a stream whose keys are in these windows.
pub(crate) fn write<V: Data + HasSerde>(
    stream: &KStream<Windowed<Text>, V>,
    topic: &str,
    windows: Windows,
) {
    let key = match windows {
        Windows::Time(size_ms) => {
            let size = Duration::from_millis(size_ms.unsigned_abs());
            Windowed::time_serde(Text::serde(), size)
        }
        Windows::Session => Windowed::session_serde(Text::serde()),
    };
    stream.to(Produced::with(topic, key, V::serde()));
}
