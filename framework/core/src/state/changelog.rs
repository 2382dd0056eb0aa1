//! How a store's rows go to its changelog.

use super::ChangelogTarget;
use crate::error::TaskError;
use crate::record::{Headers, TimestampMs};
use crate::task::{Collector, Origin, Outgoing};

/// The changelog partition of a store, if it has one.
pub(crate) struct ChangelogWriter {
    target: Option<ChangelogTarget>,
    /// Of each record that is not a tombstone.
    headers: Headers,
}

impl ChangelogWriter {
    pub(crate) fn new(target: Option<ChangelogTarget>) -> Self {
        Self { target, headers: Headers::new() }
    }

    /// Gives headers to each record that is not a tombstone.
    pub(crate) fn set_headers(&mut self, headers: Headers) {
        self.headers = headers;
    }

    pub(crate) fn target(&self) -> Option<&ChangelogTarget> {
        self.target.as_ref()
    }

    /// Sends what a row is from now on; `None` for one that is gone.
    pub(crate) fn write(
        &self,
        collector: &mut dyn Collector,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: TimestampMs,
    ) -> Result<(), TaskError> {
        static NONE: Headers = Headers::new();
        let Some(target) = &self.target else { return Ok(()) };
        let record = Outgoing {
            topic: &target.topic,
            partition: Some(target.partition),
            key: Some(key),
            value,
            timestamp,
            headers: if value.is_some() { &self.headers } else { &NONE },
            origin: Origin::Changelog(target.id),
        };
        let sent = collector.send(&record);
        sent.map_err(|source| TaskError::Send { topic: target.topic.to_string(), at: None, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::BoxError;
    use crate::record::Header;
    use crate::task::ChangelogId;

    #[derive(Default)]
    struct HeaderLog(Vec<Headers>);

    impl Collector for HeaderLog {
        fn send(&mut self, r: &Outgoing<'_>) -> Result<(), BoxError> {
            self.0.push(r.headers.clone());
            Ok(())
        }

        fn partition_count(&mut self, _topic: &str) -> Result<i32, BoxError> {
            Err("nobody asks".into())
        }
    }

    #[derive(Default)]
    struct Log(Vec<(String, Option<i32>, Vec<u8>, Option<Vec<u8>>, i64)>);

    impl Collector for Log {
        fn send(&mut self, r: &Outgoing<'_>) -> Result<(), BoxError> {
            let key = r.key.unwrap_or_default().to_vec();
            let value = r.value.map(<[u8]>::to_vec);
            self.0.push((r.topic.to_owned(), r.partition, key, value, r.timestamp));
            Ok(())
        }

        fn partition_count(&mut self, _topic: &str) -> Result<i32, BoxError> {
            Err("nobody asks".into())
        }
    }

    #[test]
    fn a_row_goes_to_the_partition_of_its_task_and_nowhere_without_a_changelog() {
        let target = ChangelogTarget { topic: "log".into(), partition: 3, id: ChangelogId(0) };
        let mut log = Log::default();
        let writer = ChangelogWriter::new(Some(target));
        writer.write(&mut log, b"k", Some(b"v"), 7).unwrap();
        writer.write(&mut log, b"k", None, 8).unwrap();
        ChangelogWriter::new(None).write(&mut log, b"k", None, 9).unwrap();
        let of = |value: Option<&[u8]>, time| {
            ("log".to_owned(), Some(3), b"k".to_vec(), value.map(<[u8]>::to_vec), time)
        };
        assert_eq!(log.0, [of(Some(b"v"), 7), of(None, 8)]);
    }

    #[test]
    fn a_row_has_the_headers_of_its_store_and_a_tombstone_has_none() {
        let target = ChangelogTarget { topic: "log".into(), partition: 0, id: ChangelogId(0) };
        let mut writer = ChangelogWriter::new(Some(target));
        writer.set_headers(Headers::from([Header::new("v", vec![3])]));
        let mut log = HeaderLog::default();
        writer.write(&mut log, b"k", Some(b"v"), 7).unwrap();
        writer.write(&mut log, b"k", None, 8).unwrap();
        assert_eq!(log.0, [Headers::from([Header::new("v", vec![3])]), Headers::new()]);
    }
}
