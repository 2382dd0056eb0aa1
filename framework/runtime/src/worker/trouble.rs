//! What went wrong since the last commit, how often, and how long records took: the memory behind
//! the bounds. Knows no client and does nothing.
//!
//! Invariant: nothing that fails in the same way starts the tasks again for ever, but for brokers
//! and groups that are away: those are waited for.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::tasks::Route;
use crate::clients::is_outage;
use crate::error::StreamsError;

/// So often in a row may the same thing go wrong without a commit in between.
const MAX_SAME: u32 = 10;
/// So often may anything.
const MAX_ANY: u32 = 50;

/// Why tasks start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The code of a client's error.
    Code(Option<Code>),
    /// An input went back to an earlier record.
    WentBack,
    /// A record came for a task that does not run.
    NotRunning,
}

/// What the error at the end has to say beside what went wrong last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing.
    #[default]
    AsItIs,
    /// Another producer has the transactional id of this one.
    Fenced,
    /// It went wrong so often.
    Repeated(u32),
    /// A record outlived its transaction alone.
    TooSlow,
}

#[derive(Debug, Default)]
pub(super) struct Trouble {
    cause: Option<Cause>,
    same: u32,
    any: u32,
    /// What the last judgement adds to the error, should the worker stop.
    pub(super) ending: Ending,
    /// The time spent on records since the transaction began.
    pub(super) worked: Duration,
    /// The last record that was taken.
    pub(super) last: Option<(Route, i64)>,
    /// Why the last way back was taken, if no commit has succeeded since.
    pub(super) told: Option<StreamsError>,
}

impl Trouble {
    /// Takes a failure in after which the tasks would start again. False if that is once too often.
    pub(super) fn may_go_on(&mut self, cause: Cause) -> bool {
        self.same = if self.cause == Some(cause) { self.same + 1 } else { 1 };
        self.any += 1;
        self.cause = Some(cause);
        let times = if self.same > MAX_SAME { self.same } else { self.any };
        let over = self.same > MAX_SAME || self.any > MAX_ANY;
        if over {
            self.ending = Ending::Repeated(times);
        }
        !over
    }

    /// The same for a client's error. What is away may be away for long.
    pub(super) fn may_go_on_after(&mut self, error: &KafkaError) -> bool {
        is_outage(error) || self.may_go_on(Cause::Code(error.rdkafka_error_code()))
    }

    /// A transaction begins.
    pub(super) fn began(&mut self) {
        self.worked = Duration::ZERO;
    }

    /// A commit succeeded.
    pub(super) fn committed(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(trouble: &mut Trouble, codes: &[Code]) -> usize {
        let errors = codes.iter().cycle().map(|code| KafkaError::MessageProduction(*code));
        errors.take(1000).take_while(|error| trouble.may_go_on_after(error)).count()
    }

    #[test]
    fn the_same_failure_ends_soon_others_later_and_an_outage_never() {
        let mut trouble = Trouble::default();
        assert_eq!(failures(&mut trouble, &[Code::NotEnoughReplicas]), 1000);
        assert_eq!(failures(&mut trouble, &[Code::InvalidMessage]), MAX_SAME as usize);
        assert_eq!(trouble.ending, Ending::Repeated(MAX_SAME + 1));
        trouble.committed();
        let two = [Code::InvalidMessage, Code::InvalidTransactionalState];
        assert_eq!(failures(&mut trouble, &two), MAX_ANY as usize);
    }

    #[test]
    fn a_commit_forgets_all_failures() {
        let mut trouble = Trouble::default();
        for _ in 0..100 {
            assert!(trouble.may_go_on(Cause::WentBack));
            trouble.committed();
        }
    }
}
