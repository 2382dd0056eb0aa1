//! Deletes topics, and waits until the brokers have done so.

use std::sync::Arc;
use std::time::Instant;

use oncestream_engine::{Resource, StreamsError};
use rdkafka::error::RDKafkaErrorCode as Code;

use super::super::native;
use super::super::verdict::{client_failed, is_transient, is_unknown_topic, reading_failed};
use super::controller::Attempts;
use super::{Admin, REQUEST_TIMEOUT, RETRY_EVERY, TOPIC_DEADLINE};

/// A topic that is there, by its id; 0 where brokers have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicId {
    pub(crate) name: Arc<str>,
    pub(crate) id: u128,
}

/// What came of deleting topics.
#[derive(Debug)]
pub(crate) enum Deletion {
    Done,
    /// Some may be deleted, the others are not.
    Partly(StreamsError),
    /// Brokers have refused every one.
    Refused(StreamsError),
}

impl Admin {
    /// The ids of topics, in their order.
    pub(crate) fn topic_ids(&self, topics: &[Arc<str>]) -> Result<Vec<TopicId>, StreamsError> {
        let found = self.incarnations_within(TOPIC_DEADLINE, topics).map_err(|(topic, e)| {
            reading_failed(format!("asking for the id of topic {topic}"), &topic, e)
        })?;
        let id = |(name, found): (&Arc<str>, _)| TopicId { name: name.clone(), id: found };
        Ok(topics.iter().zip(found.into_iter().map(|i| i.topic)).map(id).collect())
    }

    /// Deletes topics. One that is gone already is deleted.
    pub(crate) async fn delete(&self, topics: &[TopicId]) -> Deletion {
        if topics.is_empty() {
            return Deletion::Done;
        }
        let names: Vec<&str> = topics.iter().map(|topic| &*topic.name).collect();
        let action = "deleting internal topics";
        let mut attempts = Attempts::new(self, action, TOPIC_DEADLINE);
        let results = loop {
            match self.client.delete_topics(&names, &attempts.options()).await {
                Ok(results) => break results,
                Err(e) if attempts.again(&e) => tokio::time::sleep(RETRY_EVERY).await,
                Err(e) => return Deletion::Partly(client_failed(action, e)),
            }
        };
        let is_done = |result: &Result<String, (String, Code)>| {
            matches!(result, Ok(_) | Err((_, Code::UnknownTopicOrPartition)))
        };
        let none = !results.iter().any(is_done);
        let refused = results.into_iter().filter(|result| !is_done(result)).find_map(Result::err);
        match refused.map(|(topic, code)| refusal(topic, code)) {
            None => Deletion::Done,
            Some(error) if none => Deletion::Refused(error),
            Some(error) => Deletion::Partly(error),
        }
    }

    /// Waits until topics are gone, or others of their names are there.
    pub(crate) fn await_deletion(&self, topics: &[TopicId]) -> Result<(), StreamsError> {
        let deadline = Instant::now() + TOPIC_DEADLINE;
        let names: Vec<&str> = topics.iter().map(|topic| &*topic.name).collect();
        loop {
            let left = match native::topic_ids(self.client.inner(), &names, REQUEST_TIMEOUT) {
                Ok(found) => topics.iter().zip(found).find(|(topic, found)| match found {
                    Ok(id) => *id == topic.id,
                    Err(error) => !is_unknown_topic(error),
                }),
                Err(error) if is_transient(&error) => {
                    self.look_for_controller();
                    topics.first().map(|topic| (topic, Err(error)))
                }
                Err(e) => return Err(client_failed("looking for deleted topics", e)),
            };
            let Some((topic, _)) = left else { return Ok(()) };
            if Instant::now() >= deadline {
                let action = format!("the deletion of topic {}", topic.name);
                return Err(StreamsError::TimedOut { action, waited: TOPIC_DEADLINE });
            }
            std::thread::sleep(RETRY_EVERY);
        }
    }
}

fn refusal(topic: String, code: Code) -> StreamsError {
    match code {
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => {
            StreamsError::not_authorized(Resource::Topic, topic, "Delete")
        }
        code => client_failed(
            format!("deleting internal topic {topic}"),
            rdkafka::error::KafkaError::AdminOp(code),
        ),
    }
}
