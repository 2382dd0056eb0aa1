//! The broker's own settings, under Kafka's names.

use std::time::Duration;

use crate::error::BrokerError;
use crate::group::GroupSettings;

/// What a broker goes by.
#[derive(Debug, Clone)]
pub(crate) struct BrokerSettings {
    pub(crate) auto_create_topics: bool,
    pub(crate) num_partitions: i32,
    pub(crate) message_max_bytes: Option<String>,
    pub(crate) transaction_max_timeout: Duration,
    pub(crate) marker_delay: Duration,
    pub(crate) cleaner_backoff: Duration,
    pub(crate) retention_check_interval: Duration,
    pub(crate) request_max_bytes: usize,
    pub(crate) max_idle: Duration,
    pub(crate) group_initial_rebalance_delay: Duration,
    pub(crate) group_min_session_timeout: Duration,
    pub(crate) group_max_session_timeout: Duration,
    pub(crate) group_max_size: usize,
    pub(crate) offset_metadata_max_bytes: usize,
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self {
            auto_create_topics: false,
            num_partitions: 1,
            message_max_bytes: None,
            transaction_max_timeout: Duration::from_mins(15),
            marker_delay: Duration::from_millis(1),
            cleaner_backoff: Duration::from_secs(15),
            retention_check_interval: Duration::from_mins(5),
            request_max_bytes: 100 << 20,
            max_idle: Duration::from_mins(10),
            group_initial_rebalance_delay: Duration::ZERO,
            group_min_session_timeout: Duration::from_millis(1),
            group_max_session_timeout: Duration::from_mins(30),
            group_max_size: i32::MAX as usize,
            offset_metadata_max_bytes: 4096,
        }
    }
}

/// The names [`BrokerSettings::set`] knows.
const NAMES: [&str; 13] = [
    "auto.create.topics.enable",
    "num.partitions",
    "message.max.bytes",
    "transaction.max.timeout.ms",
    "log.cleaner.backoff.ms",
    "log.retention.check.interval.ms",
    "socket.request.max.bytes",
    "connections.max.idle.ms",
    "group.initial.rebalance.delay.ms",
    "group.min.session.timeout.ms",
    "group.max.session.timeout.ms",
    "group.max.size",
    "offset.metadata.max.bytes",
];

impl BrokerSettings {
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), BrokerError> {
        let invalid = |wanted| BrokerError::Setting {
            name: name.to_owned(),
            value: value.to_owned(),
            wanted,
        };
        let number = |least: u64| {
            let number = value.trim().parse::<u64>().ok().filter(|number| *number >= least);
            number.ok_or_else(|| invalid(format!("a whole number, at least {least}")))
        };
        let millis = || number(0).map(Duration::from_millis);
        match name {
            "auto.create.topics.enable" => {
                self.auto_create_topics =
                    value.parse().map_err(|_| invalid("true or false".to_owned()))?;
            }
            "num.partitions" => self.num_partitions = number(1)?.min(100_000) as i32,
            "message.max.bytes" => self.message_max_bytes = Some(number(0)?.to_string()),
            "transaction.max.timeout.ms" => self.transaction_max_timeout = millis()?,
            "log.cleaner.backoff.ms" => self.cleaner_backoff = millis()?,
            "log.retention.check.interval.ms" => self.retention_check_interval = millis()?,
            "socket.request.max.bytes" => self.request_max_bytes = number(1)? as usize,
            "connections.max.idle.ms" => self.max_idle = millis()?,
            "group.initial.rebalance.delay.ms" => self.group_initial_rebalance_delay = millis()?,
            "group.min.session.timeout.ms" => self.group_min_session_timeout = millis()?,
            "group.max.session.timeout.ms" => self.group_max_session_timeout = millis()?,
            "group.max.size" => self.group_max_size = number(1)? as usize,
            "offset.metadata.max.bytes" => self.offset_metadata_max_bytes = number(0)? as usize,
            _ => {
                return Err(BrokerError::UnknownSetting {
                    name: name.to_owned(),
                    known: NAMES.join(", "),
                });
            }
        }
        Ok(())
    }

    pub(crate) fn group(&self) -> GroupSettings {
        GroupSettings {
            initial_rebalance_delay: self.group_initial_rebalance_delay,
            min_session_timeout: self.group_min_session_timeout,
            max_session_timeout: self.group_max_session_timeout,
            max_size: self.group_max_size,
            offset_metadata_max_bytes: self.offset_metadata_max_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_others_are_refused() {
        let mut settings = BrokerSettings::default();
        for name in NAMES {
            let value = if name.starts_with("auto") { "true" } else { "7" };
            settings.set(name, value).unwrap();
            assert!(settings.set(name, "x").is_err(), "{name}");
        }
        assert!(settings.auto_create_topics);
        assert_eq!(settings.group().min_session_timeout, Duration::from_millis(7));
        let error = settings.set("num.partition", "1").unwrap_err();
        assert!(error.to_string().contains("num.partitions"), "{error}");
    }
}
