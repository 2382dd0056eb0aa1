//! Apache Kafka's producer state in a file: `00000000000000000042.snapshot` in the directory of a
//! partition. Reads and writes the bytes; knows no broker.
//!
//! A broker writes one when a segment is full and when it stops, so that it need not read the whole
//! log to know its producers again. The name is an offset: the state is that before this offset. Of
//! Apache Kafka's `ProducerSnapshot.json` there is version 1 alone, since 0.11:
//!
//! | bytes | field |
//! |---|---|
//! | 2 | version |
//! | 4 | CRC-32C of what comes after it |
//! | 4 | how many producers |
//! | 46 each | producer id 8, epoch 2, last sequence 4, last offset 8, offset delta 4, timestamp 8, coordinator epoch 4, first offset of the open transaction 8 |
//!
//! ```
//! use oncestream_inspect::snapshot::{ProducerSnapshot, SnapshotProducer};
//!
//! let snapshot = ProducerSnapshot::new(vec![SnapshotProducer {
//!     producer_id: 1000,
//!     epoch: 0,
//!     last_sequence: 4,
//!     last_offset: 41,
//!     offset_delta: 4,
//!     timestamp_ms: 1_700_000_000_000,
//!     coordinator_epoch: -1,
//!     open_since_offset: Some(37),
//! }]);
//! assert_eq!(ProducerSnapshot::parse(&snapshot.to_bytes())?, snapshot);
//! # Ok::<(), oncestream_inspect::snapshot::SnapshotError>(())
//! ```

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Serialize;

use crate::table::{NONE, or_none, table, time};

/// The one version there is.
const VERSION: i16 = 1;
/// Version, checksum and count.
const HEADER_LEN: usize = 10;
/// Where the bytes begin that the checksum is of.
const CHECKED_FROM: usize = 6;
const PRODUCER_LEN: usize = 46;
/// More than twenty million producers: no broker keeps as many for one partition.
const MAX_FILE_LEN: u64 = 1 << 30;
const SUFFIX: &str = ".snapshot";

/// Why a file is not shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A directory, a device, or far too large.
    #[error("{path} is no producer snapshot: {reason}")]
    NotOne {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It does not begin as one does.
    #[error(
        "this is no producer snapshot, or one of a later Kafka: it begins with version {version}, and \
         only version 1 is known here"
    )]
    Version {
        /// What its first two bytes say.
        version: i16,
    },
    /// It ends too early.
    #[error("the snapshot is truncated: it has {length} bytes and needs {needed}")]
    Truncated {
        /// So many bytes are there.
        length: usize,
        /// So many it would take at least.
        needed: usize,
    },
    /// It goes on after its last producer.
    #[error(
        "the snapshot is damaged: its {producers} producers end at byte {end}, but it has {length} bytes"
    )]
    TooLong {
        /// How many producers it says it has.
        producers: usize,
        /// Where it ought to end.
        end: usize,
        /// Where it ends.
        length: usize,
    },
    /// A number of producers that cannot be.
    #[error("the snapshot is damaged: its count of producers is {count}")]
    Count {
        /// The number.
        count: i32,
    },
    /// Its bytes are not those that were written.
    #[error(
        "the snapshot is damaged: it has the checksum {stored:#010x}, but its bytes have \
         {computed:#010x}; a broker that finds such a file at its start deletes it and reads the log \
         again"
    )]
    Checksum {
        /// The one in the file.
        stored: u32,
        /// The one of its bytes.
        computed: u32,
    },
}

/// The producers that a partition knew at an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerSnapshot {
    /// In the order of the file, which is none.
    pub producers: Vec<SnapshotProducer>,
}

/// What a partition knew of one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SnapshotProducer {
    /// Its id.
    pub producer_id: i64,
    /// The newest epoch it wrote with.
    pub epoch: i16,
    /// The sequence number of the last record of its last batch; -1 if it has none in this epoch.
    pub last_sequence: i32,
    /// The offset of that record; -1 if there is none.
    pub last_offset: i64,
    /// How many records that batch had before its last one.
    pub offset_delta: i32,
    /// The highest timestamp of that batch, or that of a marker, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The epoch of the coordinator that wrote its last marker; -1 if there is none.
    pub coordinator_epoch: i32,
    /// Where its open transaction began in this partition.
    pub open_since_offset: Option<i64>,
}

impl ProducerSnapshot {
    /// A snapshot of these producers, to be written.
    pub fn new(producers: Vec<SnapshotProducer>) -> Self {
        Self { producers }
    }

