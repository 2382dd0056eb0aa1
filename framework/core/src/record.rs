//! A record as it travels through a topology: typed key and value, event time, headers.
//!
//! Knows nothing of Kafka's wire format. Headers cost one pointer when a record has none, and
//! are shared, not copied, when a record is cloned at a fan-out.

use std::sync::Arc;

/// Milliseconds since the Unix epoch, as in Kafka. Negative means "no timestamp".
pub type TimestampMs = i64;

/// One record: what an operator receives and forwards.
///
/// ```
/// use oncestream_core::Record;
/// let record = Record::new("user-1".to_owned(), 7_i64, 1_000);
/// assert_eq!(record.map_value(|v| v + 1).value, 8);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<K, V> {
    /// The key. An `Option` where it may be null.
    pub key: K,
    /// The value. An `Option` where it may be null.
    pub value: V,
    /// Event time.
    pub timestamp: TimestampMs,
    /// Headers, in the order they were added.
    pub headers: Headers,
}

impl<K, V> Record<K, V> {
    /// A record without headers.
    pub fn new(key: K, value: V, timestamp: TimestampMs) -> Self {
        Self { key, value, timestamp, headers: Headers::default() }
    }

    /// The same record with another value.
    pub fn with_value<V2>(self, value: V2) -> Record<K, V2> {
        Record { key: self.key, value, timestamp: self.timestamp, headers: self.headers }
    }

    /// The same record with another key.
    pub fn with_key<K2>(self, key: K2) -> Record<K2, V> {
        Record { key, value: self.value, timestamp: self.timestamp, headers: self.headers }
    }

    /// The same record with its value replaced by `f(value)`.
    pub fn map_value<V2>(self, f: impl FnOnce(V) -> V2) -> Record<K, V2> {
        Record {
            key: self.key,
            value: f(self.value),
            timestamp: self.timestamp,
            headers: self.headers,
        }
    }
}

/// One header. A null value is allowed, as in Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name; names may repeat.
    pub key: String,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

/// The headers of a record; cheap to clone.
///
/// ```
/// use oncestream_core::Headers;
/// let mut headers = Headers::default();
/// headers.add("trace", Some(b"42".to_vec()));
/// assert_eq!(headers.last("trace"), Some(&b"42"[..]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Option<Arc<Vec<Header>>>);

impl Headers {
    /// Appends a header.
    pub fn add(&mut self, key: impl Into<String>, value: Option<Vec<u8>>) {
        let list = self.0.get_or_insert_with(Arc::default);
        Arc::make_mut(list).push(Header { key: key.into(), value });
    }

    /// Removes every header of that name.
    pub fn remove(&mut self, key: &str) {
        if let Some(list) = &mut self.0 {
            Arc::make_mut(list).retain(|h| h.key != key);
        }
    }

    /// The value of the last header of that name, if it is there and not null.
    pub fn last(&self, key: &str) -> Option<&[u8]> {
        self.iter().rev().find(|h| h.key == key).and_then(|h| h.value.as_deref())
    }

    /// All headers, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.as_deref().map_or(&[][..], Vec::as_slice).iter()
    }

    /// True when there is no header.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|l| l.is_empty())
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(iter: I) -> Self {
        let list: Vec<Header> = iter.into_iter().collect();
        Self(if list.is_empty() { None } else { Some(Arc::new(list)) })
    }
}

/// Where a record came from. Absent while caches flush and in punctuations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordMetadata {
    /// The source topic.
    pub topic: Arc<str>,
    /// The source partition.
    pub partition: i32,
    /// The offset in that partition.
    pub offset: i64,
}
