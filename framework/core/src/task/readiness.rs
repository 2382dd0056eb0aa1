//! Whether a task with several inputs may process, and which record is next. Pure.
//!
//! The rules of Kafka Streams' `PartitionGroup.readyToProcess` (KIP-695). `max.task.idle.ms` says what
//! an empty input is worth: -1 is nothing; with 0 and more a task waits until each empty input is known
//! to be at its end, because the broker may have an earlier record there; with more than 0 it waits
//! that much longer for one that is not written yet. Then it goes on without ("enforced processing").

use super::InputId;
use crate::record::TimestampMs;

/// What is known of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputFact {
    /// A record of this time is at the head of its queue.
    Waiting(TimestampMs),
    /// Its queue is empty, and the broker has more, or nothing is known of it yet.
    More,
    /// Its queue is empty, and so was the partition on the broker, both since then by the wall clock.
    AtEnd(TimestampMs),
}

/// Whether a task with several inputs may process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// No record waits.
    Empty,
    /// An input is empty, and the broker may have more for it.
    Fetching,
    /// What is empty is at its end. A record that may still be written is waited for, until then by the
    /// wall clock.
    Idling {
        /// Milliseconds since 1970.
        until_ms: TimestampMs,
    },
    /// The head of an input is next.
    Ready {
        /// The input.
        input: InputId,
        /// Another input is at its end and was given up: it may get an earlier record.
        enforced: bool,
    },
}

/// The head with the smallest time is next, the first input's among equals, unless an empty input is
/// worth waiting for.
pub(crate) fn decide(
    inputs: impl Iterator<Item = InputFact>,
    max_task_idle_ms: i64,
    now_ms: TimestampMs,
) -> Readiness {
    let mut next: Option<(TimestampMs, usize)> = None;
    let mut is_fetching = false;
    let mut at_end: Option<TimestampMs> = None;
    for (at, input) in inputs.enumerate() {
        match input {
            InputFact::Waiting(time) => {
                if next.is_none_or(|(smallest, _)| time < smallest) {
                    next = Some((time, at));
                }
            }
            InputFact::More => is_fetching = true,
            // The last one to become so decides.
            InputFact::AtEnd(since) => at_end = at_end.max(Some(since)),
        }
    }
    let Some((_, at)) = next else { return Readiness::Empty };
    let input = InputId(at);
    if max_task_idle_ms < 0 {
        return Readiness::Ready { input, enforced: false };
    }
    if is_fetching {
        return Readiness::Fetching;
    }
    let Some(since) = at_end else { return Readiness::Ready { input, enforced: false } };
    let until_ms = since.saturating_add(max_task_idle_ms);
    if now_ms < until_ms {
        return Readiness::Idling { until_ms };
    }
    Readiness::Ready { input, enforced: true }
}

#[cfg(test)]
mod tests {
    use super::InputFact::{AtEnd, More, Waiting};
    use super::*;

    const NOW: TimestampMs = 1_000;

    fn decided(inputs: &[InputFact], max_task_idle_ms: i64) -> Readiness {
        decide(inputs.iter().copied(), max_task_idle_ms, NOW)
    }

    fn ready(input: usize) -> Readiness {
        Readiness::Ready { input: InputId(input), enforced: false }
    }

    fn enforced(input: usize) -> Readiness {
        Readiness::Ready { input: InputId(input), enforced: true }
    }

    #[test]
    fn the_smallest_time_is_next_and_the_first_input_among_equals() {
        for idle in [-1, 0, 50] {
            assert_eq!(decided(&[Waiting(7), Waiting(5), Waiting(5)], idle), ready(1));
        }
    }

    #[test]
    fn minus_one_never_waits() {
        for other in [More, AtEnd(NOW), AtEnd(0)] {
            assert_eq!(decided(&[other, Waiting(5)], -1), ready(1), "{other:?}");
        }
    }

    #[test]
    fn an_input_of_which_the_broker_may_have_more_is_waited_for_however_long() {
        for idle in [0, 50] {
            assert_eq!(decided(&[Waiting(5), More], idle), Readiness::Fetching);
            assert_eq!(decided(&[Waiting(5), AtEnd(0), More], idle), Readiness::Fetching);
        }
    }

    #[test]
    fn zero_goes_on_once_each_empty_input_is_at_its_end() {
        assert_eq!(decided(&[AtEnd(NOW), Waiting(5), AtEnd(NOW)], 0), enforced(1));
    }

    #[test]
    fn more_than_zero_waits_so_long_from_when_the_last_empty_input_was_at_its_end() {
        assert_eq!(decided(&[Waiting(5), AtEnd(951)], 50), Readiness::Idling { until_ms: 1_001 });
        assert_eq!(decided(&[Waiting(5), AtEnd(950)], 50), enforced(0));
        let until = Readiness::Idling { until_ms: 1_020 };
        assert_eq!(decided(&[AtEnd(970), Waiting(5), AtEnd(10)], 50), until);
        assert_eq!(decided(&[AtEnd(10), Waiting(5), AtEnd(970)], 50), until);
        let longest = Readiness::Idling { until_ms: TimestampMs::MAX };
        assert_eq!(decided(&[Waiting(5), AtEnd(10)], i64::MAX), longest);
    }

    #[test]
    fn without_a_record_there_is_nothing_to_be_ready_for() {
        for idle in [-1, 0, 50] {
            for input in [More, AtEnd(0), AtEnd(NOW)] {
                assert_eq!(decided(&[input, input], idle), Readiness::Empty);
            }
        }
    }
}
