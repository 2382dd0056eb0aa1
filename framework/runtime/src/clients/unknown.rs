//! Topics that a producer does not know, or no longer: how long they are asked for before a record
//! for one is refused.
//!
//! librdkafka 2.12 believes the first broker that does not know a topic, even if it has long
//! written to it, and refuses every record for it at once until its next look, minutes later.
//! Kafka's own producer goes on asking. Records that wait in the client then are lost with their
//! transaction, which is not believed either: the brokers are asked before the next record is handed
//! over. Invariant: a topic is refused only after it was asked for during the whole patience; after
//! that it is asked for now and then, so that one created later is found.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

/// How often a topic is asked for while a record waits.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How often it is asked for when its records are refused.
const ASK_LATER: Duration = Duration::from_secs(1);
/// How long one question may take.
const ASK_LIMIT: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug)]
struct Unknown {
    since: Instant,
    /// When its last record was refused, and it was asked for once more.
    refused: Option<Instant>,
    /// Records for it were lost: the client may take the next one only to lose it again.
    doubted: bool,
}

/// The topics that are unknown at present.
#[derive(Debug)]
pub(super) struct UnknownTopics {
    patience: Duration,
    topics: HashMap<String, Unknown>,
}

/// What to do about a record for an unknown topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Ask for the topic, and try the record again.
    Ask,
    Refuse,
}

impl UnknownTopics {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, topics: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// A record for the topic was lost because the client did not know the topic.
    #[cold]
    pub(super) fn doubt(&mut self, topic: &str) {
        let new = Unknown { since: Instant::now(), refused: None, doubted: true };
        self.topics.entry(topic.to_owned()).or_insert(new).doubted = true;
    }

    /// Whether brokers have to be asked for a topic before a record for it is handed over.
    pub(super) fn is_doubted(&self, topic: &str) -> bool {
        self.topics.get(topic).is_some_and(|known| known.doubted)
    }

    /// A record for the topic was taken.
    #[cold]
    pub(super) fn found(&mut self, topic: &str) {
        self.topics.remove(topic);
    }

    /// Asks the brokers for a topic that the client does not know. False if its record is to be
    /// refused.
    #[cold]
    pub(super) fn await_topic<C: ProducerContext>(
        &mut self,
        topic: &str,
        client: &BaseProducer<C>,
    ) -> bool {
        if self.next(topic, Instant::now()) == Next::Refuse {
            return false;
        }
        match client.client().fetch_metadata(Some(topic), ASK_LIMIT) {
            Ok(answer) if answer.topics().iter().any(is_there) => {
                self.topics.entry(topic.to_owned()).and_modify(|known| known.doubted = false);
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(topic, %error, "no metadata"),
        }
        std::thread::sleep(ASK_EVERY);
        true
    }

    fn next(&mut self, topic: &str, now: Instant) -> Next {
        let Some(known) = self.topics.get_mut(topic) else {
            tracing::warn!(topic, "the brokers do not know a topic that is written to");
            self.topics
                .insert(topic.to_owned(), Unknown { since: now, refused: None, doubted: false });
            return Next::Ask;
        };
        let waited = now.duration_since(known.since);
        match known.refused {
            None if waited < self.patience => Next::Ask,
            Some(at) if now.duration_since(at) >= ASK_LATER => {
                known.refused = Some(now);
                Next::Ask
            }
            None => {
                known.refused = Some(now);
                Next::Refuse
            }
            Some(_) => Next::Refuse,
        }
    }
}

fn is_there(topic: &MetadataTopic) -> bool {
    topic.error().is_none() && !topic.partitions().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_asked_for_during_the_patience_and_then_seldom() {
        let mut topics = UnknownTopics::new(Duration::from_secs(5));
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        assert!([0, 50, 4_900].iter().all(|ms| topics.next("t", at(*ms)) == Next::Ask));
        assert!([5_000, 5_050, 5_999].iter().all(|ms| topics.next("t", at(*ms)) == Next::Refuse));
        assert_eq!(topics.next("t", at(6_000)), Next::Ask);
        assert_eq!(topics.next("t", at(6_100)), Next::Refuse);
        assert_eq!(topics.next("other", at(6_100)), Next::Ask, "each has its own patience");
        topics.found("t");
        assert_eq!(topics.next("t", at(6_200)), Next::Ask);
    }

    #[test]
    fn a_topic_whose_records_were_lost_is_doubted_until_a_record_is_taken() {
        let mut topics = UnknownTopics::new(Duration::from_secs(5));
        assert!(!topics.is_doubted("t"));
        topics.doubt("t");
        assert!(topics.is_doubted("t") && !topics.is_doubted("other"));
        assert_eq!(topics.next("t", Instant::now()), Next::Ask);
        assert_eq!(topics.next("t", Instant::now() + Duration::from_secs(6)), Next::Refuse);
        topics.found("t");
        assert!(!topics.is_doubted("t"));
    }
}
