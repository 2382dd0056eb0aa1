//! The pictures of `docs/windows.md`: which windows the records at 12, 18 and 27 are in.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use oncestream_core::serde::{DynSerde, HasSerde};
use oncestream_operators::{
    EmitStrategy, KGroupedStream, KTable, Produced, SessionWindows, SlidingWindows, StreamsBuilder,
    TimeWindows, UnlimitedWindows, Windowed,
};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::TestOutput;

const PICTURED: [i64; 3] = [12, 18, 27];
const TEN: Duration = Duration::from_millis(10);

type Counts = KTable<Windowed<String>, i64>;

/// The records that came out, as start, end and count; 0 for a null.
fn read(output: &mut TestOutput<Windowed<String>, Option<i64>>) -> Vec<(i64, i64, i64)> {
    let records = output.read_all().unwrap();
    records.iter().map(|r| (r.key.start, r.key.end, r.value.unwrap_or(0))).collect()
}

fn driver(
    counts: impl Fn(&KGroupedStream<String, i64>) -> Counts,
    serde: &DynSerde<Windowed<String>>,
) -> (TopologyTestDriver, TestOutput<Windowed<String>, Option<i64>>) {
    let b = StreamsBuilder::new();
    let grouped = b.stream::<String, i64>("in").group_by_key();
    let out = Produced::with("out", serde.clone(), Option::<i64>::serde());
    counts(&grouped).to_stream().to(out);
    let driver = TopologyTestDriver::builder(b.build().unwrap()).cache_max_bytes(0);
    let driver = driver.build().unwrap();
    let output = driver.output_with("out", serde.clone(), Option::<i64>::serde());
    (driver, output)
}

fn pipe(driver: &mut TopologyTestDriver, times: &[i64]) {
    let input = driver.input::<String, i64>("in");
    for time in times {
        driver.pipe(&input, "a".to_owned(), 0, *time).unwrap();
    }
}

/// The last count of each window, by its start.
fn pictured(
    counts: impl Fn(&KGroupedStream<String, i64>) -> Counts,
    serde: &DynSerde<Windowed<String>>,
) -> Vec<(i64, i64, i64)> {
    let (mut driver, mut output) = driver(counts, serde);
    pipe(&mut driver, &PICTURED);
    let came = read(&mut output);
    let last = came.iter().map(|(start, end, count)| ((*start, *end), *count));
    let last: std::collections::BTreeMap<_, _> = last.collect();
    last.into_iter().map(|((start, end), count)| (start, end, count)).collect()
}

fn of_size(size: Duration) -> DynSerde<Windowed<String>> {
    Windowed::time_serde(String::serde(), size)
}

#[test]
fn each_kind_of_window_holds_what_its_picture_shows() {
    let time = TimeWindows::of_size_with_no_grace(TEN);
    let tumbling = pictured(|g| g.windowed_by(time).count("s"), &of_size(TEN));
    assert_eq!(tumbling, [(10, 20, 2), (20, 30, 1)]);

    let hopping = time.advance_by(TEN / 2);
    let hopping = pictured(|g| g.windowed_by(hopping).count("s"), &of_size(TEN));
    assert_eq!(hopping, [(5, 15, 1), (10, 20, 2), (15, 25, 1), (20, 30, 1), (25, 35, 1)]);

    let sliding = SlidingWindows::of_time_difference_with_no_grace(TEN);
    let sliding = pictured(|g| g.windowed_by(sliding).count("s"), &of_size(TEN));
    assert_eq!(sliding, [(2, 12, 1), (8, 18, 2), (13, 23, 1), (17, 27, 2), (19, 29, 1)]);

    let unlimited = UnlimitedWindows::of().start_on(15);
    let unlimited = pictured(|g| g.windowed_by(unlimited).count("s"), &of_size(Duration::MAX));
    assert_eq!(unlimited, [(15, i64::MAX, 2)]);
}

