//! What waits in a buffer for one key, and its bytes, which are those of Kafka Streams' `BufferValue`
//! (version 3 of the format, told by a header of the changelog's records).
//!
//! ```text
//! time 8 | offset 8 | topic | partition 4 | headers: count 4, each name and value
//! value before | old value | new value | buffer time 8
//! ```
//!
//! A text or a value is its length (4 bytes, big-endian; -1 for a null) and its bytes; an old value that
//! equals the value before is the length -2 alone.

use std::sync::Arc;

use oncestream_core::serde::{DeserializeContext, DynSerde, Serde, SerdeError, SerializeContext};
use oncestream_core::{Header, Headers, TimestampMs};

const NULL: i32 = -1;
const SAME_AS_BEFORE: i32 = -2;
/// The size of everything but texts, headers and values, in memory as Kafka Streams counts it: a time,
/// an offset and a partition.
const CONTEXT_LEN: u64 = 8 + 8 + 4;

/// Where the last update of a key came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    /// -1 for an update out of a cache, which does not know it any more.
    pub(crate) offset: i64,
}

/// What waits for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry<V> {
    /// Its place in the buffer: the time of its first update, or the end of its window.
    pub(crate) place: TimestampMs,
    /// The time of its last update.
    pub(crate) timestamp: TimestampMs,
    /// The headers of its last update.
    pub(crate) headers: Headers,
    pub(crate) origin: Origin,
    /// What was before the first update: what was emitted last.
    pub(crate) before: Option<V>,
    /// What was before the last update. Kafka Streams emits it; here it is only written, and counted.
    pub(crate) old: Option<V>,
    pub(crate) new: Option<V>,
    /// What it takes in bytes beside its key; 0 where nobody counts. It is not written.
    pub(crate) size: u64,
}

/// The serde of an entry, around that of its values.
pub(crate) struct EntrySerde<V>(pub(crate) DynSerde<V>);

impl<V> EntrySerde<V> {
    /// The size of an entry beside its key, as Kafka Streams counts it.
    pub(crate) fn size(
        &self,
        ctx: &mut SerializeContext<'_>,
        entry: &Entry<V>,
        scratch: &mut Vec<u8>,
    ) -> Result<u64, SerdeError> {
        scratch.clear();
        let values = self.write_values(ctx, entry, scratch)?;
        Ok(8 + values + CONTEXT_LEN + texts(entry))
    }

    /// Writes the three values; the bytes of the values alone.
    fn write_values(
        &self,
        ctx: &mut SerializeContext<'_>,
        entry: &Entry<V>,
        out: &mut Vec<u8>,
    ) -> Result<u64, SerdeError> {
        let start = out.len();
        let before = self.write_value(ctx, entry.before.as_ref(), out)?;
        let old = self.write_value(ctx, entry.old.as_ref(), out)?;
        if entry.old.is_some() && out[before] == out[old.clone()] {
            out.truncate(old.start);
            write_length(SAME_AS_BEFORE, out);
        }
        self.write_value(ctx, entry.new.as_ref(), out)?;
        Ok((out.len() - start - 3 * size_of::<i32>()) as u64)
    }

    /// Writes a value with its length in front; where both lie.
    fn write_value(
        &self,
        ctx: &mut SerializeContext<'_>,
        value: Option<&V>,
        out: &mut Vec<u8>,
    ) -> Result<std::ops::Range<usize>, SerdeError> {
        let start = out.len();
        write_length(NULL, out);
        if let Some(value) = value {
            let at = out.len();
            self.0.serialize_in(ctx, value, out)?;
            let length = length_of::<V>(out.len() - at)?;
            out[start..at].copy_from_slice(&length.to_be_bytes());
        }
        Ok(start..out.len())
    }
}

/// The characters of topic and header names, as Java counts them, and the bytes of header values.
fn texts<V>(entry: &Entry<V>) -> u64 {
    let chars = |text: &str| text.encode_utf16().count();
    let headers = entry.headers.iter();
    let of_headers = headers.map(|h| chars(&h.key) + h.value.as_ref().map_or(0, Vec::len));
    (chars(&entry.origin.topic) + of_headers.sum::<usize>()) as u64
}

