//! Looks at the settings of internal topics, once for each.
//!
//! `settings.rs` says what is wrong with them. Invariant: no topic is asked for twice, even if the broker
//! did not answer, so that an assignment with nothing new costs no request.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use oncestream_engine::StreamsError;
use rdkafka::admin::{ConfigResource, ResourceSpecifier};

use super::super::verdict::{client_failed, is_transient};
use super::controller::Attempts;
use super::settings::{DELETE_RETENTION_MS, Finding, Gravity, InternalTopic, findings};
use super::{Admin, RETRY_EVERY, TOPIC_DEADLINE};

/// How long a broker may take to tell the settings of a topic that was just made.
const SETTLE: Duration = Duration::from_secs(5);

pub(super) type Settings = BTreeMap<String, String>;

impl Admin {
    /// For how long the tombstones of a topic that stores follow are kept: the topic's own `delete.retention.ms`,
    /// or what it is made with where the broker does not tell.
    pub(crate) fn delete_retention_ms(&self, changelog: &str) -> i64 {
        let looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        looked_at.get(changelog).copied().unwrap_or(DELETE_RETENTION_MS)
    }

    /// Looks at the settings of topics that were not looked at before, and of those that were made
    /// anew.
    pub(super) async fn look_at(
        &self,
        wanted: &[InternalTopic],
        made: &[&InternalTopic],
    ) -> Result<(), StreamsError> {
        let open: Vec<&InternalTopic> = {
            let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
            for topic in made {
                looked_at.remove(&topic.name);
            }
            wanted.iter().filter(|t| !looked_at.contains_key(&t.name)).collect()
        };
        if open.is_empty() {
            return Ok(());
        }
        let told = self.settings_of(&open, made).await?;
        let untold: Vec<&str> =
            open.iter().zip(&told).filter(|(_, s)| s.is_empty()).map(|(t, _)| &*t.name).collect();
        if !untold.is_empty() {
            tracing::warn!(
                topics = ?untold,
                "the brokers do not tell the settings of internal topics, so these are not \
                 checked; grant the right DescribeConfigs on them to the user of this application"
            );
        }
        for (topic, settings) in open.iter().zip(&told) {
            for finding in findings(topic.kind, settings) {
                judge(topic, finding)?;
            }
        }
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        for (topic, settings) in open.iter().zip(&told) {
            looked_at.insert(topic.name.clone(), topic.delete_retention_ms(settings));
        }
        Ok(())
    }

    /// The settings of topics, in their order; none where the broker does not tell.
    async fn settings_of(
        &self,
        topics: &[&InternalTopic],
        made: &[&InternalTopic],
    ) -> Result<Vec<Settings>, StreamsError> {
        let asked: Vec<_> = topics.iter().map(|t| ResourceSpecifier::Topic(&t.name)).collect();
        let action = "asking for the settings of internal topics";
        let mut attempts = Attempts::new(self, action, TOPIC_DEADLINE);
        let settled = Instant::now() + SETTLE;
        let mut again = false;
        loop {
            match self.client.describe_configs(&asked, &attempts.options()).await {
                Ok(resources) => {
                    // In the order asked for. A topic that is refused comes without settings: the
                    // client library drops the error that says why.
                    let mut told: Vec<Settings> = resources
                        .into_iter()
                        .map(|r| r.map(settings).unwrap_or_default())
                        .collect();
                    told.resize_with(topics.len(), Settings::new);
                    let is_untold = |name: &str| {
                        topics.iter().zip(&told).any(|(t, s)| &*t.name == name && s.is_empty())
                    };
                    // The broker that was asked may not know a new topic yet, and may refuse for
                    // a moment what it tells the next time.
                    let wait = Instant::now() < settled && made.iter().any(|m| is_untold(&m.name));
                    let untold = told.iter().any(BTreeMap::is_empty);
                    if !wait && (again || !untold) {
                        return Ok(told);
                    }
                    again = true;
                }
                Err(e) if attempts.again(&e) => {}
                Err(e) if is_transient(&e) => return Err(client_failed(action, e)),
                // A broker that does not answer such requests at all can still do its work.
                Err(error) => {
                    tracing::warn!(%error, "the settings of internal topics cannot be asked for");
                    return Ok(vec![Settings::new(); topics.len()]);
                }
            }
            tokio::time::sleep(RETRY_EVERY).await;
        }
    }
}

pub(super) fn settings(resource: ConfigResource) -> Settings {
    resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
}

/// Tells what is wrong with a topic that is there.
fn judge(topic: &InternalTopic, finding: Finding) -> Result<(), StreamsError> {
    let Finding { setting, found, needed, why, gravity } = finding;
    let topic = topic.name.to_string();
    match gravity {
        Gravity::Refuse => {
            Err(StreamsError::InternalTopicSetting { topic, setting, found, needed, why })
        }
        Gravity::Warn => {
            tracing::warn!(%topic, setting, %found, needed, "an internal topic is at risk: {why}");
            Ok(())
        }
    }
}
