//! Why an application is not reset.

use std::fmt;

use oncestream_engine::StreamsError;

/// A reset that cannot be, or did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResetError {
    /// The brokers cannot be reached, refuse, or lack something; or the state directory does.
    #[error(transparent)]
    Streams(Box<StreamsError>),
    /// The group of the application has members.
    #[error(
        "group {group} has members{}; stop all instances first (one that was killed, or has a group.instance.id, stays a member until its session.timeout.ms is over)",
        named(members)
    )]
    MembersAlive {
        /// The group, which is the `application.id`.
        group: String,
        /// Who they are. None, if the brokers refused offsets for a member that has gone since.
        members: Vec<ActiveMember>,
    },
    /// An instance works in the state directory.
    #[error("an instance works in {path}; stop it first")]
    StateDirInUse {
        /// The application's directory.
        path: String,
    },
    /// The directory that is to be deleted has something that no instance made.
    #[error(
        "{path} was not deleted, because it holds what no instance made: {}; check the state directory and the application.id, or move these files away",
        names.join(", ")
    )]
    ForeignFiles {
        /// The application's directory.
        path: String,
        /// What is in it.
        names: Vec<String>,
    },
    /// Topics that were named cannot be reset.
    #[error("nothing was reset: {}", list(topics))]
    WrongTopics {
        /// All of them.
        topics: Vec<WrongTopic>,
    },
    /// Internal topics may be those of another application whose id begins as this one's does.
    #[error(
        "these topics may be internal topics of application {application_id}, or of another one whose id begins with it: {}; name all internal topics of the application with --internal-topics (in code: give its topology, or internal_topic){}",
        topics.join(", "), own_too(own)
    )]
    UnsureTopics {
        /// The application.
        application_id: String,
        /// Those that are not certain.
        topics: Vec<String>,
        /// Those that are certain.
        own: Vec<String>,
    },
    /// There is nothing to do.
    #[error(
        "there is nothing to reset: no input topics were named, and application {application_id} has neither internal topics nor local state; check the application.id"
    )]
    NothingToReset {
        /// The application.
        application_id: String,
    },
    /// A committed offset is not what it was planned from, or not what it was set to.
    #[error(
        "someone else changed the committed offset of {topic}-{partition}; stop all instances, and whatever else commits to group {group}, and run the reset again"
    )]
    Interfered {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
    },
    /// It was begun and did not come to its end. Instances refuse to start until it does.
    #[error(
        "{source}; the reset is not known to be complete, and instances refuse to start until it is: remove the cause, and run it again with the same flags (--dry-run shows what is left)"
    )]
    Unfinished {
        /// Why.
        source: Box<ResetError>,
    },
}

impl From<StreamsError> for ResetError {
    fn from(error: StreamsError) -> Self {
        Self::Streams(Box::new(error))
    }
}

/// A member of the group that is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveMember {
    /// Its `client.id`.
    pub client_id: String,
    /// Its host, as the broker sees it.
    pub host: String,
}

impl fmt::Display for ActiveMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.client_id, self.host.trim_start_matches('/'))
    }
}

/// A topic that was named and cannot be reset, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WrongTopic {
    /// An input that is not there.
    InputNotThere {
        /// The name.
        topic: String,
    },
    /// An input that is an internal topic of the application: it is deleted.
    InputIsInternal {
        /// The name.
        topic: String,
    },
    /// An internal topic that is not there, while others are that were not named.
    InternalNotThere {
        /// The name.
        topic: String,
        /// Those that are there.
        others: Vec<String>,
    },
    /// It is not called as an internal topic of the application.
    NotInternal {
        /// The name.
        topic: String,
    },
}

impl fmt::Display for WrongTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InputNotThere { topic } => write!(f, "input topic {topic} does not exist"),
            Self::InputIsInternal { topic } => write!(
                f,
                "{topic} is no input but an internal topic of the application, and would be deleted"
            ),
            Self::InternalNotThere { topic, others } => {
                write!(
                    f,
                    "internal topic {topic} does not exist; those that do: {}",
                    others.join(", ")
                )
            }
            Self::NotInternal { topic } => write!(
                f,
                "{topic} has not the name of an internal topic of the application, \
                 <application.id>-<name>-changelog or -repartition, or that of a foreign-key join"
            ),
        }
    }
}

fn list(of: &[impl fmt::Display]) -> String {
    of.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The members, to go on after "has members". One that has just left is not known by name.
fn named(members: &[ActiveMember]) -> String {
    if members.is_empty() {
        " that commit offsets".to_owned()
    } else {
        format!(": {}", list(members))
    }
}

fn own_too(own: &[String]) -> String {
    if own.is_empty() { String::new() } else { format!("; certainly its own: {}", own.join(", ")) }
}
