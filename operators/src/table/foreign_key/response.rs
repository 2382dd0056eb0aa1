//! A response: what the foreign table answers to one key of the left table. It is the value of a record
//! of the response topic.
//!
//! The bytes are those of Kafka Streams' `SubscriptionResponseWrapperSerde`, version 0:
//! - one byte: the version, with the highest bit set if there is no hash
//! - 16 bytes: the hash of the left value that is answered, big-endian
//! - the bytes of the foreign value; none if there is no value
//!
//! So a foreign value that has no bytes, as an empty text has none, reads as no value, as in Kafka
//! Streams.

use oncestream_core::serde::{DeserializeContext, DynSerde, Serde, SerdeError, SerializeContext};

use super::murmur3::Hash;
use super::subscription::{NO_HASH, read_hash, write_hash};

const VERSION: u8 = 0;

/// What the foreign table answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response<V> {
    /// That of the left value which asked.
    pub(super) hash: Option<Hash>,
    /// The foreign value.
    pub(super) value: Option<V>,
    /// The partition that the response goes to. It is not written; what is read has none.
    pub(super) primary_partition: Option<i32>,
}

/// The serde of a [`Response`], around that of the foreign table's values.
pub(super) struct ResponseSerde<V>(pub(super) DynSerde<V>);

impl<V> Serde<Response<V>> for ResponseSerde<V> {
    fn serialize(&self, value: &Response<V>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.serialize_in(&mut SerializeContext::nowhere(), value, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Response<V>, SerdeError> {
        self.deserialize_in(&DeserializeContext::nowhere(), bytes)
    }

    fn serialize_in(
        &self,
        ctx: &mut SerializeContext<'_>,
        value: &Response<V>,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError> {
        write_hash(VERSION, value.hash, None, out);
        match value.value.as_ref().filter(|value| !self.0.is_null(value)) {
            Some(value) => self.0.serialize_in(ctx, value, out),
            None => Ok(()),
        }
    }

    fn deserialize_in(
        &self,
        ctx: &DeserializeContext<'_>,
        bytes: &[u8],
    ) -> Result<Response<V>, SerdeError> {
        let short = || SerdeError::format::<Response<V>>("it ends too early");
        let (&first, rest) = bytes.split_first().ok_or_else(short)?;
        let version = first & !NO_HASH;
        if version > VERSION {
            let message = format!("version {version} is not known; a newer application wrote it");
            return Err(SerdeError::format::<Response<V>>(message));
        }
        let (hash, rest) = read_hash(first, rest).ok_or_else(short)?;
        let value = match rest {
            [] => None,
            bytes => Some(self.0.deserialize_in(ctx, bytes)?).filter(|v| !self.0.is_null(v)),
        };
        Ok(Response { hash, value, primary_partition: None })
    }
}
