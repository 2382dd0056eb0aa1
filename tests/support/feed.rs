//! A thread that writes to a topic at a steady rate, and knows what was acknowledged.
//!
//! Invariant: what [`Feeder::stop`] returns is exactly what is in the topic.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::ClientContext;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::kafka::{LIMIT, client};

/// Lines are written in steps of this.
const STEP: Duration = Duration::from_millis(10);

#[derive(Default)]
struct Acknowledged {
    count: AtomicUsize,
    failure: Mutex<Option<String>>,
}

#[derive(Clone, Default)]
struct Deliveries(Arc<Acknowledged>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => drop(self.0.count.fetch_add(1, Ordering::Relaxed)),
            Err((e, _)) => *self.0.failure.lock().unwrap() = Some(e.to_string()),
        }
    }
}

/// A thread that writes values, round-robin over the partitions.
pub struct Feeder {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Feeder {
    /// Writes what `next` gives, `per_second` values a second, until stopped or `most` are out.
    pub fn start(
        topic: &str,
        per_second: usize,
        most: usize,
        mut next: impl FnMut() -> String + Send + 'static,
    ) -> Self {
        let topic = topic.to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let deliveries = Deliveries::default();
            let producer: ThreadedProducer<Deliveries> = client()
                .set("enable.idempotence", "true")
                .set("linger.ms", "5")
                // Without keys: one partition a batch at most, and all in turn.
                .set("sticky.partitioning.linger.ms", "0")
                .create_with_context(deliveries.clone())
                .unwrap();
            let mut sent = Vec::new();
            let started = Instant::now();
            while !stopped.load(Ordering::Relaxed) && sent.len() < most {
                let due = (started.elapsed().as_secs_f64() * per_second as f64) as usize;
                while sent.len() < due.min(most) {
                    let value = next();
                    let record: BaseRecord<'_, (), str> = BaseRecord::to(&topic).payload(&value);
                    producer.send(record).map_err(|(e, _)| e).unwrap();
                    sent.push(value);
                }
                std::thread::sleep(STEP);
            }
            producer.flush(LIMIT).unwrap();
            let failure = deliveries.0.failure.lock().unwrap().take();
            assert_eq!(failure, None, "the feeder's own records must arrive");
            assert_eq!(deliveries.0.count.load(Ordering::Relaxed), sent.len());
            sent
        });
        Self { stop, thread: Some(thread) }
    }

    /// Waits until all values are out: what was acknowledged, which is all.
    pub fn finish(mut self) -> Vec<String> {
        self.thread.take().unwrap().join().unwrap()
    }

    /// Stops: what was acknowledged, which is all that was written.
    pub fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.finish()
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Lines of four words out of `vocabulary`, some far more frequent than others.
pub fn lines(seed: u64, vocabulary: usize) -> impl FnMut() -> String + Send + 'static {
    let mut rng = StdRng::seed_from_u64(seed);
    move || {
        let words = [(); 4].map(|()| {
            let skewed = rng.random::<f64>().powi(2) * vocabulary as f64;
            format!("w{:04}", skewed as usize)
        });
        words.join(" ")
    }
}
