//! Looks at the settings of the user's topics that stores follow: those of global tables, and those of tables
//! without a changelog.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use oncestream_core::graph::Graph;
use oncestream_engine::StreamsError;
use rdkafka::admin::ResourceSpecifier;

use super::controller::Attempts;
use super::describe::{Settings, settings};
use super::settings::{CLEANUP_POLICY, DELETE_RETENTION, RETENTION_BYTES, RETENTION_MS};
use super::{Admin, RETRY_EVERY, TOPIC_DEADLINE};

/// What a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// Each instance has all of it.
    GlobalTable,
    /// It is all that brings the store of a table back.
    Changelog,
}

impl Admin {
    /// Looks at the topics that stores of a topology follow and that are the user's: for how long they keep
    /// tombstones, and whether they forget records.
    ///
    /// # Errors
    /// A topic is the changelog of a table, and deletes records by age or size.
    pub(crate) async fn look_at_table_topics(&self, topology: &Graph) -> Result<(), StreamsError> {
        let globals = topology.global_tables().iter();
        let globals = globals.map(|table| (table.topic.clone(), Use::GlobalTable));
        let sources = topology.stores().iter().filter_map(|def| topology.source_topic_of(def));
        let sources = sources.map(|topic| (topic.clone(), Use::Changelog));
        // Two tables may have one topic.
        let topics: BTreeMap<Arc<str>, Use> = globals.chain(sources).collect();
        if topics.is_empty() {
            return Ok(());
        }
        let asked: Vec<_> = topics.keys().map(|topic| ResourceSpecifier::Topic(topic)).collect();
        let action = "asking for the settings of the topics of tables";
        let mut attempts = Attempts::new(self, action, TOPIC_DEADLINE);
        let told = loop {
            match self.client.describe_configs(&asked, &attempts.options()).await {
                Ok(resources) => {
                    break resources.into_iter().map(|r| r.map(settings).unwrap_or_default());
                }
                Err(e) if attempts.again(&e) => tokio::time::sleep(RETRY_EVERY).await,
                Err(error) => {
                    tracing::warn!(%error, "the settings of the topics of tables cannot be asked for");
                    return Ok(());
                }
            }
        };
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        for ((topic, used_for), settings) in topics.iter().zip(told) {
            judge(topic, *used_for, &settings)?;
            if let Some(ms) = settings.get(DELETE_RETENTION).and_then(|ms| ms.trim().parse().ok()) {
                looked_at.insert(topic.clone(), ms);
            }
        }
        Ok(())
    }
}

/// How a topic forgets records that are not old versions of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forgets {
    /// It does not, or the brokers do not tell.
    Nothing,
    /// What was not written again for long.
    Some,
    /// All that is old.
    All,
}

fn forgets(settings: &Settings) -> Forgets {
    let Some(policy) = settings.get(CLEANUP_POLICY) else { return Forgets::Nothing };
    let has = |wanted: &str| policy.split(',').any(|one| one.trim() == wanted);
    let is_cut = |limit| settings.get(limit).is_some_and(|found| found.trim() != "-1");
    if !has("delete") || !(is_cut(RETENTION_MS) || is_cut(RETENTION_BYTES)) {
        return Forgets::Nothing;
    }
    if has("compact") { Forgets::Some } else { Forgets::All }
}

fn judge(topic: &Arc<str>, used_for: Use, settings: &Settings) -> Result<(), StreamsError> {
    match (used_for, forgets(settings)) {
        (_, Forgets::Nothing) => {}
        (Use::Changelog, Forgets::All) => {
            let found = settings.get(CLEANUP_POLICY).cloned().unwrap_or_default();
            return Err(StreamsError::TableTopicForgets { topic: topic.to_string(), found });
        }
        (Use::Changelog, Forgets::Some) => tracing::warn!(
            %topic,
            "the topic of a table is its changelog and deletes records by age or size: keys not written for \
             longer are missing in the table after a restore; set cleanup.policy=compact"
        ),
        (Use::GlobalTable, _) => tracing::warn!(
            %topic,
            "the topic of a global table deletes records by age or size: these stay in the tables that have \
             them, and are not in new ones"
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(policy: &str, retention_ms: &str, retention_bytes: &str) -> Forgets {
        let settings = [
            (CLEANUP_POLICY, policy),
            (RETENTION_MS, retention_ms),
            (RETENTION_BYTES, retention_bytes),
        ];
        forgets(&settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }

    #[test]
    fn a_topic_forgets_what_it_deletes_by_age_or_size() {
        for (policy, retention_ms, retention_bytes, expected) in [
            ("delete", "604800000", "-1", Forgets::All),
            ("delete", "-1", "1000", Forgets::All),
            ("delete", "-1", "-1", Forgets::Nothing),
            ("compact", "604800000", "1000", Forgets::Nothing),
            ("compact, delete", "604800000", "-1", Forgets::Some),
            ("delete,compact", "-1", "-1", Forgets::Nothing),
        ] {
            assert_eq!(judged(policy, retention_ms, retention_bytes), expected, "{policy}");
        }
        assert_eq!(forgets(&Settings::new()), Forgets::Nothing, "nothing is told");
    }

    #[test]
    fn only_a_changelog_is_refused_for_it() {
        let settings: Settings = [(CLEANUP_POLICY, "delete"), (RETENTION_MS, "1")]
            .map(|(n, v)| (n.into(), v.into()))
            .into();
        let topic: Arc<str> = "users".into();
        assert!(judge(&topic, Use::GlobalTable, &settings).is_ok());
        let refused = judge(&topic, Use::Changelog, &settings).unwrap_err().to_string();
        for word in ["users", "cleanup.policy=delete", "reuse.ktable.source.topics"] {
            assert!(refused.contains(word), "{refused}");
        }
    }
}
