//! The port of a reader of changelogs, for restores and for global tables, whose topics are theirs.

use std::time::Duration;

use oncestream_core::TopicPartition;

use super::Taken;
use crate::client_error::ClientError;

/// One thing of a partition.
#[derive(Debug)]
pub enum Fetched<'a> {
    /// A record.
    Record {
        /// Its offset.
        offset: i64,
        /// Its time in milliseconds; -1 is none.
        timestamp: i64,
        /// Its key.
        key: Option<&'a [u8]>,
        /// Its value.
        value: Option<&'a [u8]>,
    },
    /// There was nothing at this offset yet, as far as the broker knew that was asked.
    End {
        /// The offset.
        offset: i64,
    },
    /// The partition cannot be read.
    Failed(ClientError),
}

/// Reads changelogs, committed.
pub trait ChangelogReader {
    /// What was fetched of one partition, apart from all else.
    type Queue: ChangelogQueue;

    /// Reads these partitions, each from its offset, and nothing else. A queue for each, in their
    /// order; those of before give nothing any more.
    ///
    /// # Errors
    /// The client refuses it.
    fn assign(
        &mut self,
        positions: &[(TopicPartition, i64)],
    ) -> Result<Vec<Self::Queue>, ClientError>;

    /// Reads nothing: what nobody takes would pile up.
    fn rest(&mut self);

    /// Takes in what the client has to say beside records: a token to be refreshed, an error of a
    /// connection.
    fn listen(&mut self);

    /// The last stable offset of a partition.
    ///
    /// # Errors
    /// The leader does not answer in time.
    fn last_stable(
        &self,
        partition: &TopicPartition,
        timeout: Duration,
    ) -> Result<i64, ClientError>;

    /// Waits until there is something of a partition that is read, or for so long. It may return early.
    fn wait(&self, timeout: Duration);
}

/// What was fetched of one partition.
pub trait ChangelogQueue {
    /// Gives what is at hand, up to a bounded number, and waits for nothing; says how much that was.
    /// After an error of `each` the rest is gone.
    ///
    /// # Errors
    /// That of `each`.
    fn take<E>(&mut self, each: impl FnMut(Fetched<'_>) -> Result<(), E>) -> Result<usize, E>;

    /// Gives what is at hand, up to so many things, with the headers of records, and waits for nothing; says
    /// how much that was. What comes after an error of `each` stays.
    ///
    /// # Errors
    /// That of `each`.
    fn take_records<E>(
        &mut self,
        max: usize,
        each: impl FnMut(Taken<'_>) -> Result<(), E>,
    ) -> Result<usize, E>;
}
