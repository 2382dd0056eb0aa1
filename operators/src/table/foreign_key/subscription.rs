//! A subscription: what the left table asks of the foreign table. It is the value of a record of the
//! subscription topic and of a row of the subscription store.
//!
//! The bytes are those of Kafka Streams' `SubscriptionWrapperSerde`, version 1:
//! - one byte: the version, with the highest bit set if there is no hash
//! - one byte: the instruction
//! - 16 bytes: the hash of the left value, big-endian; none if the value is deleted
//! - the bytes of the left key
//! - 4 bytes: the partition of the left key, big-endian; not in version 0, which is read and kept
//!
//! Knows no serde of users: the left key is bytes here, because the store needs no more.

use oncestream_core::serde::{Serde, SerdeError};

use super::murmur3::Hash;

const VERSION: u8 = 1;
/// Set in the first byte if there is no hash.
pub(super) const NO_HASH: u8 = 0x80;

/// What the foreign table is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    /// Forget the subscription, and answer nothing.
    Unsubscribe,
    /// Forget the subscription, and answer that there is no value.
    UnsubscribeAndAnswer,
    /// Remember the subscription, and answer with the value, or that there is none.
    Answer,
    /// Remember the subscription, and answer if there is a value.
    AnswerIfFound,
}

impl Instruction {
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Unsubscribe,
            1 => Self::UnsubscribeAndAnswer,
            2 => Self::Answer,
            3 => Self::AnswerIfFound,
            _ => return None,
        })
    }

    fn byte(self) -> u8 {
        match self {
            Self::Unsubscribe => 0,
            Self::UnsubscribeAndAnswer => 1,
            Self::Answer => 2,
            Self::AnswerIfFound => 3,
        }
    }

    /// Whether the subscription is remembered from now on.
    pub(super) fn subscribes(self) -> bool {
        matches!(self, Self::Answer | Self::AnswerIfFound)
    }
}

/// What the left table asks for one of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    /// That of the left value; `None` if the key is deleted.
    pub(super) hash: Option<Hash>,
    pub(super) instruction: Instruction,
    /// The bytes of the left key.
    pub(super) primary_key: Vec<u8>,
    /// The partition that the left key came from, to which the answer goes. `None` in version 0.
    pub(super) primary_partition: Option<i32>,
}

/// The serde of a [`Subscription`].
pub(super) struct SubscriptionSerde;

impl Serde<Subscription> for SubscriptionSerde {
    fn serialize(&self, value: &Subscription, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let version = if value.primary_partition.is_some() { VERSION } else { 0 };
        write_hash(version, value.hash, Some(value.instruction.byte()), out);
        out.extend_from_slice(&value.primary_key);
        if let Some(partition) = value.primary_partition {
            out.extend_from_slice(&partition.to_be_bytes());
        }
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Subscription, SerdeError> {
        let short = || SerdeError::format::<Subscription>("it ends too early");
        let (&[first, instruction], rest) = bytes.split_first_chunk().ok_or_else(short)?;
        let version = first & !NO_HASH;
        if version > VERSION {
            let message = format!("version {version} is not known; a newer application wrote it");
            return Err(SerdeError::format::<Subscription>(message));
        }
        let instruction = Instruction::of(instruction).ok_or_else(|| {
            SerdeError::format::<Subscription>(format!("unknown instruction {instruction}"))
        })?;
        let (hash, rest) = read_hash(first, rest).ok_or_else(short)?;
        let (primary_key, primary_partition) = if version == 0 {
            (rest, None)
        } else {
            let (key, partition) = rest.split_last_chunk().ok_or_else(short)?;
            (key, Some(i32::from_be_bytes(*partition)))
        };
        let primary_key = primary_key.to_vec();
        Ok(Subscription { hash, instruction, primary_key, primary_partition })
    }
}

/// Writes the first byte, what comes between it and the hash, and the hash.
pub(super) fn write_hash(version: u8, hash: Option<Hash>, between: Option<u8>, out: &mut Vec<u8>) {
    out.push(version | if hash.is_none() { NO_HASH } else { 0 });
    out.extend(between);
    for half in hash.into_iter().flatten() {
        out.extend_from_slice(&half.to_be_bytes());
    }
}

/// The hash that the first byte promises, and the bytes behind it. `None` if they are too few.
pub(super) fn read_hash(first: u8, bytes: &[u8]) -> Option<(Option<Hash>, &[u8])> {
    if first & NO_HASH != 0 {
        return Some((None, bytes));
    }
    let (high, rest) = bytes.split_first_chunk()?;
    let (low, rest) = rest.split_first_chunk()?;
    Some((Some([u64::from_be_bytes(*high), u64::from_be_bytes(*low)]), rest))
}
