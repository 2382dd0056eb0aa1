//! [`Windowed`]: a key in a window, and its bytes, which are those of Kafka Streams.

use std::fmt;
use std::time::Duration;

use oncestream_core::TimestampMs;
use oncestream_core::serde::{
    DeserializeContext, DynSerde, Serde, SerdeError, SerdeIdentity, SerializeContext,
};

use super::millis;

const TIME_LEN: usize = 8;

/// A key and a window: the key of windowed results.
///
/// In a topic it is written by a serde for the kind of window: [`Self::time_serde`],
/// [`Self::session_serde`].
///
/// ```
/// use std::time::Duration;
/// use oncestream_core::serde::HasSerde;
/// use oncestream_operators::{Produced, StreamsBuilder, TimeWindows, Windowed};
/// let minute = Duration::from_secs(60);
/// let builder = StreamsBuilder::new();
/// let clicks = builder.stream::<String, String>("clicks").group_by_key();
/// let counts = clicks.windowed_by(TimeWindows::of_size_with_no_grace(minute)).count("counts");
/// let windowed = Windowed::time_serde(String::serde(), minute);
/// counts.to_stream().to(Produced::with("counts", windowed, Option::<i64>::serde()));
/// # assert!(builder.build().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Windowed<K> {
    /// The key.
    pub key: K,
    /// When the window begins, in milliseconds and included.
    pub start: TimestampMs,
    /// When the window ends, in milliseconds: not included for [`TimeWindows`](super::TimeWindows),
    /// included for [`SlidingWindows`](super::SlidingWindows) and
    /// [`SessionWindows`](super::SessionWindows).
    pub end: TimestampMs,
}

/// As in Kafka Streams: `[key@start/end]`.
impl<K: fmt::Display> fmt::Display for Windowed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}@{}/{}]", self.key, self.start, self.end)
    }
}

impl<K: 'static> Windowed<K> {
    /// The serde for keys in windows of one size: time windows, sliding windows (with the time
    /// difference as the size), unlimited windows (with [`Duration::MAX`]). The bytes are those of the
    /// key, then the start: the reader must know the size. A topic that is read twice takes one serde for
    /// both, since another one may have another size.
    pub fn time_serde(key: DynSerde<K>, size: Duration) -> DynSerde<Self> {
        std::sync::Arc::new(TimeWindowedSerde::new(key, size))
    }

    /// The serde for keys in sessions: the bytes of the key, then the end, then the start.
    pub fn session_serde(key: DynSerde<K>) -> DynSerde<Self> {
        std::sync::Arc::new(SessionWindowedSerde::new(key))
    }
}

/// Kafka Streams' `TimeWindowedSerde`: the key, then the start. See [`Windowed::time_serde`].
pub struct TimeWindowedSerde<K> {
    key: DynSerde<K>,
    size_ms: i64,
}

impl<K> fmt::Debug for TimeWindowedSerde<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TimeWindowedSerde");
        shown.field("size_ms", &self.size_ms).finish_non_exhaustive()
    }
}

impl<K> TimeWindowedSerde<K> {
    /// For windows of this size.
    pub fn new(key: DynSerde<K>, size: Duration) -> Self {
        Self { key, size_ms: millis(size) }
    }
}

/// Kafka Streams' `SessionWindowedSerde`: the key, then the end and the start. See
/// [`Windowed::session_serde`].
pub struct SessionWindowedSerde<K> {
    key: DynSerde<K>,
}

impl<K> fmt::Debug for SessionWindowedSerde<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionWindowedSerde").finish_non_exhaustive()
    }
}

impl<K> SessionWindowedSerde<K> {
    /// With this serde of the key.
    pub fn new(key: DynSerde<K>) -> Self {
        Self { key }
    }
}

/// The last eight bytes as a time, and what is before them.
fn split_time<T>(bytes: &[u8]) -> Result<(&[u8], TimestampMs), SerdeError> {
    let (rest, time) = bytes
        .split_last_chunk::<TIME_LEN>()
        .ok_or_else(|| SerdeError::format::<T>("too short to hold the time of a window"))?;
    Ok((rest, TimestampMs::from_be_bytes(*time)))
}

impl<K: 'static> Serde<Windowed<K>> for TimeWindowedSerde<K> {
    fn serialize(&self, value: &Windowed<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.serialize_in(&mut SerializeContext::nowhere(), value, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Windowed<K>, SerdeError> {
        self.deserialize_in(&DeserializeContext::nowhere(), bytes)
    }

    fn serialize_in(
        &self,
        ctx: &mut SerializeContext<'_>,
        value: &Windowed<K>,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError> {
        self.key.serialize_in(ctx, &value.key, out)?;
        out.extend_from_slice(&value.start.to_be_bytes());
        Ok(())
    }

    fn deserialize_in(
        &self,
        ctx: &DeserializeContext<'_>,
        bytes: &[u8],
    ) -> Result<Windowed<K>, SerdeError> {
        let (key, start) = split_time::<Windowed<K>>(bytes)?;
        let key = self.key.deserialize_in(ctx, key)?;
        Ok(Windowed { key, start, end: start.saturating_add(self.size_ms) })
    }

    fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.len().saturating_sub(TIME_LEN);
        self.key.partition_bytes(&bytes[..end])
    }

    fn is_null(&self, value: &Windowed<K>) -> bool {
        self.key.is_null(&value.key)
    }

    // Its identity is the value's own: two sizes read the same bytes as different windows.
}

impl<K: 'static> Serde<Windowed<K>> for SessionWindowedSerde<K> {
    fn serialize(&self, value: &Windowed<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.serialize_in(&mut SerializeContext::nowhere(), value, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Windowed<K>, SerdeError> {
        self.deserialize_in(&DeserializeContext::nowhere(), bytes)
    }

    fn serialize_in(
        &self,
        ctx: &mut SerializeContext<'_>,
        value: &Windowed<K>,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError> {
        self.key.serialize_in(ctx, &value.key, out)?;
        out.extend_from_slice(&value.end.to_be_bytes());
        out.extend_from_slice(&value.start.to_be_bytes());
        Ok(())
    }

    fn deserialize_in(
        &self,
        ctx: &DeserializeContext<'_>,
        bytes: &[u8],
    ) -> Result<Windowed<K>, SerdeError> {
        let (rest, start) = split_time::<Windowed<K>>(bytes)?;
        let (key, end) = split_time::<Windowed<K>>(rest)?;
        let key = self.key.deserialize_in(ctx, key)?;
        Ok(Windowed { key, start, end })
    }

    fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.len().saturating_sub(2 * TIME_LEN);
        self.key.partition_bytes(&bytes[..end])
    }

    fn is_null(&self, value: &Windowed<K>) -> bool {
        self.key.is_null(&value.key)
    }

    fn identity(&self) -> SerdeIdentity {
        SerdeIdentity::of_parts::<Self>([self.key.identity()])
    }
}
