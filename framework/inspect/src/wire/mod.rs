//! A small client of Kafka's protocol: the brokers of a cluster, the leaders of partitions.
//!
//! Knows nothing of what is asked for. Invariants: a broker is asked over one connection; a connection
//! that failed is made anew at the next question.

mod connection;
mod messages;
mod shape;

use std::collections::BTreeMap;

use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::protocol::StrBytes;

use crate::config::{ClientConfig, Server};
use crate::error::InspectError;
use connection::Connection;
pub(crate) use messages::Ask;

/// A client of a cluster, which only asks.
///
/// See the [crate](crate) for an example.
pub struct Client {
    config: ClientConfig,
    /// To any broker: for what all of them know.
    any: Option<Connection>,
    brokers: BTreeMap<i32, Server>,
    connections: BTreeMap<i32, Connection>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let brokers = self.brokers.iter().map(|(id, server)| (id, server.to_string()));
        f.debug_struct("Client")
            .field("config", &self.config)
            .field("brokers", &brokers.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to the first of the configured brokers that answers.
    ///
    /// # Errors
    /// [`InspectError::Unreachable`] with what became of each, within the timeouts of the
    /// configuration.
    pub async fn connect(config: ClientConfig) -> Result<Self, InspectError> {
        let any = Some(open_any(&config).await?);
        Ok(Self { config, any, brokers: BTreeMap::new(), connections: BTreeMap::new() })
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// The brokers that the last metadata told of.
    pub(crate) fn brokers(&self) -> Vec<i32> {
        self.brokers.keys().copied().collect()
    }

    /// A broker for people: `2 (kafka-2:9092)`.
    pub(crate) fn name_of(&self, broker: i32) -> String {
        match self.brokers.get(&broker) {
            Some(server) => format!("{broker} ({server})"),
            None => broker.to_string(),
        }
    }

    /// Learns the brokers, and the topics of these names, or none, or all that the user may see. It
    /// creates no topic.
    pub(crate) async fn metadata(
        &mut self,
        topics: Topics<'_>,
    ) -> Result<Vec<MetadataResponseTopic>, InspectError> {
        let named = |name: &str| {
            let name = TopicName(StrBytes::from_string(name.to_owned()));
            MetadataRequestTopic::default().with_name(Some(name))
        };
        let topics = match topics {
            Topics::All => None,
            Topics::None => Some(Vec::new()),
            Topics::One(name) => Some(vec![named(name)]),
        };
        let request =
            MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(false);
        let answer = self.ask_any(&request).await?;
        let brokers = answer.brokers.into_iter().filter_map(|broker| {
            let (host, port) = (broker.host.to_string(), u16::try_from(broker.port).ok()?);
            Some((broker.node_id.0, Server { host, port }))
        });
        self.brokers = brokers.collect();
        Ok(answer.topics)
    }

    /// Asks any broker. A connection that was kept may have ended since: then another is asked.
    async fn ask_any<A: Ask>(&mut self, request: &A) -> Result<A::Answer, InspectError> {
        if let Some(mut kept) = self.any.take()
            && let Ok(answer) = kept.ask(request).await
        {
            self.any = Some(kept);
            return Ok(answer);
        }
        let mut any = open_any(&self.config).await?;
        let answer = any.ask(request).await?;
        self.any = Some(any);
        Ok(answer)
    }

    /// Asks one broker of the cluster.
    pub(crate) async fn ask<A: Ask>(
        &mut self,
        broker: i32,
        request: &A,
    ) -> Result<A::Answer, InspectError> {
        let mut connection = match (self.connections.remove(&broker), self.brokers.get(&broker)) {
            (Some(connection), _) => connection,
            (None, Some(server)) => Connection::open(server, &self.config).await?,
            (None, None) => {
                let attempts = vec![format!("broker {broker} is not in the cluster any more")];
                return Err(InspectError::Unreachable { attempts });
            }
        };
        let answer = connection.ask(request).await?;
        self.connections.insert(broker, connection);
        Ok(answer)
    }
}

/// Which topics to learn of.
#[derive(Clone, Copy)]
pub(crate) enum Topics<'a> {
    All,
    None,
    One(&'a str),
}

async fn open_any(config: &ClientConfig) -> Result<Connection, InspectError> {
    let mut attempts = Vec::new();
    for server in &config.servers {
        match Connection::open(server, config).await {
            Ok(connection) => return Ok(connection),
            Err(error) if config.servers.len() == 1 => return Err(error),
            Err(error) => attempts.push(error.to_string()),
        }
    }
    Err(InspectError::Unreachable { attempts })
}
