//! Which number of a key comes when.

use std::collections::HashMap;

/// The numbers of a key in the order of its input, which may lack some: a broker may lose what a
/// feeder was told it had, and that is no fault of who reads the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    of: HashMap<u64, Vec<u64>>,
    next: u64,
}

impl Turns {
    /// Takes the next number in, and tells its turn.
    pub(crate) fn add(&mut self, number: u64) -> u64 {
        let turn = self.next;
        self.of.entry(number).or_default().push(turn);
        self.next += 1;
        turn
    }

    /// Takes the next number in, and tells how often it was there before.
    pub(crate) fn again(&mut self, number: u64) -> usize {
        self.add(number);
        self.of[&number].len() - 1
    }

    /// The turn of a number that comes for the so manieth time. One that comes too often has that of
    /// its last time.
    pub(crate) fn turn(&self, number: u64, time: usize) -> Option<u64> {
        let turns = self.of.get(&number)?;
        turns.get(time).or(turns.last()).copied()
    }

    /// How many numbers there are.
    pub(crate) fn count(&self) -> u64 {
        self.next
    }

    /// The pairs that numbers make which were written in order: each number that has a next one, once for
    /// each of the next ones.
    pub(crate) fn pairs(&self) -> Self {
        let times = |number| self.of.get(&number).map_or(0, Vec::len);
        let mut numbers: Vec<u64> = self.of.keys().copied().collect();
        numbers.sort_unstable();
        let mut pairs = Self::default();
        for number in numbers {
            let next = number.checked_add(1).map_or(0, times);
            for _ in 0..times(number) * next {
                pairs.add(number);
            }
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_those_of_the_input_whatever_it_lacks_or_repeats() {
        let mut turns = Turns::default();
        let input = [1, 2, 2, 4];
        assert!(input.into_iter().map(|n| turns.add(n)).eq(0..4));
        let mut seen = Turns::default();
        let turn = |seen: &mut Turns, n| turns.turn(n, seen.again(n));
        assert!(input.into_iter().map(|n| turn(&mut seen, n)).eq((0..4).map(Some)));
        assert_eq!(turn(&mut seen, 4), Some(3), "once more is a duplicate of that turn");
        assert_eq!(turn(&mut seen, 0), None, "never there");
    }

    #[test]
    fn a_number_is_a_pair_with_the_next_one_if_that_is_there() {
        let mut turns = Turns::default();
        for number in [0, 1, 2, 4, 5, 5] {
            turns.add(number);
        }
        let pairs = turns.pairs();
        assert_eq!(pairs.count(), 4);
        let turn = |number, time| pairs.turn(number, time);
        assert_eq!([turn(0, 0), turn(1, 0), turn(2, 0)], [Some(0), Some(1), None]);
        assert_eq!([turn(4, 0), turn(4, 1), turn(5, 0)], [Some(2), Some(3), None]);
    }
}
