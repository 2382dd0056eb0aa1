//! What a reset will do, in words and in deed.
//!
//! The steps are ordered for a reset that ends in between, and for instances that are started then.
//! Any order of deletions and commits alone has a gap in which an instance would count records a
//! second time, into stores that are still there, or go on in the middle with empty ones. So:
//!
//! 1. The committed offsets of all inputs that are set, and of the repartition topics that will go,
//!    get a mark beside them. They stay what they are, so running the reset again shifts from the
//!    same place. An instance refuses to begin at an offset with the mark (the engine's
//!    `worker/positions.rs`). Brokers take these commits only while the group has no members, and only
//!    with the rights that the last step needs.
//! 2. Internal topics are deleted. Brokers delete their committed offsets with them, and the mark; that
//!    is waited for, because an offset of before would skip records of a topic that is made anew.
//! 3. The local state is deleted. If it stays, its checkpoints speak of topics with other ids.
//! 4. The offsets are set in one request, which takes the marks away: the reset is complete.
//!
//! If brokers refuse every deletion, nothing has changed but the marks, and they are taken away.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oncestream_core::TopicPartition;
use oncestream_core::task::OffsetMetadata;
use oncestream_engine::StreamsError;
use oncestream_engine::ports::Committed;

use super::directory::LockedDirectory;
use super::planning::Clients;
use super::{ResetError, blocking};
use crate::clients::{Deletion, TopicId, is_refused_for_members};

/// How long brokers may take to forget the offsets of a topic that was deleted.
const FORGET_DEADLINE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// An offset of the group, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OffsetChange {
    /// The input topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// What is committed; `None` if nothing is.
    pub from: Option<i64>,
    /// What will be committed; `None` if nothing will.
    pub to: Option<i64>,
}

/// What a user should know before a reset.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The offset that was asked for is not in the log.
    Clamped {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// What was asked for.
        asked: i64,
        /// What it will be.
        set: i64,
    },
    /// There is no record of the time that was asked for, or later.
    NoRecordSince {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Its end.
        end: i64,
    },
    /// Nothing is committed that could be shifted.
    NothingToShift {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
    },
    /// A topic belongs to another application, to judge by its name.
    LeftToOther {
        /// The topic.
        topic: String,
        /// The application with the longer id.
        application_id: String,
    },
    /// A topic that is called as internal ones of the application, and is none of those given.
    NotNamed {
        /// The topic.
        topic: String,
    },
    /// An internal topic that was named is not there.
    AlreadyGone {
        /// The topic.
        topic: String,
    },
    /// There may be internal topics that this user does not see.
    InternalTopicsHidden,
    /// No input was named.
    NoInputs,
    /// Nothing speaks of an application of this id.
    UnknownApplication,
    /// A reset before this one did not come to its end.
    Resumed,
    /// A store cannot be told to be stale.
    NoChangelog {
        /// The store.
        store: String,
    },
    /// A table whose topic is its changelog does not begin with the first record.
    TableBeginsFull {
        /// Its store.
        store: String,
        /// Its topic.
        topic: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clamped { topic, partition, asked, set } => write!(
                f,
                "{topic}-{partition} has no offset {asked}: it is set to {set}, the nearest in the log"
            ),
            Self::NoRecordSince { topic, partition, end } => write!(
                f,
                "{topic}-{partition} has no record of that time or later: it is set to its end, {end}"
            ),
            Self::NothingToShift { topic, partition } => write!(
                f,
                "{topic}-{partition} has no committed offset to shift: it begins as \
                 auto.offset.reset says"
            ),
            Self::LeftToOther { topic, application_id } => write!(
                f,
                "{topic} stays: by its name it is of application {application_id}; if it is not,                  name the internal topics that are to be deleted"
            ),
            Self::NotNamed { topic } => {
                write!(
                    f,
                    "{topic} stays, because it is none of the internal topics that were given"
                )
            }
            Self::AlreadyGone { topic } => write!(f, "{topic} is gone already"),
            Self::InternalTopicsHidden => f.write_str(
                "internal topics, if there are any, are not seen, and stay: the right Delete on \
                 topics with the prefix <application.id>- is missing",
            ),
            Self::NoInputs => f.write_str(
                "no input topics are named: the application goes on from its committed offsets",
            ),
            Self::UnknownApplication => f.write_str(
                "the group has no committed offset on these topics, and there are no internal \
                 topics: check the application.id",
            ),
            Self::Resumed => f.write_str(
                "a reset of before did not come to its end: this one goes on from what it left",
            ),
            Self::NoChangelog { store } => write!(
                f,
                "store {store} has no changelog: delete the state directory on every host"
            ),
            Self::TableBeginsFull { store, topic } => write!(
                f,
                "store {store} follows {topic} from its first record, so it has rows that the operators \
                 below the table have not seen: let {topic} begin at its first record"
            ),
        }
    }
}

