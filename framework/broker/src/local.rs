//! The broker without sockets, threads and a clock of its own: for clients that share its process,
//! one step at a time.
//!
//! It applies requests as the server does, faults included, and lets time pass when it is told to. An
//! answer that has to wait (a join for other members, whatever a fault delays) is asked for again.

mod requests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use kafka_protocol::messages::{RequestKind, ResponseKind};

use crate::error::BrokerError;
use crate::fault::Faults;
use crate::log::LogRecord;
use crate::server::course::{self, Outcome};
use crate::server::{Origin, Shared};
use crate::view::ClusterView;
use requests::latest;

/// The only node.
const NODE: i32 = 1;

/// A broker that is used by calls alone. Made by
/// [`BrokerBuilder::build_local`](crate::BrokerBuilder::build_local).
///
/// Its time stands still until [`advance`](Self::advance) moves it, so that what happens in it
/// happens again in the next run. What time brings comes before each request and after it.
///
/// ```
/// use std::time::Duration;
///
/// use kafka_protocol::messages::{InitProducerIdRequest, ResponseKind, TransactionalId};
/// use oncestream_broker::Broker;
///
/// let broker = Broker::builder().build_local(0);
/// broker.create_topic("lines", 4)?;
/// let client = broker.connect("me");
/// let init = InitProducerIdRequest::default()
///     .with_transactional_id(Some(TransactionalId("id".to_owned().into())))
///     .with_transaction_timeout_ms(1000);
/// let Some(Ok(Some(ResponseKind::InitProducerId(answer)))) = client.send(init).poll() else {
///     panic!("it need not wait")
/// };
/// assert_eq!(answer.error_code, 0);
/// broker.advance(Duration::from_millis(1001));
/// assert_eq!(broker.now_ms(), 1001);
/// # Ok::<(), oncestream_broker::BrokerError>(())
/// ```
#[derive(Debug)]
pub struct LocalBroker {
    shared: Arc<Shared>,
}

impl LocalBroker {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// A client's connection.
    pub fn connect(&self, client_id: &str) -> LocalConnection {
        LocalConnection {
            shared: Arc::clone(&self.shared),
            number: self.shared.next_connection(),
            client_id: client_id.to_owned(),
        }
    }

    /// Creates a topic with Kafka's default settings.
    ///
    /// # Errors
    /// When the name is taken or no topic may have it.
    pub fn create_topic(&self, topic: &str, partitions: usize) -> Result<(), BrokerError> {
        self.create_topic_with(topic, partitions, [])
    }

    /// Creates a topic with settings, under Kafka's names.
    ///
    /// # Errors
    /// When the name is taken, no topic may have it, or a setting is wrong.
    pub fn create_topic_with<'a>(
        &self,
        topic: &str,
        partitions: usize,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), BrokerError> {
        self.shared.cluster().create_topic_with(topic, partitions, settings)
    }

    /// The moment, for timeouts.
    pub fn now(&self) -> Instant {
        self.shared.now().instant
    }

    /// The wall clock, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.shared.now().ms
    }

    /// Lets time pass, by both clocks: sessions and transactions end whose time is over.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
        self.shared.tick();
    }

    /// Sets the wall clock. No timeout comes nearer by that.
    pub fn set_wall_clock_ms(&self, ms: i64) {
        self.shared.clock.set_ms(ms);
    }

    /// The plan of faults.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The cluster at this moment.
    pub fn view(&self) -> ClusterView {
        ClusterView::of(&self.shared.cluster())
    }

    /// The number of partitions of a topic; none if it is not there.
    pub fn partition_count(&self, topic: &str) -> Option<usize> {
        self.shared.cluster().topics.get(topic).map(|topic| topic.partitions.len())
    }

    /// The records of a partition in the order of their offsets, control records and those of
    /// aborted transactions among them. Empty if there is no such partition.
    pub fn records(&self, topic: &str, partition: i32) -> Vec<LogRecord> {
        let cluster = self.shared.cluster();
        cluster.partition(topic, partition).map_or_else(Vec::new, |found| found.log.records())
    }

    /// Throws a member out of its group, as if its session had timed out. `member` is its member
    /// id or its instance id. False if there is none.
    pub fn expire_member(&self, group: &str, member: &str) -> bool {
        let now = self.shared.now();
        self.shared.cluster().groups.expire_member(group, member, now.instant)
    }
}

/// A client's connection to a [`LocalBroker`], which it keeps alive.
#[derive(Clone)]
pub struct LocalConnection {
    shared: Arc<Shared>,
    number: u64,
    client_id: String,
}

impl LocalConnection {
    /// What the client names itself.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Sends a request, in the newest version that the broker announces. Nothing happens before the
    /// answer is asked for the first time. A `Fetch` waits for nothing.
    pub fn send(&self, request: impl Into<RequestKind>) -> PendingAnswer {
        let request = request.into();
        let shared = Arc::clone(&self.shared);
        let Some((api, version)) = latest(&request) else {
            // As a server that cannot read a request.
            let close = std::future::ready(Outcome::Close);
            return PendingAnswer { shared, course: Some(Box::pin(close)) };
        };
        let origin = Origin {
            node: NODE,
            connection: self.number,
            client_id: self.client_id.clone(),
            client_host: "127.0.0.1".to_owned(),
            api,
            version,
        };
        let following = Arc::clone(&shared);
        let course = async move { course::follow(&following, &origin, request).await };
        PendingAnswer { shared, course: Some(Box::pin(course)) }
    }

    /// Sends a request and takes its answer, which must not have to wait.
    ///
    /// # Errors
    /// A fault closes the connection, or keeps the answer back.
    pub fn call(&self, request: impl Into<RequestKind>) -> Result<ResponseKind, ConnectionLost> {
        self.send(request).poll().and_then(Result::transpose).unwrap_or(Err(ConnectionLost))
    }
}

impl fmt::Debug for LocalConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalConnection")
            .field("number", &self.number)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// A fault has closed the connection, or no answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker does not answer")]
pub struct ConnectionLost;

/// An answer that may have to wait. Dropped, the request is like that of a client that went away.
pub struct PendingAnswer {
    shared: Arc<Shared>,
    /// Gone with the answer.
    course: Option<Pin<Box<dyn Future<Output = Outcome> + Send>>>,
}

impl PendingAnswer {
    /// The answer, if it is there; nothing while it waits, and after it was given. No answer was
    /// wanted where the innermost is none.
    pub fn poll(&mut self) -> Option<Result<Option<ResponseKind>, ConnectionLost>> {
        self.shared.tick();
        let course = self.course.as_mut()?;
        let polled = course.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.shared.tick();
        let Poll::Ready(outcome) = polled else { return None };
        match outcome {
            // No answer will ever come, and the connection stands.
            Outcome::Silence => {
                self.course = Some(Box::pin(std::future::pending()));
                return None;
            }
            _ => self.course = None,
        }
        Some(match outcome {
            Outcome::Answer(answer) => Ok(Some(*answer)),
            Outcome::Nothing => Ok(None),
            Outcome::Silence | Outcome::Unacknowledged | Outcome::Close => Err(ConnectionLost),
        })
    }
}

impl fmt::Debug for PendingAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = self.course.is_some();
        f.debug_struct("PendingAnswer").field("waits", &waits).finish_non_exhaustive()
    }
}
