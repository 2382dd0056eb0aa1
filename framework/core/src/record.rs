//! A record as it travels through a topology: typed key and value, event time, headers.
//!
//! Knows nothing of Kafka's wire format. Headers cost one pointer when a record has none, and
//! are shared, not copied, when a record is cloned at a fan-out.

use std::fmt;
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

    /// The same record with these headers in place of its own.
    ///
    /// ```
    /// use oncestream_core::{Header, Record};
    /// let record = Record::new("k", 1, 0).with_headers([Header::new("trace", b"42".to_vec())]);
    /// assert_eq!(record.headers.len(), 1);
    /// ```
    #[must_use]
    pub fn with_headers(self, headers: impl IntoIterator<Item = Header>) -> Self {
        Self { headers: headers.into_iter().collect(), ..self }
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
///
/// ```
/// use oncestream_core::Header;
/// let trace = Header::new("trace", b"42".to_vec());
/// let nothing = Header::new("nothing", None);
/// assert_eq!(format!("{trace:?} {nothing:?}"), r#"trace=b"42" nothing=null"#);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name; names may repeat.
    pub key: String,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

impl Header {
    /// A header; `None` is a null.
    pub fn new(name: impl Into<String>, value: impl Into<Option<Vec<u8>>>) -> Self {
        Self { key: name.into(), value: value.into() }
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}=b\"{}\"", self.key, value.escape_ascii()),
            None => write!(f, "{}=null", self.key),
        }
    }
}

/// The headers of a record, in the order they were added; cheap to clone.
///
/// ```
/// use oncestream_core::{Header, Headers};
/// let mut headers = Headers::from([Header::new("trace", b"41".to_vec())]);
/// headers.add("trace", b"42".to_vec());
/// headers.add("nothing", None);
/// assert_eq!(headers.last("trace"), Some(&b"42"[..]));
/// assert_eq!(headers.all("trace").count(), 2);
/// assert!(headers.last("nothing").is_none() && headers.last_header("nothing").is_some());
/// headers.remove("trace");
/// let names: Vec<&str> = headers.iter().map(|header| header.key.as_str()).collect();
/// assert_eq!(names, ["nothing"]);
/// ```
#[derive(Clone, Default)]
pub struct Headers(Option<Arc<Vec<Header>>>);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Appends a header; `None` is a null.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<Option<Vec<u8>>>) {
        self.extend([Header::new(name, value)]);
    }

    /// Removes every header of that name.
    pub fn remove(&mut self, name: &str) {
        if self.last_header(name).is_none() {
            return;
        }
        if let Some(list) = &mut self.0 {
            Arc::make_mut(list).retain(|h| h.key != name);
        }
    }

    /// The value of the last header of that name, if it is there and not null.
    pub fn last(&self, name: &str) -> Option<&[u8]> {
        self.last_header(name).and_then(|h| h.value.as_deref())
    }

    /// The last header of that name.
    pub fn last_header(&self, name: &str) -> Option<&Header> {
        self.iter().rev().find(|h| h.key == name)
    }

    /// The headers of that name, oldest first.
    pub fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a Header> {
        self.iter().filter(move |h| h.key == name)
    }

    /// All headers, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.as_deref().map_or(&[][..], Vec::as_slice).iter()
    }

    /// How many headers there are.
    pub fn len(&self) -> usize {
        self.iter().len()
    }

    /// True when there is no header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// By what is in them: a list that has become empty is no headers.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other)
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
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

impl<const N: usize> From<[Header; N]> for Headers {
    fn from(headers: [Header; N]) -> Self {
        headers.into_iter().collect()
    }
}

impl Extend<Header> for Headers {
    fn extend<I: IntoIterator<Item = Header>>(&mut self, iter: I) {
        let list = self.0.get_or_insert_with(Arc::default);
        Arc::make_mut(list).extend(iter);
    }
}

/// Where a record came from. Absent while caches flush and in punctuations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RecordMetadata {
    /// The source topic.
    pub topic: Arc<str>,
    /// The source partition.
    pub partition: i32,
    /// The offset in that partition.
    pub offset: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_were_removed_leave_no_trace() {
        let mut headers = Headers::from([Header::new("a", None)]);
        headers.remove("a");
        assert_eq!(headers, Headers::new());
        assert_ne!(headers, Headers::from([Header::new("a", None)]));
    }

    #[test]
    fn a_clone_does_not_see_what_is_added_later() {
        let mut headers = Headers::from([Header::new("a", None)]);
        let before = headers.clone();
        headers.add("b", b"1".to_vec());
        assert_eq!((before.len(), headers.len()), (1, 2));
    }
}