/// What a reset will do. Its `Display` is what `oncestream reset` prints.
#[must_use = "a plan does nothing until it is executed"]
pub struct ResetPlan {
    pub(super) application_id: String,
    pub(super) bootstrap_servers: String,
    pub(super) offsets: Vec<OffsetChange>,
    pub(super) topics: Vec<(String, i32)>,
    pub(super) directory: Option<PathBuf>,
    pub(super) notices: Vec<Notice>,
    pub(super) ids: Vec<TopicId>,
    /// Of the inputs and of the internal topics.
    pub(super) committed: Vec<(TopicPartition, Option<Committed>)>,
    pub(super) clients: Clients,
}

impl ResetPlan {
    /// The offsets of the inputs, by topic and partition.
    pub fn offsets(&self) -> &[OffsetChange] {
        &self.offsets
    }

    /// The internal topics that will be deleted, with their partitions.
    pub fn topics(&self) -> &[(String, i32)] {
        &self.topics
    }

    /// The directory that will be deleted, if it is there and was asked for.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// What to know before.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Does it. If it ends midway, instances refuse to start until it is planned and executed again.
    ///
    /// # Errors
    /// As [`ApplicationReset::plan`](super::ApplicationReset::plan), and [`ResetError::Unfinished`]
    /// for what happens after the first deletion.
    pub async fn execute(self) -> Result<(), ResetError> {
        let (plan, directory) = blocking(move || {
            let directory = self.directory.clone().map(LockedDirectory::lock).transpose()?;
            self.begin()?;
            Ok((self, directory))
        })
        .await?;
        match plan.clients.admin.delete(&plan.ids).await {
            Deletion::Done => {}
            Deletion::Partly(error) => return Err(unfinished(error.into())),
            Deletion::Refused(error) => {
                return blocking(move || {
                    plan.unmark().map_err(unfinished)?;
                    Err(error.into())
                })
                .await;
            }
        }
        let deletes = plan.deletes();
        let finished = blocking(move || plan.finish(directory)).await;
        finished.map_err(|error| if deletes { unfinished(error) } else { error })
    }

    /// Whether anything goes; if not, setting the offsets is the one step.
    fn deletes(&self) -> bool {
        !self.ids.is_empty() || self.directory.is_some()
    }

    /// Looks again whether all is as planned, and sets the marks.
    fn begin(&self) -> Result<(), ResetError> {
        self.clients.check_members()?;
        let partitions: Vec<TopicPartition> =
            self.committed.iter().map(|(p, _)| p.clone()).collect();
        let now = self.clients.offsets.committed(&partitions)?;
        for ((at, planned), now) in self.committed.iter().zip(now) {
            if *planned != now {
                return Err(self.interfered(at));
            }
        }
        if !self.deletes() {
            return Ok(());
        }
        self.mark().inspect_err(|_| {
            if let Err(error) = self.unmark() {
                tracing::warn!(%error, "the marks of the reset stay: run it again");
            }
        })
    }

    /// Topic by topic, so that the one that may not be read is told.
    fn mark(&self) -> Result<(), ResetError> {
        self.commit_by_topic(|c| Some((c.offset, OffsetMetadata::resetting())))
    }

    /// Takes the marks away that this reset has set.
    fn unmark(&self) -> Result<(), ResetError> {
        self.commit_by_topic(|c| {
            let metadata = if c.is_own { c.metadata.encode() } else { String::new() };
            (!c.is_resetting).then_some((c.offset, metadata))
        })
    }

