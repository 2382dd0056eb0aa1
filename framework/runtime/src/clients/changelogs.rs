//! The consumers that read changelogs, a worker's for its restores and an instance's for the topics of its
//! global tables: assigned by hand, each partition with a queue of its own.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use oncestream_core::TopicPartition;
use oncestream_engine::ClientError;
use oncestream_engine::ports::{ChangelogQueue, ChangelogReader, Fetched, Taken};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;

use super::context::{self, LogContext};
use super::native::PartitionQueue;
use super::offsets::end_offset;
use super::verdict::client_error;
use super::{assignment, lists};
use crate::config::ClientSettings;

/// Reads changelogs, by the settings of a restore consumer.
pub(crate) struct KafkaChangelogs {
    client: Arc<BaseConsumer<LogContext>>,
    /// Of a reader that waits for records.
    arrivals: Option<Arc<Arrivals>>,
}

/// Whether a queue has got something since the last look.
#[derive(Default)]
struct Arrivals {
    is_there: Mutex<bool>,
    told: Condvar,
}

impl Arrivals {
    fn tell(&self) {
        *self.is_there.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.told.notify_one();
    }

    fn wait(&self, timeout: Duration) {
        let is_there = self.is_there.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.told.wait_timeout_while(is_there, timeout, |is_there| !*is_there);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

impl KafkaChangelogs {
    pub(crate) fn new(settings: &ClientSettings) -> Result<Self, KafkaError> {
        Ok(Self { client: Arc::new(context::create(settings, LogContext)?), arrivals: None })
    }

    /// A reader that can be waited with for records.
    pub(crate) fn waiting(settings: &ClientSettings) -> Result<Self, KafkaError> {
        Ok(Self { arrivals: Some(Arc::default()), ..Self::new(settings)? })
    }

    fn read(
        &self,
        positions: &[(TopicPartition, i64)],
    ) -> Result<Vec<PartitionQueue<LogContext>>, KafkaError> {
        // Before the assignment, or what is fetched in between would go to the consumer's own
        // queue, which nobody reads. The client keeps a queue that was split apart.
        let split = |(p, _): &(TopicPartition, i64)| {
            let none = || KafkaError::Subscription(format!("no queue for {p}"));
            let mut queue = PartitionQueue::split(&self.client, p).ok_or_else(none)?;
            if let Some(arrivals) = self.arrivals.clone() {
                queue.listen(move || arrivals.tell());
            }
            Ok::<_, KafkaError>(queue)
        };
        let queues = positions.iter().map(split).collect::<Result<_, KafkaError>>()?;
        assignment::assign(&self.client, &lists::at_offsets(positions)?)?;
        Ok(queues)
    }
}

impl ChangelogReader for KafkaChangelogs {
    type Queue = PartitionQueue<LogContext>;

    fn assign(
        &mut self,
        positions: &[(TopicPartition, i64)],
    ) -> Result<Vec<Self::Queue>, ClientError> {
        self.read(positions).map_err(client_error)
    }

    fn rest(&mut self) {
        if let Err(error) = assignment::unassign(&self.client) {
            tracing::warn!(%error, "the restore consumer goes on fetching");
        }
    }

    /// Records come by the queues of their partitions.
    fn listen(&mut self) {
        while let Some(said) = self.client.poll(Duration::ZERO) {
            if let Err(error) = said {
                tracing::debug!(%error, "the restore consumer will try again");
            }
        }
    }

    /// The client reads committed, so the end that it tells is the last stable offset.
    fn last_stable(
        &self,
        partition: &TopicPartition,
        timeout: Duration,
    ) -> Result<i64, ClientError> {
        end_offset(&self.client, partition, timeout).map_err(client_error)
    }

    fn wait(&self, timeout: Duration) {
        if let Some(arrivals) = &self.arrivals {
            arrivals.wait(timeout);
        }
    }
}

impl<C: ConsumerContext> ChangelogQueue for PartitionQueue<C> {
    fn take<E>(&mut self, mut each: impl FnMut(Fetched<'_>) -> Result<(), E>) -> Result<usize, E> {
        let mut count = 0;
        for fetched in self.batch() {
            each(fetched)?;
            count += 1;
        }
        Ok(count)
    }

    fn take_records<E>(
        &mut self,
        max: usize,
        mut each: impl FnMut(Taken<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        for count in 0..max {
            let Some(taken) = self.next() else { return Ok(count) };
            each(taken)?;
        }
        Ok(max)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io;
    use std::net::TcpListener;
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;
    use crate::config::StreamsConfig;

    /// What a subscriber of `tracing` was told, as text.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Told {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(text)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The records of a restore come by queues of their own, and nobody reads the main one by the way.
    #[test]
    fn what_the_restore_consumer_has_to_say_is_heard() {
        // A port that nobody listens on.
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let config = StreamsConfig::builder("app", &nobody).build().unwrap();
        let mut changelogs = KafkaChangelogs::new(&config.restore_consumer_settings(0)).unwrap();
        // With a single subscriber, `tracing` asks that of whichever thread comes to a line first, and that
        // of another test has none.
        let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
        let told = Told::default();
        let writer = told.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let until = Instant::now() + Duration::from_secs(60);
            while !String::from_utf8_lossy(&told.0.lock().unwrap()).contains(&nobody) {
                assert!(Instant::now() < until, "no error of a connection was told");
                changelogs.listen();
                std::thread::yield_now();
            }
        });
    }
}
