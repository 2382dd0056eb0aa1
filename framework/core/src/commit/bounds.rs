//! How often in a row things may fail: every count between two commits.
//!
//! It knows no clients and no clock. Invariant: nothing that fails in the same way starts the tasks
//! again for ever, but for outages, tasks that move, and what takes longer than its time.

use std::time::Duration;

use super::failure::{ClientFailure, Symptom};

/// So often in a row may the same thing go wrong.
pub(super) const MAX_SAME: u32 = 10;
/// So often may anything.
pub(super) const MAX_ANY: u32 = 50;
/// A producer may fail for good so often.
pub(super) const MAX_DEAD: u32 = 5;
/// So often may tasks start again because of refused records. Enough for a batch full of them; not
/// for outputs that differ each time.
pub(super) const MAX_REFUSED: u32 = 200;
/// The fence after which a worker stops: two processes with one transactional id would fence each
/// other for ever.
pub(super) const MAX_FENCED: u32 = 5;
/// The longest pause before tasks that keep failing are started again.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// What counts as the same failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Code(Option<i32>),
    Symptom(Symptom),
}

/// Counts since the last commit.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    cause: Option<Cause>,
    same: u32,
    any: u32,
    dead: u32,
    refused: u32,
    fenced: u32,
    /// Ways back in a row, for the pause before the next.
    ways_back: u32,
}

impl Bounds {
    /// Counts a failure of a client after which the tasks would start again. The number of times, if
    /// that is once too often.
    pub(super) fn client(&mut self, failure: &ClientFailure) -> Option<u32> {
        if failure.is_outage { None } else { self.count(Cause::Code(failure.code)) }
    }

    /// The same for what is no client's failure.
    pub(super) fn symptom(&mut self, symptom: Symptom) -> Option<u32> {
        self.count(Cause::Symptom(symptom))
    }

    fn count(&mut self, cause: Cause) -> Option<u32> {
        self.same = if self.cause == Some(cause) { self.same + 1 } else { 1 };
        self.any += 1;
        self.cause = Some(cause);
        if self.same > MAX_SAME {
            return Some(self.same);
        }
        (self.any > MAX_ANY).then_some(self.any)
    }

    /// A producer has failed for good.
    pub(super) fn dead(&mut self) -> Option<u32> {
        self.dead += 1;
        (self.dead > MAX_DEAD).then_some(self.dead)
    }

    /// Records were refused. It gets further each time, so it makes no pause.
    pub(super) fn refused(&mut self) -> Option<u32> {
        self.refused += 1;
        self.ways_back = 0;
        (self.refused > MAX_REFUSED).then_some(self.refused)
    }

    /// The producer was fenced. True once too often.
    pub(super) fn fenced(&mut self) -> bool {
        self.fenced += 1;
        self.fenced >= MAX_FENCED
    }

    /// The tasks are about to start again: the pause before that. The first is none.
    pub(super) fn pause(&mut self) -> Duration {
        self.ways_back += 1;
        if self.ways_back < 2 {
            return Duration::ZERO;
        }
        Duration::from_millis(20 << self.ways_back.min(10)).min(MAX_PAUSE)
    }

    /// A commit succeeded.
    pub(super) fn committed(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::{Age, Verdict};

    fn failure(code: i32, is_outage: bool) -> ClientFailure {
        ClientFailure {
            verdict: Verdict::Abort,
            code: Some(code),
            is_outage,
            producer_is_dead: false,
            age: Age::InTime,
            is_rejoining: false,
        }
    }

    fn before_the_end(bounds: &mut Bounds, failures: &[ClientFailure]) -> usize {
        let all = failures.iter().cycle().take(1000);
        all.take_while(|failure| bounds.client(failure).is_none()).count()
    }

    #[test]
    fn the_same_failure_ends_soon_others_later_and_an_outage_never() {
        let mut bounds = Bounds::default();
        assert_eq!(before_the_end(&mut bounds, &[failure(1, true)]), 1000);
        assert_eq!(before_the_end(&mut bounds, &[failure(1, false)]), MAX_SAME as usize);
        bounds.committed();
        let two = [failure(1, false), failure(2, false)];
        assert_eq!(before_the_end(&mut bounds, &two), MAX_ANY as usize);
    }

    #[test]
    fn a_commit_forgets_all_failures() {
        let mut bounds = Bounds::default();
        for _ in 0..100 {
            assert_eq!(bounds.symptom(Symptom::WentBack), None);
            assert_eq!(bounds.dead(), None);
            assert_eq!(bounds.refused(), None);
            assert!(!bounds.fenced());
            assert_eq!(bounds.pause(), Duration::ZERO);
            bounds.committed();
        }
    }

    #[test]
    fn pauses_grow_to_their_bound() {
        let mut bounds = Bounds::default();
        let pauses: Vec<_> = (0..20).map(|_| bounds.pause()).collect();
        assert_eq!(pauses[..3], [0, 80, 160].map(Duration::from_millis));
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&MAX_PAUSE));
    }
}