    fn commit_by_topic(
        &self,
        text: impl Fn(&Committed) -> Option<(i64, String)>,
    ) -> Result<(), ResetError> {
        for of_topic in self.committed.chunk_by(|(a, _), (b, _)| a.topic == b.topic) {
            let offsets = of_topic.iter().filter_map(|(at, committed)| {
                let (offset, metadata) = text(committed.as_ref()?)?;
                Some((at.clone(), offset, metadata))
            });
            self.commit(&offsets.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// What is left to do when the internal topics are deleted.
    fn finish(self, directory: Option<LockedDirectory>) -> Result<(), ResetError> {
        self.clients.admin.await_deletion(&self.ids)?;
        self.await_forgotten()?;
        directory.map(LockedDirectory::delete).transpose()?;
        let begins = OffsetMetadata::unknown().encode();
        let offsets = self.offsets.iter().filter_map(|change| {
            let at = TopicPartition::new(change.topic.as_str(), change.partition);
            Some((at, change.to?, begins.clone()))
        });
        self.commit(&offsets.collect::<Vec<_>>())
    }

    /// Waits until brokers have forgotten the offsets of the topics that are gone.
    fn await_forgotten(&self) -> Result<(), ResetError> {
        let is_gone = |at: &TopicPartition| self.ids.iter().any(|topic| topic.name == at.topic);
        let of_gone = self.committed.iter().filter(|(at, c)| c.is_some() && is_gone(at));
        let partitions: Vec<TopicPartition> = of_gone.map(|(at, _)| at.clone()).collect();
        let deadline = Instant::now() + FORGET_DEADLINE;
        loop {
            let left = self.clients.offsets.committed(&partitions)?;
            let Some(at) = left.iter().position(Option::is_some) else { return Ok(()) };
            if Instant::now() >= deadline {
                let action = format!(
                    "the removal of the committed offset of {}, whose topic is deleted",
                    partitions[at]
                );
                return Err(StreamsError::TimedOut { action, waited: FORGET_DEADLINE }.into());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn commit(&self, offsets: &[(TopicPartition, i64, String)]) -> Result<(), ResetError> {
        let found = match self.clients.offsets.commit(offsets) {
            Err(error) if is_refused_for_members(&error) => {
                return Err(self.clients.members_alive(self.clients.members()?));
            }
            found => found?,
        };
        for ((at, offset, metadata), found) in offsets.iter().zip(found) {
            let is_mark = OffsetMetadata::is_resetting(metadata);
            if found.is_none_or(|c| c.offset != *offset || c.is_resetting != is_mark) {
                return Err(self.interfered(at));
            }
        }
        Ok(())
    }

    fn interfered(&self, at: &TopicPartition) -> ResetError {
        ResetError::Interfered {
            group: self.application_id.clone(),
            topic: at.topic.to_string(),
            partition: at.partition,
        }
    }
}

fn unfinished(source: ResetError) -> ResetError {
    ResetError::Unfinished { source: Box::new(source) }
}

impl fmt::Debug for ResetPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResetPlan")
            .field("application_id", &self.application_id)
            .field("offsets", &self.offsets)
            .field("topics", &self.topics)
            .field("directory", &self.directory)
            .field("notices", &self.notices)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ResetPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Reset of application {} at {}", self.application_id, self.bootstrap_servers)?;
        if !self.offsets.is_empty() {
            let longest = self.offsets.iter().map(|o| o.topic.len()).max().unwrap_or(0);
            let width = longest.max("TOPIC".len());
            let row = |f: &mut fmt::Formatter<'_>, cells: [&str; 4]| {
                let [topic, partition, from, to] = cells;
                writeln!(f, "  {topic:width$}  {partition:>9}  {from:>12}  {to:>12}")
            };
            writeln!(f, "\nOffsets to set:")?;
            row(f, ["TOPIC", "PARTITION", "FROM", "TO"])?;
            for change in &self.offsets {
                let [from, to] = [change.from, change.to]
                    .map(|offset| offset.map_or_else(|| "-".to_owned(), |o| o.to_string()));
                row(f, [&change.topic, &change.partition.to_string(), &from, &to])?;
            }
        }
        if !self.topics.is_empty() {
            writeln!(f, "\nInternal topics to delete:")?;
            for (topic, partitions) in &self.topics {
                let plural = if *partitions == 1 { "" } else { "s" };
                writeln!(f, "  {topic} ({partitions} partition{plural})")?;
            }
        }
        if let Some(directory) = &self.directory {
            writeln!(f, "\nDirectory to delete:\n  {}", directory.display())?;
        }
        if !self.notices.is_empty() {
            writeln!(f, "\nTo know:")?;
            for notice in &self.notices {
                writeln!(f, "  {notice}")?;
            }
        }
        Ok(())
    }
}
