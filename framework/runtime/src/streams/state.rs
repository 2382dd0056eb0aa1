//! The state of an application, the first error, and who is told of changes.
//!
//! It knows no threads' work: workers report where they stand, and the state follows
//! [`ClientState::may_become`]. Invariant: changes are told one at a time, in the order in which they
//! happened.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oncestream_engine::worker::WorkerState;
use oncestream_engine::{ClientState, StreamsError};
use tokio::sync::watch;

/// Told of each change: from which state, to which.
pub(super) type StateListener = Box<dyn Fn(ClientState, ClientState) + Send + Sync>;

/// The state of an application.
pub(super) struct StateCell {
    state: watch::Sender<ClientState>,
    listener: Option<StateListener>,
    /// Held from a change until the listener has returned.
    telling: Mutex<()>,
    error: Mutex<Option<StreamsError>>,
    running: Mutex<Vec<bool>>,
    /// Threads that have not ended.
    alive: AtomicUsize,
}

impl StateCell {
    /// An application with so many workers, and perhaps a thread for global tables, that was made and not
    /// started.
    pub(super) fn new(workers: usize, has_globals: bool, listener: Option<StateListener>) -> Self {
        Self {
            state: watch::Sender::new(ClientState::Created),
            listener,
            telling: Mutex::default(),
            error: Mutex::default(),
            running: Mutex::new(vec![false; workers]),
            alive: AtomicUsize::new(workers + usize::from(has_globals)),
        }
    }

    pub(super) fn now(&self) -> ClientState {
        *self.state.borrow()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<ClientState> {
        self.state.subscribe()
    }

    /// Changes the state and tells of it, if `next` may follow.
    pub(super) fn become_state(&self, next: ClientState) {
        let _one_at_a_time = locked(&self.telling);
        let from = self.now();
        if !from.may_become(next) {
            return;
        }
        tracing::info!(%from, to = %next, "state");
        self.state.send_replace(next);
        let Some(listener) = &self.listener else { return };
        if catch_unwind(AssertUnwindSafe(|| listener(from, next))).is_err() {
            tracing::error!(%from, to = %next, "the listener to changes of the state panicked");
        }
    }

    /// A worker tells where it stands.
    pub(super) fn worker(&self, index: usize, state: WorkerState) {
        let mut running = locked(&self.running);
        if let Some(worker) = running.get_mut(index) {
            *worker = state == WorkerState::Running;
        }
        let all = running.iter().all(|r| *r);
        self.become_state(if all { ClientState::Running } else { ClientState::Rebalancing });
    }

    /// A worker has stopped with an error: the first one is the application's.
    pub(super) fn failed(&self, error: StreamsError) {
        locked(&self.error).get_or_insert(error);
        self.become_state(ClientState::PendingError);
    }

    /// A worker has ended, after an error or not.
    pub(super) fn ended(&self) {
        if self.alive.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Only after an error; a shutdown has its own end.
            self.become_state(ClientState::Error);
        }
    }

    pub(super) fn take_error(&self) -> Option<StreamsError> {
        locked(&self.error).take()
    }
}

/// A panic while it was held left nothing half done.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn each_change_is_told_in_order_and_what_may_not_follow_is_none() {
        use ClientState as S;
        let told: Arc<Mutex<Vec<(S, S)>>> = Arc::default();
        let seen = told.clone();
        let listener: StateListener = Box::new(move |from, to| locked(&seen).push((from, to)));
        let cell = StateCell::new(2, false, Some(listener));
        cell.become_state(S::Rebalancing);
        cell.worker(0, WorkerState::Running);
        cell.worker(1, WorkerState::Running);
        cell.worker(0, WorkerState::Rebalancing);
        cell.become_state(S::NotRunning);
        cell.become_state(S::PendingShutdown);
        cell.worker(0, WorkerState::Running);
        cell.become_state(S::NotRunning);
        let wanted = [
            (S::Created, S::Rebalancing),
            (S::Rebalancing, S::Running),
            (S::Running, S::Rebalancing),
            (S::Rebalancing, S::PendingShutdown),
            (S::PendingShutdown, S::NotRunning),
        ];
        assert_eq!(*locked(&told), wanted);
    }

    #[test]
    fn a_listener_that_panics_does_not_stop_the_changes() {
        let cell = StateCell::new(1, false, Some(Box::new(|_, _| panic!("the listener's own"))));
        cell.become_state(ClientState::Rebalancing);
        cell.worker(0, WorkerState::Running);
        assert_eq!(cell.now(), ClientState::Running);
    }
}
