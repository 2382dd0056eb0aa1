//! The state of an application, as in Kafka Streams, and which may follow which.

use std::fmt;

/// Where an application stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientState {
    /// Before the start. A handle on an application is given after its start, so only a listener sees
    /// this state, as the one that the first change comes from.
    Created,
    /// Partitions are being assigned or stores restored; some tasks may run.
    Rebalancing,
    /// All tasks run.
    Running,
    /// Shutting down.
    PendingShutdown,
    /// Shut down.
    NotRunning,
    /// Shutting down after an error.
    PendingError,
    /// Stopped by an error.
    Error,
}

impl ClientState {
    /// Whether `next` may follow (the table of `KafkaStreams.State`).
    pub fn may_become(self, next: Self) -> bool {
        use ClientState as S;
        matches!(
            (self, next),
            (S::Created | S::Running, S::Rebalancing)
                | (S::Rebalancing, S::Running)
                | (S::Created | S::Rebalancing | S::Running, S::PendingShutdown | S::PendingError)
                | (S::PendingShutdown, S::NotRunning)
                | (S::PendingError, S::Error)
        )
    }

    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::NotRunning | Self::Error)
    }
}

impl fmt::Display for ClientState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "CREATED",
            Self::Rebalancing => "REBALANCING",
            Self::Running => "RUNNING",
            Self::PendingShutdown => "PENDING_SHUTDOWN",
            Self::NotRunning => "NOT_RUNNING",
            Self::PendingError => "PENDING_ERROR",
            Self::Error => "ERROR",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ClientState as S;

    #[test]
    fn nothing_follows_a_final_state_and_an_error_never_becomes_running() {
        let all = [
            S::Created,
            S::Rebalancing,
            S::Running,
            S::PendingShutdown,
            S::NotRunning,
            S::PendingError,
            S::Error,
        ];
        for next in all {
            assert!(!S::NotRunning.may_become(next) && !S::Error.may_become(next));
            assert_eq!(S::PendingError.may_become(next), next == S::Error);
        }
        assert!(S::Running.may_become(S::Rebalancing) && S::Rebalancing.may_become(S::Running));
    }
}
