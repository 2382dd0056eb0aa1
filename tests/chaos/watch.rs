//! Listens to the committed output of one application, to tell how long it takes to recover.
//!
//! Output records carry the time of the input they come from. An application has recovered from a
//! fault when every output partition has a committed record of input that was written after it.
//! Knows nothing of what records mean: what is right is verified later, from the topics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oncestream_tests::app::PARTITIONS;
use oncestream_tests::kafka::{Isolation, consumer};
use rdkafka::consumer::Consumer;
use rdkafka::{Message, Offset, TopicPartitionList};

/// How long it took to come back from one fault, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recovery {
    /// To the next committed output whose input was written after the fault, on any partition.
    pub(crate) first_ms: u64,
    /// The same, until every partition had one.
    pub(crate) all_ms: u64,
}

struct Pending {
    fault: usize,
    at_ms: i64,
    since: Instant,
    first_ms: Option<u64>,
}

#[derive(Default)]
struct State {
    /// Of each output partition the newest input time.
    newest: Vec<i64>,
    pending: Vec<Pending>,
    recovered: BTreeMap<usize, Recovery>,
}

impl State {
    fn see(&mut self, partition: usize, time_ms: i64, now: Instant) {
        self.newest[partition] = self.newest[partition].max(time_ms);
        let (newest, recovered) = (&self.newest, &mut self.recovered);
        self.pending.retain_mut(|p| {
            if time_ms < p.at_ms {
                return true;
            }
            let took = now.duration_since(p.since).as_millis() as u64;
            let first_ms = *p.first_ms.get_or_insert(took);
            let all = newest.iter().all(|ms| *ms >= p.at_ms);
            if all {
                recovered.insert(p.fault, Recovery { first_ms, all_ms: took });
            }
            !all
        });
    }
}

/// The ear at one output topic.
pub(crate) struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let state = State { newest: vec![-1; PARTITIONS as usize], ..State::default() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Listens until told to stop.
    pub(crate) fn listen(&self, topic: &str, stop: &AtomicBool) {
        let ear = consumer("watch", Isolation::Committed);
        let mut list = TopicPartitionList::new();
        for p in 0..PARTITIONS {
            list.add_partition_offset(topic, p, Offset::Beginning).unwrap();
        }
        ear.assign(&list).unwrap();
        while !stop.load(Ordering::Relaxed) {
            // Errors are brokers that are away; the client goes on when they are back.
            let Some(Ok(m)) = ear.poll(Duration::from_millis(100)) else { continue };
            let time_ms = m.timestamp().to_millis().unwrap_or(-1);
            self.lock().see(m.partition() as usize, time_ms, Instant::now());
            self.changed.notify_all();
        }
    }

    /// A fault strikes now.
    pub(crate) fn fault(&self, fault: usize) {
        let pending = Pending { fault, at_ms: now_ms(), since: Instant::now(), first_ms: None };
        self.lock().pending.push(pending);
    }

    /// Waits for the recovery from a fault: false when it did not come in time.
    pub(crate) fn recovers(&self, fault: usize, limit: Duration) -> bool {
        let done = |s: &mut State| !s.recovered.contains_key(&fault);
        let (_state, waited) = self
            .changed
            .wait_timeout_while(self.lock(), limit, done)
            .unwrap_or_else(PoisonError::into_inner);
        !waited.timed_out()
    }

    /// The recoveries so far, by fault.
    pub(crate) fn recoveries(&self) -> BTreeMap<usize, Recovery> {
        self.lock().recovered.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_takes_input_after_the_fault_on_every_partition() {
        let mut state = State { newest: vec![-1; 2], ..State::default() };
        let start = Instant::now();
        state.pending.push(Pending { fault: 3, at_ms: 100, since: start, first_ms: None });
        let after = |ms| start + Duration::from_millis(ms);
        state.see(0, 99, after(10));
        state.see(1, 100, after(20));
        state.see(1, 200, after(30));
        assert!(state.recovered.is_empty());
        state.see(0, 150, after(40));
        assert_eq!(state.recovered[&3], Recovery { first_ms: 20, all_ms: 40 });
        assert!(state.pending.is_empty());
    }
}
