//! Records of sinks that the broker has refused for good, known again when they are sent again.
//!
//! Each record is a batch of its own, so that none is refused because of another one. All are forgotten at
//! the first commit in which none of them was sent again.

use oncestream_core::task::{Origin, Outgoing};
use oncestream_engine::ClientError;

struct Refused {
    topic: String,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    error: ClientError,
}

impl Refused {
    fn is(&self, record: &Outgoing<'_>) -> bool {
        self.topic == record.topic
            && self.value.as_deref() == record.value
            && self.key.as_deref() == record.key
    }
}

/// What was learnt of refused records.
#[derive(Default)]
pub(in super::super) struct Refusals {
    /// Refused since the last abort.
    fresh: Vec<Refused>,
    known: Vec<Refused>,
    applied: bool,
    met: bool,
}

impl Refusals {
    /// The broker has refused a record.
    pub(super) fn refused(&mut self, record: &Outgoing<'_>, error: &ClientError) {
        self.fresh.push(Refused {
            topic: record.topic.to_owned(),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            error: error.clone(),
        });
    }

    /// The tasks will process their records again.
    pub(super) fn learn(&mut self) {
        self.known.append(&mut self.fresh);
    }

    /// Why a record that is about to be sent will be refused.
    pub(super) fn known(&mut self, record: &Outgoing<'_>) -> Option<ClientError> {
        let known = self.known.iter().find(|known| known.is(record));
        let error = known.filter(|_| record.origin == Origin::Sink)?.error.clone();
        (self.applied, self.met) = (true, true);
        Some(error)
    }

    /// True once after a known record met its handler.
    pub(super) fn take_applied(&mut self) -> bool {
        std::mem::take(&mut self.applied)
    }

    pub(super) fn committed(&mut self) {
        self.fresh.clear();
        if !std::mem::take(&mut self.met) {
            self.known.clear();
        }
    }
}
