//! How often a batch of records looks at the clock.

use std::time::{Duration, Instant};

use crate::ports::Clock;

/// Looks at the clock now and then: seldom while records are quick, at each record while they
/// are slow, so that slow records do not make a batch outlive its transaction.
pub(super) struct Pace<'a, C> {
    clock: &'a C,
    every: u32,
    left: u32,
    first: bool,
    looked: Instant,
}

impl<'a, C: Clock> Pace<'a, C> {
    pub(super) fn new(clock: &'a C) -> Self {
        Self { clock, every: 1, left: 1, first: true, looked: clock.now() }
    }

    /// Whether `deadline` was over at the last look.
    pub(super) fn is_past(&mut self, deadline: Instant) -> bool {
        self.left -= 1;
        if self.left > 0 {
            return false;
        }
        let now = self.clock.now();
        let quick = now.duration_since(self.looked) < Duration::from_millis(1);
        self.every = if quick { (self.every * 2).min(64) } else { 1 };
        self.left = self.every;
        self.looked = now;
        // The first look is before the first record: one is always processed.
        !std::mem::take(&mut self.first) && now >= deadline
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A clock that a test moves.
    struct ByHand(Cell<Instant>);

    impl Clock for ByHand {
        fn now(&self) -> Instant {
            self.0.get()
        }

        fn wall_clock_ms(&self) -> i64 {
            0
        }

        fn sleep(&self, time: Duration) {
            self.0.set(self.0.get() + time);
        }
    }

    /// How many records that take so long a batch takes whose deadline is over when it begins.
    fn taken(each: Duration) -> usize {
        let clock = ByHand(Cell::new(Instant::now()));
        let (mut pace, deadline) = (Pace::new(&clock), clock.now());
        let mut taken = 0;
        while taken < 1000 && !pace.is_past(deadline) {
            clock.sleep(each);
            taken += 1;
        }
        taken
    }

    #[test]
    fn a_late_batch_of_quick_records_ends_soon_and_one_of_slow_records_after_the_first() {
        let quick = taken(Duration::ZERO);
        assert!((1..=64).contains(&quick), "{quick}");
        let slow = taken(Duration::from_millis(5));
        assert!((1..=3).contains(&slow), "{slow}");
    }

    #[test]
    fn a_batch_goes_on_until_its_deadline() {
        let clock = ByHand(Cell::new(Instant::now()));
        let (mut pace, deadline) = (Pace::new(&clock), clock.now() + Duration::from_secs(3600));
        assert!((0..10_000).all(|_| !pace.is_past(deadline)));
    }
}