    /// Reads a file and its bytes.
    ///
    /// # Errors
    /// If it is no file, cannot be read, or as [`parse`](Self::parse).
    pub fn read(path: impl AsRef<Path>) -> Result<Self, SnapshotError> {
        let path = path.as_ref();
        let name = || path.display().to_string();
        let failed = |source| SnapshotError::File { path: name(), source };
        // Before it is opened: to open a pipe is to wait for who writes to it.
        let about = std::fs::metadata(path).map_err(failed)?;
        let not_one = |reason| Err(SnapshotError::NotOne { path: name(), reason });
        if !about.is_file() {
            return not_one("it is no file");
        }
        if about.len() > MAX_FILE_LEN {
            return not_one("it is larger than 1 GiB");
        }
        let mut bytes = Vec::new();
        let mut file = File::open(path).map_err(failed)?.take(MAX_FILE_LEN);
        file.read_to_end(&mut bytes).map_err(failed)?;
        Self::parse(&bytes)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// If they are not a whole, undamaged snapshot.
    pub fn parse(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut rest = Fields { bytes, length: bytes.len() };
        let version = i16::from_be_bytes(rest.take()?);
        if version != VERSION {
            return Err(SnapshotError::Version { version });
        }
        let stored = u32::from_be_bytes(rest.take()?);
        let count = i32::from_be_bytes(rest.take()?);
        let producers = usize::try_from(count).map_err(|_| SnapshotError::Count { count })?;
        let end = producers.saturating_mul(PRODUCER_LEN).saturating_add(HEADER_LEN);
        let length = bytes.len();
        if length < end {
            return Err(SnapshotError::Truncated { length, needed: end });
        }
        if length > end {
            return Err(SnapshotError::TooLong { producers, end, length });
        }
        let computed = checksum(bytes);
        if stored != computed {
            return Err(SnapshotError::Checksum { stored, computed });
        }
        let producers = (0..producers).map(|_| rest.producer());
        Ok(Self { producers: producers.collect::<Result<_, _>>()? })
    }

    /// The bytes of a file, as Apache Kafka writes it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN + self.producers.len() * PRODUCER_LEN);
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend((self.producers.len() as i32).to_be_bytes());
        for producer in &self.producers {
            bytes.extend(producer.producer_id.to_be_bytes());
            bytes.extend(producer.epoch.to_be_bytes());
            bytes.extend(producer.last_sequence.to_be_bytes());
            bytes.extend(producer.last_offset.to_be_bytes());
            bytes.extend(producer.offset_delta.to_be_bytes());
            bytes.extend(producer.timestamp_ms.to_be_bytes());
            bytes.extend(producer.coordinator_epoch.to_be_bytes());
            bytes.extend(producer.open_since_offset.unwrap_or(-1).to_be_bytes());
        }
        let crc = checksum(&bytes).to_be_bytes();
        bytes.splice(2..CHECKED_FROM, crc);
        bytes
    }

    /// The checksum in the file. In one that was parsed, it is that of the bytes too.
    pub fn crc(&self) -> u32 {
        checksum(&self.to_bytes())
    }

    /// The offset in a file's name: the state in it is that before this offset. `None` if the name is
    /// not one that Apache Kafka gives.
    pub fn offset_in_name(path: impl AsRef<Path>) -> Option<i64> {
        let name = path.as_ref().file_name()?.to_str()?.strip_suffix(SUFFIX)?;
        let is_number = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| name.parse().ok()).flatten()
    }
}

/// CRC-32C of what comes after the checksum.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes.get(CHECKED_FROM..).unwrap_or_default())
}

/// What is left of the bytes.
struct Fields<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let taken = self.bytes.split_first_chunk::<N>();
        let truncated = SnapshotError::Truncated { length: self.length, needed: HEADER_LEN };
        let (head, rest) = taken.ok_or(truncated)?;
        self.bytes = rest;
        Ok(*head)
    }

    fn producer(&mut self) -> Result<SnapshotProducer, SnapshotError> {
        Ok(SnapshotProducer {
            producer_id: i64::from_be_bytes(self.take()?),
            epoch: i16::from_be_bytes(self.take()?),
            last_sequence: i32::from_be_bytes(self.take()?),
            last_offset: i64::from_be_bytes(self.take()?),
            offset_delta: i32::from_be_bytes(self.take()?),
            timestamp_ms: i64::from_be_bytes(self.take()?),
            coordinator_epoch: i32::from_be_bytes(self.take()?),
            open_since_offset: Some(i64::from_be_bytes(self.take()?)).filter(|offset| *offset >= 0),
        })
    }
}

/// A table for people.
impl fmt::Display for ProducerSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (crc, count) = (self.crc(), self.producers.len());
        writeln!(
            f,
            "version {VERSION}, CRC-32C {crc:#010x} (stored and computed), {count} producers"
        )?;
        if self.producers.is_empty() {
            return Ok(());
        }
        let heads = [
            "PRODUCER ID",
            "EPOCH",
            "LAST SEQUENCE",
            "LAST OFFSET",
            "OFFSET DELTA",
            "TIMESTAMP",
            "COORDINATOR EPOCH",
            "OPEN SINCE OFFSET",
        ];
        let rows = self.producers.iter().map(|producer| {
            vec![
                producer.producer_id.to_string(),
                producer.epoch.to_string(),
                producer.last_sequence.to_string(),
                producer.last_offset.to_string(),
                producer.offset_delta.to_string(),
                if producer.timestamp_ms < 0 {
                    NONE.to_owned()
                } else {
                    time(producer.timestamp_ms)
                },
                producer.coordinator_epoch.to_string(),
                or_none(producer.open_since_offset),
            ]
        });
        write!(f, "\n{}", table(&heads, &rows.collect::<Vec<_>>()))
    }
}

/// For programs: what the file has, field by field.
impl Serialize for ProducerSnapshot {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            version: i16,
            crc: u32,
            producers: &'a [SnapshotProducer],
        }
        Fields { version: VERSION, crc: self.crc(), producers: &self.producers }
            .serialize(serializer)
    }
}
