//! The settings of a group coordinator.
//!
//! Owns their defaults: Kafka's, but for the two that only make tests wait. Does not know how a
//! broker is configured.

use std::time::Duration;

/// What the group coordinator is configured with. Names follow Kafka's broker properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupSettings {
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members.
    /// Zero completes the first rebalance inside the first join.
    pub(crate) initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`.
    pub(crate) min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`.
    pub(crate) max_session_timeout: Duration,
    /// `group.max.size`: members per group.
    pub(crate) max_size: usize,
    /// `offset.metadata.max.bytes`. Kafka counts UTF-16 units, and so does this broker.
    pub(crate) offset_metadata_max_bytes: usize,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            initial_rebalance_delay: Duration::ZERO,
            min_session_timeout: Duration::from_millis(1),
            max_session_timeout: Duration::from_millis(1_800_000),
            max_size: i32::MAX as usize,
            offset_metadata_max_bytes: 4096,
        }
    }
}
