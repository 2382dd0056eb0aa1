//! The settings of internal topics: what new ones are made with, and what is wrong with those of a
//! topic. Pure.
//!
//! Settings are Kafka Streams' (`InternalTopicConfig` and its kinds), and so is their order: ours,
//! then the `topic.*` keys, then those of the store. Invariant: what a topic would be made with is
//! judged by the same rules as what it has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use oncestream_core::graph::{ChangelogTopic, InternalTopics, RepartitionTopic};
use oncestream_engine::StreamsError;

/// Kafka's default of `delete.retention.ms`: tombstones older than this may be compacted away.
pub(super) const DELETE_RETENTION_MS: i64 = 24 * 60 * 60 * 1000;

pub(super) const CLEANUP_POLICY: &str = "cleanup.policy";
pub(super) const DELETE_RETENTION: &str = "delete.retention.ms";
pub(super) const RETENTION_MS: &str = "retention.ms";
pub(super) const RETENTION_BYTES: &str = "retention.bytes";
const TIMESTAMP_TYPE: &str = "message.timestamp.type";

/// What a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It keeps the last record of each key, for ever.
    KeyValueChangelog,
    /// It keeps the last record of each row until the store has forgotten the row, and some time longer.
    WindowedChangelog {
        /// How long the store keeps rows.
        retention_ms: i64,
    },
    /// It keeps each record until its reader has committed it, and purges it.
    Repartition,
}

/// A topic the topology needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InternalTopic {
    pub(super) name: Arc<str>,
    pub(super) partitions: i32,
    pub(super) kind: Kind,
    /// What it is made with if it is not there.
    pub(super) settings: BTreeMap<String, String>,
    /// The settings that the user gave for this topic alone.
    own: BTreeMap<String, String>,
}

/// A setting that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) setting: &'static str,
    pub(super) found: String,
    pub(super) needed: &'static str,
    pub(super) why: &'static str,
    pub(super) gravity: Gravity,
}

/// What follows from a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gravity {
    /// The application must not run.
    Refuse,
    /// It runs, and a warning is logged.
    Warn,
}

/// All internal topics, with what they are made with. `additional` is how much longer than its store a
/// changelog of windows keeps rows, because brokers delete by their own clock.
pub(super) fn wanted(
    topics: &InternalTopics,
    everywhere: &BTreeMap<String, String>,
    additional: Duration,
) -> Vec<InternalTopic> {
    let changelogs = topics.changelogs.iter().map(
        |ChangelogTopic { topic, partitions, settings, retention_ms }| {
            let kind = retention_ms.map_or(Kind::KeyValueChangelog, |retention_ms| {
                Kind::WindowedChangelog { retention_ms }
            });
            (topic, *partitions, kind, settings.clone())
        },
    );
    let repartitions = topics.repartitions.iter().map(|RepartitionTopic { topic, partitions }| {
        (topic, *partitions, Kind::Repartition, BTreeMap::new())
    });
    let layered = |(topic, partitions, kind, own): (&Arc<str>, i32, Kind, BTreeMap<_, _>)| {
        let mut settings = defaults(kind, additional);
        settings.extend(everywhere.clone());
        settings.extend(own.clone());
        InternalTopic { name: topic.clone(), partitions, kind, settings, own }
    };
    changelogs.chain(repartitions).map(layered).collect()
}

impl InternalTopic {
    /// Refuses settings that the topic cannot work with, whether or not it is to be made now.
    pub(super) fn check(&self) -> Result<(), StreamsError> {
        let found = findings(self.kind, &self.settings);
        let Some(wrong) = found.into_iter().find(|f| f.gravity == Gravity::Refuse) else {
            return Ok(());
        };
        let Finding { setting, found, needed, why, .. } = wrong;
        let given_by = match self.own.get(setting) {
            Some(_) => "Materialized::topic_setting of its store".to_owned(),
            None => format!("the key topic.{setting}"),
        };
        let topic = self.name.to_string();
        Err(StreamsError::UnfitTopicSetting { topic, given_by, setting, found, needed, why })
    }

    /// For how long tombstones are kept, going by what the topic has; without that, by what it is
    /// made with.
    pub(super) fn delete_retention_ms(&self, found: &BTreeMap<String, String>) -> i64 {
        [found, &self.settings]
            .into_iter()
            .find_map(|settings| settings.get(DELETE_RETENTION)?.trim().parse().ok())
            .unwrap_or(DELETE_RETENTION_MS)
    }
}

