//! Records that the broker refuses for good, recognised when they are sent again.
//!
//! The broker's refusal comes after the record was handed over, and the transaction it is in can
//! only be aborted. The tasks then process their records again from the committed offsets, and a
//! record with the same topic, key and value is known:
//! - The broker refuses whole batches. Where it names the records at fault they are guilty. Where it
//!   does not, each record of the batch is at first a suspect. A suspect is sent alone: if it is
//!   refused again it is guilty, otherwise it was in bad company.
//! - A guilty record is refused here, before the client sees it. The production handler is asked
//!   then, with the record's source at hand, and the transaction goes on.
//!
//! Invariant: at the first commit of a transaction that met no known record, all of them are
//! forgotten, because what is refused depends on the topic too, and the topic may have changed.

use oncestream_core::task::{Origin, Outgoing};
use oncestream_engine::ClientError;

/// One refused record.
#[derive(Debug)]
pub(crate) struct RefusedRecord {
    pub(crate) topic: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) error: ClientError,
    /// The broker has named it, among others of its batch that it has not.
    pub(crate) named: bool,
}

impl RefusedRecord {
    fn is(&self, record: &Outgoing<'_>) -> bool {
        self.topic == record.topic
            && self.value.as_deref() == record.value
            && self.key.as_deref() == record.key
    }

    fn is_same(&self, other: &Self) -> bool {
        self.topic == other.topic && self.value == other.value && self.key == other.key
    }
}

/// What is known of a record that is about to be sent.
#[derive(Debug)]
pub(crate) enum Suspicion {
    None,
    Suspect,
    Guilty(ClientError),
}

/// The refused records since the last commit.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    suspects: Vec<RefusedRecord>,
    guilty: Vec<RefusedRecord>,
    applied: bool,
    /// A known record was met since the last commit.
    met: bool,
}

impl Refusals {
    /// Nothing is known: the case that must cost nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.suspects.is_empty() && self.guilty.is_empty()
    }

    /// Takes refused records in.
    pub(crate) fn learn(&mut self, refused: Vec<RefusedRecord>) {
        for record in refused {
            let known =
                self.guilty.iter().chain(&self.suspects).any(|known| known.is_same(&record));
            match (known, record.named) {
                (true, _) => {}
                (false, true) => self.guilty.push(record),
                (false, false) => self.suspects.push(record),
            }
        }
    }

    /// What is known of a record. Only sinks' records can be refused without harm.
    pub(crate) fn suspicion(&mut self, record: &Outgoing<'_>) -> Suspicion {
        if record.origin != Origin::Sink {
            return Suspicion::None;
        }
        if let Some(guilty) = self.guilty.iter().find(|guilty| guilty.is(record)) {
            self.applied = true;
            self.met = true;
            return Suspicion::Guilty(guilty.error.clone());
        }
        if self.suspects.iter().any(|suspect| suspect.is(record)) {
            return Suspicion::Suspect;
        }
        Suspicion::None
    }

    /// A suspect was sent alone, and refused again or not.
    pub(crate) fn tried(&mut self, record: &Outgoing<'_>, refused: bool) {
        if let Some(at) = self.suspects.iter().position(|suspect| suspect.is(record)) {
            let suspect = self.suspects.swap_remove(at);
            self.met = true;
            if refused {
                self.guilty.push(suspect);
            }
        }
    }

    /// A commit succeeded.
    pub(crate) fn committed(&mut self) {
        if !std::mem::take(&mut self.met) {
            *self = Self::default();
        }
    }

    /// True once after a guilty record was refused: a commit soon saves doing it again.
    pub(crate) fn take_applied(&mut self) -> bool {
        std::mem::take(&mut self.applied)
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::error_of;
    use super::*;
    use oncestream_core::Headers;
    use rdkafka::error::RDKafkaErrorCode as Code;

    fn refused(value: &str) -> RefusedRecord {
        RefusedRecord {
            topic: "out".into(),
            key: None,
            value: Some(value.as_bytes().to_vec()),
            error: error_of(Code::MessageSizeTooLarge),
            named: false,
        }
    }

    fn verdict(known: &mut Refusals, value: &str, origin: Origin) -> &'static str {
        let headers = Headers::default();
        match known.suspicion(&outgoing(value, &headers, origin)) {
            Suspicion::None => "unknown",
            Suspicion::Suspect => "suspect",
            Suspicion::Guilty(_) => "guilty",
        }
    }

    fn outgoing<'a>(value: &'a str, headers: &'a Headers, origin: Origin) -> Outgoing<'a> {
        Outgoing {
            topic: "out",
            partition: None,
            key: None,
            value: Some(value.as_bytes()),
            timestamp: 0,
            headers,
            origin,
        }
    }

    #[test]
    fn only_a_record_that_is_refused_alone_is_guilty() {
        let mut known = Refusals::default();
        known.learn(vec![refused("large"), refused("small")]);
        assert_eq!(verdict(&mut known, "large", Origin::Sink), "suspect");
        let headers = Headers::default();
        known.tried(&outgoing("large", &headers, Origin::Sink), true);
        known.tried(&outgoing("small", &headers, Origin::Sink), false);
        assert!(!known.take_applied());
        assert_eq!(verdict(&mut known, "large", Origin::Sink), "guilty");
        assert!(known.take_applied() && !known.take_applied());
        assert_eq!(verdict(&mut known, "small", Origin::Sink), "unknown");
        // Refused with the transaction that ended with the guilty one: known already.
        known.learn(vec![refused("large")]);
        assert_eq!(verdict(&mut known, "large", Origin::Sink), "guilty");
    }

    #[test]
    fn a_record_that_the_broker_names_is_guilty_at_once() {
        let mut known = Refusals::default();
        known.learn(vec![RefusedRecord { named: true, ..refused("late") }]);
        assert_eq!(verdict(&mut known, "late", Origin::Sink), "guilty");
        assert_eq!(verdict(&mut known, "other", Origin::Sink), "unknown");
    }

    #[test]
    fn what_lies_ahead_is_kept_while_known_records_are_met_and_forgotten_after() {
        let mut known = Refusals::default();
        known.learn(vec![refused("one"), refused("two")]);
        let headers = Headers::default();
        known.tried(&outgoing("one", &headers, Origin::Sink), true);
        known.committed();
        assert_eq!(verdict(&mut known, "two", Origin::Sink), "suspect");
        known.committed();
        assert!(known.is_empty());
    }

    #[test]
    fn records_of_changelogs_and_dead_letters_are_never_refused_here() {
        let mut known = Refusals::default();
        known.learn(vec![refused("large")]);
        let changelog = Origin::Changelog(oncestream_core::task::ChangelogId(0));
        for origin in [changelog, Origin::DeadLetter] {
            assert_eq!(verdict(&mut known, "large", origin), "unknown");
        }
    }
}