fn length_of<V>(length: usize) -> Result<i32, SerdeError> {
    i32::try_from(length).map_err(|_| SerdeError::format::<Entry<V>>("too long"))
}

fn write_length(length: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&length.to_be_bytes());
}

fn write_bytes<V>(bytes: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    write_length(bytes.map_or(Ok(NULL), |bytes| length_of::<V>(bytes.len()))?, out);
    out.extend_from_slice(bytes.unwrap_or_default());
    Ok(())
}

impl<V> Serde<Entry<V>> for EntrySerde<V> {
    fn serialize(&self, value: &Entry<V>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.serialize_in(&mut SerializeContext::nowhere(), value, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Entry<V>, SerdeError> {
        self.deserialize_in(&DeserializeContext::nowhere(), bytes)
    }

    fn serialize_in(
        &self,
        ctx: &mut SerializeContext<'_>,
        entry: &Entry<V>,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError> {
        out.extend_from_slice(&entry.timestamp.to_be_bytes());
        out.extend_from_slice(&entry.origin.offset.to_be_bytes());
        write_bytes::<V>(Some(entry.origin.topic.as_bytes()), out)?;
        out.extend_from_slice(&entry.origin.partition.to_be_bytes());
        write_length(length_of::<V>(entry.headers.len())?, out);
        for Header { key, value } in &entry.headers {
            write_bytes::<V>(Some(key.as_bytes()), out)?;
            write_bytes::<V>(value.as_deref(), out)?;
        }
        self.write_values(ctx, entry, out)?;
        out.extend_from_slice(&entry.place.to_be_bytes());
        Ok(())
    }

    fn deserialize_in(
        &self,
        ctx: &DeserializeContext<'_>,
        bytes: &[u8],
    ) -> Result<Entry<V>, SerdeError> {
        let mut rest = Reader(bytes);
        let (timestamp, offset) = (rest.long()?, rest.long()?);
        let (topic, partition) = (rest.text()?.into(), rest.int()?);
        let mut headers = Vec::new();
        for _ in 0..rest.int()? {
            let (name, value) = (rest.text()?, rest.bytes()?);
            headers.push(Header::new(name, value.map(<[u8]>::to_vec)));
        }
        let value =
            |bytes: Option<&[u8]>| bytes.map(|bytes| self.0.deserialize_in(ctx, bytes)).transpose();
        let before = rest.bytes()?;
        let (old, kept) = if rest.clone().int()? == SAME_AS_BEFORE {
            rest.int()?;
            (before, 0)
        } else {
            let old = rest.bytes()?;
            (old, old.map_or(0, <[u8]>::len))
        };
        let (new, place) = (rest.bytes()?, rest.long()?);
        let length = |value: Option<&[u8]>| value.map_or(0, <[u8]>::len);
        let values = length(before) + kept + length(new);
        let mut entry = Entry {
            place,
            timestamp,
            headers: headers.into_iter().collect(),
            origin: Origin { topic, partition, offset },
            before: value(before)?,
            old: value(old)?,
            new: value(new)?,
            size: 0,
        };
        entry.size = 8 + values as u64 + CONTEXT_LEN + texts(&entry);
        Ok(entry)
    }
}

/// Bytes that end before what they begin.
struct CutOff;

impl From<CutOff> for SerdeError {
    fn from(_: CutOff) -> Self {
        Self::format::<Entry<()>>("what waits for a key is cut off")
    }
}

/// Reads what was written.
#[derive(Clone)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], CutOff> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CutOff)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn long(&mut self) -> Result<i64, CutOff> {
        self.take().map(i64::from_be_bytes)
    }

    fn int(&mut self) -> Result<i32, CutOff> {
        self.take().map(i32::from_be_bytes)
    }

    /// Bytes with their length in front, or a null.
    fn bytes(&mut self) -> Result<Option<&'a [u8]>, CutOff> {
        let length = self.int()?;
        if length == NULL {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| CutOff)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CutOff)?;
        self.0 = rest;
        Ok(Some(taken))
    }

    fn text(&mut self) -> Result<&'a str, CutOff> {
        std::str::from_utf8(self.bytes()?.ok_or(CutOff)?).map_err(|_| CutOff)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use oncestream_core::serde::HasSerde;

    use super::*;

    fn entry(before: Option<&str>, old: Option<&str>, new: Option<&str>) -> Entry<String> {
        Entry {
            place: 0x0000_018b_cfe5_683e,
            timestamp: 0x0000_018b_cfe5_683e,
            headers: Headers::new(),
            origin: Origin { topic: "in".into(), partition: 0, offset: 3 },
            before: before.map(str::to_owned),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
            size: 0,
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut all, byte| {
            write!(all, "{byte:02x}").unwrap();
            all
        })
    }

    /// Three lines of `suppress_changelog` in the golden files, which Kafka Streams printed.
    #[test]
    fn the_bytes_are_those_of_kafka_streams() {
        let serde = EntrySerde(String::serde());
        let mut out = Vec::new();
        serde.serialize(&entry(None, Some("a"), Some("af")), &mut out).unwrap();
        let head = "0000018bcfe5683e000000000000000300000002696e00000000";
        let expected = format!("{head}00000000ffffffff00000001610000000261660000018bcfe5683e");
        assert_eq!(hex(&out), expected);

        let mut same = entry(Some("a"), Some("a"), Some("af"));
        out.clear();
        serde.serialize(&same, &mut out).unwrap();
        let expected = format!("{head}000000000000000161fffffffe0000000261660000018bcfe5683e");
        assert_eq!(hex(&out), expected);

        (same.timestamp, same.origin.offset) = (0x0000_018b_cfe5_6841, 5);
        same.headers = Headers::from([Header::new("h", b"5".to_vec())]);
        same.place = 0x0000_018b_cfe5_6841;
        (same.before, same.old, same.new) =
            (Some("af".into()), Some("af".into()), Some("afc".into()));
        out.clear();
        serde.serialize(&same, &mut out).unwrap();
        assert_eq!(
            hex(&out),
            "0000018bcfe56841000000000000000500000002696e0000000000000001000000016800000001350000\
             00026166fffffffe000000036166630000018bcfe56841"
        );
    }

    #[test]
    fn an_entry_reads_back_with_its_size_and_what_is_cut_off_is_refused() {
        let serde = EntrySerde(String::serde());
        let texts = [None, Some(""), Some("a"), Some("bé")];
        for before in texts {
            for (old, new) in texts.iter().flat_map(|old| texts.map(|new| (*old, new))) {
                let mut written = entry(before, old, new);
                written.headers =
                    Headers::from([Header::new("ü", None), Header::new("h", b"12".to_vec())]);
                let mut nowhere = SerializeContext::nowhere();
                written.size = serde.size(&mut nowhere, &written, &mut Vec::new()).unwrap();
                let mut out = Vec::new();
                serde.serialize(&written, &mut out).unwrap();
                assert_eq!(serde.deserialize(&out).unwrap(), written);
                for end in 0..out.len() {
                    assert!(serde.deserialize(&out[..end]).is_err(), "{end} of {}", out.len());
                }
            }
        }
    }

    /// `8 + prior + old if it differs + new + 8 + 8 + 4 + topic + headers`.
    #[test]
    fn a_size_is_what_kafka_streams_counts() {
        let serde = EntrySerde(String::serde());
        let size = |entry| serde.size(&mut SerializeContext::nowhere(), &entry, &mut Vec::new());
        assert_eq!(size(entry(None, None, None)).unwrap(), 28 + 2);
        assert_eq!(size(entry(None, None, Some("abc"))).unwrap(), 28 + 2 + 3);
        assert_eq!(size(entry(Some("ab"), Some("ab"), Some("abc"))).unwrap(), 28 + 2 + 5);
        assert_eq!(size(entry(Some("ab"), Some("b"), Some("abc"))).unwrap(), 28 + 2 + 6);
        let mut of_headers = entry(None, None, None);
        of_headers.headers = Headers::from([Header::new("ü", None), Header::new("h", vec![1, 2])]);
        assert_eq!(size(of_headers).unwrap(), 28 + 2 + 1 + 3);
    }
}