/// What Kafka Streams makes such topics with.
fn defaults(kind: Kind, additional: Duration) -> BTreeMap<String, String> {
    let kept_ms;
    let of_kind: &[(&str, &str)] = match kind {
        Kind::KeyValueChangelog => &[(CLEANUP_POLICY, "compact")],
        Kind::WindowedChangelog { retention_ms } => {
            let additional_ms = i64::try_from(additional.as_millis()).unwrap_or(i64::MAX);
            kept_ms = retention_ms.saturating_add(additional_ms).to_string();
            &[(CLEANUP_POLICY, "compact,delete"), (RETENTION_MS, &kept_ms)]
        }
        // Never cut by time: what is read and committed is purged by its reader.
        Kind::Repartition => {
            &[(CLEANUP_POLICY, "delete"), (RETENTION_MS, "-1"), ("segment.bytes", "52428800")]
        }
    };
    let all = of_kind.iter().chain(&[(TIMESTAMP_TYPE, "CreateTime")]);
    all.map(|(setting, value)| ((*setting).to_owned(), (*value).to_owned())).collect()
}

/// What is wrong with the settings of a topic. A setting that the broker does not report is not judged.
pub(super) fn findings(kind: Kind, settings: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut tell = |setting, found: &str, needed, why, gravity| {
        all.push(Finding { setting, found: found.to_owned(), needed, why, gravity });
    };
    let has = |name: &str, policy: &str| {
        settings.get(name).is_some_and(|value| value.split(',').any(|p| p.trim() == policy))
    };
    if let Some(found) = settings.get(CLEANUP_POLICY) {
        match (kind, has(CLEANUP_POLICY, "compact")) {
            (Kind::KeyValueChangelog, false) => {
                let why =
                    "what is deleted from it by age is missing in each store restored from it";
                tell(CLEANUP_POLICY, found, "compact", why, Gravity::Refuse);
            }
            (Kind::Repartition, true) => {
                let why = "of two records with one key, compaction removes the first before it is \
                           read";
                tell(CLEANUP_POLICY, found, "delete", why, Gravity::Refuse);
            }
            _ => {}
        }
    }
    if let Some(found) = settings.get(TIMESTAMP_TYPE).filter(|found| *found != "CreateTime") {
        let why = "records would have the broker's time in place of the time of their event";
        tell(TIMESTAMP_TYPE, found, "CreateTime", why, Gravity::Refuse);
    }
    let cut = match kind {
        Kind::KeyValueChangelog => has(CLEANUP_POLICY, "compact") && has(CLEANUP_POLICY, "delete"),
        Kind::WindowedChangelog { .. } => has(CLEANUP_POLICY, "delete"),
        Kind::Repartition => !has(CLEANUP_POLICY, "compact"),
    };
    for setting in [RETENTION_MS, RETENTION_BYTES] {
        if let Some(found) = settings.get(setting).filter(|found| cut && found.trim() != "-1") {
            let why = match kind {
                Kind::WindowedChangelog { retention_ms } => {
                    let kept = found.trim().parse().unwrap_or(i64::MAX);
                    if setting == RETENTION_MS && kept >= retention_ms {
                        continue;
                    }
                    "rows that the store still shows are missing after a restore"
                }
                Kind::KeyValueChangelog => {
                    "keys not written for longer are missing after a restore"
                }
                Kind::Repartition => "records are lost if their reader is behind by more than that",
            };
            tell(setting, found, "-1", why, Gravity::Warn);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::Gravity::{Refuse, Warn};
    use super::Kind::{KeyValueChangelog, Repartition, WindowedChangelog};
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn map(settings: &[(&str, &str)]) -> BTreeMap<String, String> {
        settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn judged(kind: Kind, settings: &[(&str, &str)]) -> Vec<(&'static str, Gravity)> {
        findings(kind, &map(settings)).into_iter().map(|f| (f.setting, f.gravity)).collect()
    }

    #[test]
    fn what_topics_are_made_with_is_fine() {
        let windowed = [5, i64::MAX].map(|retention_ms| WindowedChangelog { retention_ms });
        for kind in [KeyValueChangelog, Repartition, windowed[0], windowed[1]] {
            assert_eq!(findings(kind, &defaults(kind, DAY)), []);
            assert_eq!(findings(kind, &BTreeMap::new()), [], "nothing is told");
        }
    }

    #[test]
    fn each_setting_is_judged_by_the_kind_of_the_topic() {
        let policy = |policy| [(CLEANUP_POLICY, policy), (RETENTION_MS, "1000")];
        for (kind, settings, wanted) in [
            (KeyValueChangelog, policy("compact"), vec![]),
            (KeyValueChangelog, policy("delete"), vec![(CLEANUP_POLICY, Refuse)]),
            (KeyValueChangelog, policy("compact, delete"), vec![(RETENTION_MS, Warn)]),
            (Repartition, policy("delete"), vec![(RETENTION_MS, Warn)]),
            (Repartition, policy("compact"), vec![(CLEANUP_POLICY, Refuse)]),
            (Repartition, policy("delete,compact"), vec![(CLEANUP_POLICY, Refuse)]),
        ] {
            assert_eq!(judged(kind, &settings), wanted, "{kind:?} {settings:?}");
        }
        for kind in [KeyValueChangelog, Repartition] {
            let settings = [(TIMESTAMP_TYPE, "LogAppendTime")];
            assert_eq!(judged(kind, &settings), [(TIMESTAMP_TYPE, Refuse)]);
        }
        let settings = [(RETENTION_MS, "-1"), (RETENTION_BYTES, "1000000")];
        assert_eq!(judged(Repartition, &settings), [(RETENTION_BYTES, Warn)]);
        assert_eq!(judged(KeyValueChangelog, &settings), []);
    }

    /// Of `WindowedChangelogTopicConfig`: the store's retention and the additional one.
    #[test]
    fn a_changelog_of_windows_is_deleted_by_age_but_not_before_its_store() {
        let kind = WindowedChangelog { retention_ms: 3_600_000 };
        for (additional, kept_ms) in [
            (DAY, "90000000"),
            (Duration::ZERO, "3600000"),
            (Duration::from_millis(u64::MAX), "9223372036854775807"),
        ] {
            let made = defaults(kind, additional);
            assert_eq!(made.get(CLEANUP_POLICY).map(String::as_str), Some("compact,delete"));
            assert_eq!(made.get(RETENTION_MS).map(String::as_str), Some(kept_ms));
        }
        let with = |policy, kept| [(CLEANUP_POLICY, policy), (RETENTION_MS, kept)];
        for (settings, wanted) in [
            (with("compact,delete", "3600000"), vec![]),
            (with("compact,delete", "3599999"), vec![(RETENTION_MS, Warn)]),
            (with("delete", "-1"), vec![]),
            (with("compact", "1"), vec![]),
        ] {
            assert_eq!(judged(kind, &settings), wanted, "{settings:?}");
        }
        let settings = [(CLEANUP_POLICY, "compact,delete"), (RETENTION_BYTES, "1000000")];
        assert_eq!(judged(kind, &settings), [(RETENTION_BYTES, Warn)]);
    }

    #[test]
    fn a_store_wins_over_the_keys_and_these_over_what_topics_are_made_with() {
        let topics = InternalTopics {
            changelogs: vec![ChangelogTopic {
                topic: "a-s-changelog".into(),
                partitions: 1,
                settings: map(&[("segment.ms", "3")]),
                retention_ms: None,
            }],
            repartitions: vec![RepartitionTopic { topic: "a-r-repartition".into(), partitions: 1 }],
            waiting: Vec::new(),
        };
        let all = map(&[("segment.ms", "2"), ("segment.bytes", "2000000")]);
        let wanted = wanted(&topics, &all, DAY);
        let of = |at: usize, setting: &str| wanted[at].settings.get(setting).map(String::as_str);
        assert_eq!(of(0, "segment.ms"), Some("3"));
        assert_eq!(of(1, "segment.ms"), Some("2"));
        assert_eq!(of(1, "segment.bytes"), Some("2000000"));
        assert_eq!(of(0, CLEANUP_POLICY), Some("compact"));
        assert_eq!(of(1, CLEANUP_POLICY), Some("delete"));
        assert_eq!(wanted[0].delete_retention_ms(&map(&[(DELETE_RETENTION, "5")])), 5);
        assert_eq!(wanted[0].delete_retention_ms(&BTreeMap::new()), DELETE_RETENTION_MS);
    }
}
