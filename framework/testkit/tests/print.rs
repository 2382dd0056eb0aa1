//! `print`: what is written, where to, and what happens if it cannot be written.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex};

use oncestream_core::handlers::LogAndContinue;
use oncestream_operators::{KStream, Printed, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;

/// A writer whose bytes the test sees.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes nothing.
struct Full;

impl Write for Full {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::Error::new(io::ErrorKind::StorageFull, "no room"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::StorageFull, "no room"))
    }
}

fn printing(print: impl Fn(&KStream<String, i64>)) -> TopologyTestDriver {
    let b = StreamsBuilder::new();
    print(&b.stream("in"));
    TopologyTestDriver::builder(b.build().unwrap())
        .processing_exception_handler(LogAndContinue::default())
        .partitions("in", 2)
        .build()
        .unwrap()
}

fn pipe(driver: &mut TopologyTestDriver, partition: i32, key: &str, value: i64) {
    let input = driver.input::<String, i64>("in").partition(partition);
    driver.pipe(&input, key.to_owned(), value, 0).unwrap();
}

#[test]
fn each_record_of_each_task_is_a_line_behind_its_label() {
    let (plain, labelled, formatted) = (Page::default(), Page::default(), Page::default());
    let mut driver = printing(|stream| {
        let doubled = stream.named("doubled").map_values(|n| n * 2);
        doubled.print(Printed::to_writer(plain.clone()));
        doubled.print(Printed::to_writer(labelled.clone()).label("twice"));
        let lines = Printed::to_writer(formatted.clone()).format(|key, n| format!("{key}={n}"));
        stream.filter(|_, n| *n > 1).print(lines.label("large"));
    });
    pipe(&mut driver, 0, "a", 1);
    pipe(&mut driver, 1, "b", 2);
    assert_eq!(plain.lines(), [r#"[doubled]: "a", 2"#, r#"[doubled]: "b", 4"#]);
    assert_eq!(labelled.lines(), [r#"[twice]: "a", 2"#, r#"[twice]: "b", 4"#]);
    assert_eq!(formatted.lines(), ["[large]: b=2"]);
}

#[test]
fn what_is_buffered_is_there_when_its_records_are_committed() {
    let page = Page::default();
    let written = page.clone();
    let b = StreamsBuilder::new();
    let stream: KStream<String, i64> = b.stream("in");
    stream.print(Printed::to_writer(BufWriter::new(written)).label("in"));
    let driver = TopologyTestDriver::builder(b.build().unwrap()).commit_interval_ms(1_000);
    let mut driver = driver.build().unwrap();
    pipe(&mut driver, 0, "a", 1);
    assert!(page.lines().is_empty());
    driver.commit_all().unwrap();
    assert_eq!(page.lines(), [r#"[in]: "a", 1"#]);
}

#[test]
fn the_processing_handler_is_asked_about_a_line_that_cannot_be_written() {
    let mut driver = printing(|stream| {
        stream.print(Printed::to_writer(Full));
        stream.to("out");
    });
    pipe(&mut driver, 0, "a", 1);
    assert_eq!(driver.dropped_records(), 1);
    assert_eq!(driver.topic("out").len(), 1, "other branches have the record all the same");
}
