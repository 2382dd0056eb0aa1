//! The topologies of `ConformanceClosing.java`: windows that emit when they close.
//!
//! Knows topologies; not how a case is played. A case's options say all: which windows, how long they are
//! kept, and how often is looked for closed ones. Kafka Streams' test driver looks with each record where a
//! case says nothing, unlike Kafka Streams; so the cases `_each_second` do.

use std::time::Duration;

use oncestream_operators::{EmitStrategy, StreamsBuilder};

use crate::format::{Case, Windows};
use crate::functions::Text;
use crate::play::Setup;
use crate::windowed::{grouped, joined, kept, write};
use crate::{session_windows, sliding_windows, time_windows};

/// The least time between two looks, in milliseconds.
const INTERVAL: &str = "__emit.interval.ms.kstreams.windowed.aggregation__";

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &Case) -> Option<Setup> {
    let interval = case.duration(INTERVAL).unwrap_or_default();
    let close = EmitStrategy::on_window_close().at_most_every(interval);
    let b = StreamsBuilder::new();
    let windows = if case.option("size").is_some() {
        time(&b, case, close)
    } else if case.option("difference").is_some() {
        sliding(&b, case, close)
    } else if case.option("gap").is_some() {
        session(&b, case, close)
    } else {
        return None;
    };
    let setup = Setup::new(b.build().unwrap(), &["reduced"]).with_windows("reduced", windows);
    // An interval begins anew with its task, in Kafka Streams too.
    Some(Setup { schedules: interval > Duration::ZERO, ..setup })
}

fn time(b: &StreamsBuilder, case: &Case, close: EmitStrategy) -> Windows {
    let windowed = grouped(b).windowed_by(time_windows::windows(case)).emit_strategy(close);
    let keys = time_windows::keys(case);
    write(&windowed.reduce(joined, kept::<Text>("reduced", case)).to_stream(), "out", keys);
    keys
}

fn sliding(b: &StreamsBuilder, case: &Case, close: EmitStrategy) -> Windows {
    let windowed = grouped(b).windowed_by(sliding_windows::windows(case)).emit_strategy(close);
    let keys = sliding_windows::keys(case);
    write(&windowed.reduce(joined, kept::<Text>("reduced", case)).to_stream(), "out", keys);
    keys
}

fn session(b: &StreamsBuilder, case: &Case, close: EmitStrategy) -> Windows {
    let windowed = grouped(b).windowed_by(session_windows::windows(case)).emit_strategy(close);
    write(
        &windowed.reduce(joined, kept::<Text>("reduced", case)).to_stream(),
        "out",
        Windows::Session,
    );
    Windows::Session
}
