//! The inputs of a Java original and what it gave, from a file in `../data`: a demo feeds them, and a test
//! compares. `../originals/generate` writes the files.

use anyhow::Context;
use oncestream::prelude::*;

/// A record that went into the original, or came out of it.
pub(crate) struct Line<'a> {
    pub(crate) topic: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) value: &'a str,
    pub(crate) time: TimestampMs,
}

/// A record for the input of an example.
#[derive(Clone)]
pub(crate) struct Fed {
    pub(crate) key: Option<String>,
    pub(crate) value: String,
    pub(crate) time: TimestampMs,
}

impl Line<'_> {
    /// The same record, for an input.
    pub(crate) fn fed(&self) -> Fed {
        let key = self.key.map(str::to_owned);
        Fed { key, value: self.value.to_owned(), time: self.time }
    }
}

/// What went in (`in`), or what came out (`out`).
pub(crate) fn lines<'a>(data: &'a str, kind: &str) -> anyhow::Result<Vec<Line<'a>>> {
    let of_kind = data.lines().filter(|line| line.split('\t').next() == Some(kind));
    let line = |line: &'a str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, topic, key, value, time] = fields[..] else {
            return Err(anyhow::anyhow!("{line}: it has no five fields"));
        };
        let time = time.parse().with_context(|| format!("{line}: the last field is no time"))?;
        Ok(Line { topic, key: (key != "\\N").then_some(key), value, time })
    };
    of_kind.map(line).collect()
}

/// What a topology makes of an input is what the original gave, also with a crash after each record.
#[cfg(test)]
pub(crate) fn assert_same(
    topology: impl Fn() -> Topology,
    topics: (&str, &str),
    fed: &[Fed],
    data: &str,
) {
    use std::fmt::Write;

    let text = |bytes: &Vec<u8>| {
        if bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            return String::from_utf8(bytes.clone()).unwrap();
        }
        bytes.iter().fold(String::new(), |mut all, byte| {
            write!(all, "{byte:02x}").unwrap();
            all
        })
    };
    let expected: Vec<_> = lines(data, "out")
        .unwrap()
        .iter()
        .map(|line| (line.key.unwrap().to_owned(), line.value.to_owned(), line.time))
        .collect();
    assert!(!expected.is_empty());
    for crashes in [false, true] {
        let driver = oncestream_testkit::TopologyTestDriver::builder(topology());
        let mut driver = driver.cache_max_bytes(0).build().unwrap();
        let input = driver.input::<Option<String>, String>(topics.0);
        let mut output = driver.output::<Vec<u8>, Vec<u8>>(topics.1);
        for Fed { key, value, time } in fed.iter().cloned() {
            driver.pipe(&input, key, value, time).unwrap();
            if crashes {
                driver.crash();
                driver.recover().unwrap();
            }
        }
        let came = output.read_all().unwrap();
        let came: Vec<_> =
            came.iter().map(|r| (text(&r.key), text(&r.value), r.timestamp)).collect();
        assert_eq!(came, expected, "with a crash after each record: {crashes}");
    }
}
