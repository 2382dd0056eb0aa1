//! What comes out of a topic, in the lines of the golden files.
//!
//! Knows the forms in which a case asks for keys and values, and the bytes of keys in windows as Kafka
//! Streams' deserializers read them; not the serdes that wrote them.

use std::fmt::Write;

use oncestream_core::{Header, Headers, Record, TimestampMs};
use oncestream_operators::Windowed;
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::TestOutput;

use crate::format::{Form, OutputTopic, Windows, untext};

type Bytes = Option<Vec<u8>>;

/// A topic as far as it was read.
pub(crate) struct Output<'a> {
    topic: &'a OutputTopic,
    records: TestOutput<Bytes, Bytes>,
}

impl<'a> Output<'a> {
    /// From its beginning.
    pub(crate) fn of(driver: &TopologyTestDriver, topic: &'a OutputTopic) -> Self {
        Self { topic, records: driver.output(&topic.name) }
    }

    /// The lines of what has come since the last call.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        let records = self.records.read_all().unwrap();
        records.iter().map(|record| line(self.topic, record)).collect()
    }
}

fn line(topic: &OutputTopic, record: &Record<Bytes, Bytes>) -> String {
    let (key, value) = (record.key.as_deref(), record.value.as_deref());
    let (key, value) = match topic.form {
        Form::Text => (key.map(decoded), value.map(decoded)),
        Form::Hex => (key.map(hex), value.map(hex)),
        Form::Windowed(windows) => (key.map(|key| windowed(key, windows)), value.map(decoded)),
    };
    let (key, value) = (untext(key.as_deref()), untext(value.as_deref()));
    let (topic, timestamp, headers) = (&topic.name, record.timestamp, pairs(&record.headers));
    format!("out\t{topic}\t{key}\t{value}\t{timestamp}\t{headers}")
}

fn decoded(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut all, byte| {
        write!(all, "{byte:02x}").unwrap();
        all
    })
}

/// A key in its window as Java prints it. Of a session the end is written before the start.
fn windowed(bytes: &[u8], windows: Windows) -> String {
    let (rest, start) = split_time(bytes);
    let (key, end) = match windows {
        Windows::Time(size_ms) => (rest, start.saturating_add(size_ms)),
        Windows::Session => split_time(rest),
    };
    Windowed { key: decoded(key), start, end }.to_string()
}

/// The last eight bytes as a time, and what is before them.
fn split_time(bytes: &[u8]) -> (&[u8], TimestampMs) {
    let (rest, time) = bytes.split_last_chunk().expect("a key in a window ends with a time");
    (rest, TimestampMs::from_be_bytes(*time))
}

fn pairs(headers: &Headers) -> String {
    let pair = |header: &Header| {
        let value = header.value.as_deref().map(String::from_utf8_lossy);
        format!("{}={}", header.key, untext(value.as_deref()))
    };
    headers.iter().map(pair).collect::<Vec<_>>().join(",")
}
