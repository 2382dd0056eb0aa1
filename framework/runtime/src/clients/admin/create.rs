//! Makes internal topics, and waits until the brokers know them.
//!
//! It does not know what settings they need.

use std::time::Instant;

use oncestream_engine::{Resource, StreamsError};
use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;

use super::super::verdict::client_failed;
use super::controller::Attempts;
use super::settings::InternalTopic;
use super::{Admin, RETRY_EVERY, TOPIC_DEADLINE, again_while_away};

impl Admin {
    pub(super) async fn create(
        &self,
        missing: &[&InternalTopic],
        replication: i32,
    ) -> Result<(), StreamsError> {
        let topics: Vec<NewTopic<'_>> = missing
            .iter()
            .map(|t| {
                let new =
                    NewTopic::new(&t.name, t.partitions, TopicReplication::Fixed(replication));
                t.settings.iter().fold(new, |new, (key, value)| new.set(key, value))
            })
            .collect();
        let action = "creating the internal topics";
        let mut attempts = Attempts::new(self, action, TOPIC_DEADLINE);
        let results = loop {
            match self.client.create_topics(&topics, &attempts.options()).await {
                Ok(results) => break results,
                Err(e) if attempts.again(&e) => tokio::time::sleep(RETRY_EVERY).await,
                Err(e) => return Err(client_failed(action, e)),
            }
        };
        for result in results {
            match result {
                // Another instance was first; the topic is checked like any other.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((
                    topic,
                    RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::ClusterAuthorizationFailed,
                )) => {
                    return Err(StreamsError::not_authorized(Resource::Topic, &topic, "Create"));
                }
                Err((topic, code @ RDKafkaErrorCode::InvalidTopic)) => {
                    let message = code.to_string();
                    return Err(StreamsError::TopicNameRefused { topic, message });
                }
                Err((topic, code @ RDKafkaErrorCode::InvalidConfig)) => {
                    let message = format!(
                        "{code}: the broker does not take its settings (`topic.*` keys, \
                         `Materialized::topic_setting`)"
                    );
                    return Err(StreamsError::CreateTopic { topic, message });
                }
                Err((topic, code)) => {
                    return Err(StreamsError::CreateTopic { topic, message: code.to_string() });
                }
            }
        }
        Ok(())
    }

    /// Waits until the broker lists new topics.
    pub(super) fn await_topics(&self, wanted: &[&InternalTopic]) -> Result<(), StreamsError> {
        let deadline = Instant::now() + TOPIC_DEADLINE;
        loop {
            let there = again_while_away(|| self.topics())?;
            let Some(topic) = wanted.iter().find(|t| there.get(&t.name) != Some(&t.partitions))
            else {
                return Ok(());
            };
            if let Some(actual) = there.get(&topic.name) {
                return Err(StreamsError::PartitionCount {
                    topic: topic.name.to_string(),
                    expected: topic.partitions,
                    actual: *actual,
                });
            }
            // It was created, but this user may not see it.
            self.check_visible(&topic.name, "Read")?;
            if Instant::now() >= deadline {
                let action = format!("the creation of topic {}", topic.name);
                return Err(StreamsError::TimedOut { action, waited: TOPIC_DEADLINE });
            }
        }
    }
}
