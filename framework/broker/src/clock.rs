//! What a broker tells the time by: the system's clock, or a hand.
//!
//! It knows nothing of what time brings; whoever lets it pass ticks the cluster.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::cluster::Now;

/// The time of a broker.
#[derive(Debug)]
pub(crate) enum Clock {
    System,
    /// Stands still until it is moved.
    ByHand(Mutex<Now>),
}

impl Clock {
    /// A clock that stands, at so many milliseconds since 1970.
    pub(crate) fn by_hand(ms: i64) -> Self {
        Self::ByHand(Mutex::new(Now { instant: Instant::now(), ms }))
    }

    /// This moment.
    pub(crate) fn now(&self) -> Now {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Now { instant: Instant::now(), ms: since.as_millis() as i64 }
            }
            Self::ByHand(now) => *lock(now),
        }
    }

    /// Moves a clock that goes by hand.
    pub(crate) fn advance(&self, by: Duration) {
        if let Self::ByHand(now) = self {
            let mut now = lock(now);
            now.instant += by;
            now.ms = now.ms.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
        }
    }

    /// Sets the wall clock of a clock that goes by hand; no time passes.
    pub(crate) fn set_ms(&self, ms: i64) {
        if let Self::ByHand(now) = self {
            lock(now).ms = ms;
        }
    }

    /// Waits until so much time has passed. By hand nobody is woken: whoever waits is asked again.
    pub(crate) async fn wait(&self, time: Duration) {
        match self {
            Self::System => tokio::time::sleep(time).await,
            Self::ByHand(_) => {
                let until = self.now().instant + time;
                std::future::poll_fn(|_| {
                    if self.now().instant >= until {
                        std::task::Poll::Ready(())
                    } else {
                        std::task::Poll::Pending
                    }
                })
                .await;
            }
        }
    }
}

fn lock(now: &Mutex<Now>) -> MutexGuard<'_, Now> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}