#[test]
fn sessions_merge_as_the_pictures_show_and_take_back_what_they_were() {
    let windows = SessionWindows::of_inactivity_gap_and_grace(
        Duration::from_millis(6),
        Duration::from_millis(20),
    );
    let serde = Windowed::session_serde(String::serde());
    let counts = |g: &KGroupedStream<String, i64>| g.windowed_by(windows).count("s");
    assert_eq!(pictured(counts, &serde), [(12, 12, 0), (12, 18, 2), (27, 27, 1)]);

    let (mut driver, mut output) = driver(counts, &serde);
    pipe(&mut driver, &PICTURED);
    read(&mut output);
    pipe(&mut driver, &[23]);
    assert_eq!(read(&mut output), [(12, 18, 0), (27, 27, 0), (12, 27, 4)]);
}

/// The tables of the page about late records and closed windows, at the last time that is not late and the
/// first that is.
#[test]
fn a_record_is_late_from_the_time_on_that_the_page_tells() {
    let grace = Duration::from_millis(5);
    // The newest time, and then a record of time 12.
    let dropped = |counts: &dyn Fn(&KGroupedStream<String, i64>) -> Counts, newest: i64| {
        let (mut driver, _) = driver(counts, &of_size(TEN));
        pipe(&mut driver, &[newest, 12]);
        driver.dropped_records()
    };
    let tumbling = TimeWindows::of_size_and_grace(TEN, grace);
    let counts = |g: &KGroupedStream<String, i64>| g.windowed_by(tumbling).count("s");
    assert_eq!((dropped(&counts, 24), dropped(&counts, 25)), (0, 1));

    let hopping = tumbling.advance_by(TEN / 2);
    let counts = |g: &KGroupedStream<String, i64>| g.windowed_by(hopping).count("s");
    assert_eq!([19, 20, 24, 25].map(|newest| dropped(&counts, newest)), [0, 1, 1, 2]);

    let sliding = SlidingWindows::of_time_difference_and_grace(TEN, grace);
    let counts = |g: &KGroupedStream<String, i64>| g.windowed_by(sliding).count("s");
    // The window that ends at the record has closed at 18; that of the newest record holds it up to 27.
    assert_eq!([17, 18, 27, 28].map(|newest| dropped(&counts, newest)), [0, 1, 1, 1]);

    let sessions = SessionWindows::of_inactivity_gap_and_grace(TEN, grace);
    let counts = |g: &KGroupedStream<String, i64>| g.windowed_by(sessions).count("s");
    assert_eq!((dropped(&counts, 27), dropped(&counts, 28)), (0, 1));

    let counts = |g: &KGroupedStream<String, i64>| g.windowed_by(UnlimitedWindows::of()).count("s");
    assert_eq!(dropped(&counts, i64::MAX / 2), 0);
}

#[test]
fn a_window_closes_at_the_time_that_the_page_tells() {
    let (grace, close) = (Duration::from_millis(5), EmitStrategy::on_window_close());
    // A record of time 12, and then the newest time, under another key.
    let closed = |counts: &dyn Fn(&KGroupedStream<String, i64>) -> Counts, newest: i64| {
        let (mut driver, mut output) = driver(counts, &Windowed::session_serde(String::serde()));
        pipe(&mut driver, &[12]);
        let input = driver.input::<String, i64>("in");
        driver.pipe(&input, "b".to_owned(), 0, newest).unwrap();
        read(&mut output).len()
    };
    let tumbling = TimeWindows::of_size_and_grace(TEN, grace);
    let counts =
        |g: &KGroupedStream<String, i64>| g.windowed_by(tumbling).emit_strategy(close).count("s");
    assert_eq!((closed(&counts, 24), closed(&counts, 25)), (0, 1));

    // The window that ends at the record, [2, 12].
    let sliding = SlidingWindows::of_time_difference_and_grace(TEN, grace);
    let counts =
        |g: &KGroupedStream<String, i64>| g.windowed_by(sliding).emit_strategy(close).count("s");
    assert_eq!((closed(&counts, 17), closed(&counts, 18)), (0, 1));

    let sessions = SessionWindows::of_inactivity_gap_and_grace(TEN, grace);
    let counts =
        |g: &KGroupedStream<String, i64>| g.windowed_by(sessions).emit_strategy(close).count("s");
    assert_eq!((closed(&counts, 27), closed(&counts, 28)), (0, 1));
}
