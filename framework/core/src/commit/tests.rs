//! The machine, walked: every sequence of facts up to a length, failures and restarts included.

use std::collections::HashSet;
use std::time::Duration;

use super::bounds::{MAX_ANY, MAX_FENCED, MAX_REFUSED, MAX_SAME};
use super::*;

type Machine = CommitMachine<&'static str>;

const IN_TIME: ClientFailure = ClientFailure {
    verdict: Verdict::Abort,
    code: Some(1),
    is_outage: false,
    producer_is_dead: false,
    age: Age::InTime,
    is_rejoining: false,
};

/// A kind of fact, by which sequences are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Work,
    CommitDue,
    Done,
    Lost,
    Failed(Symptom),
}

impl Seen {
    fn fact(self) -> Fact<&'static str> {
        match self {
            Self::Work => Fact::Work,
            Self::CommitDue => Fact::CommitDue,
            Self::Done => Fact::Done,
            Self::Lost => Fact::Lost,
            Self::Failed(symptom) => Fact::Failed(Failure::new(symptom, "what failed")),
        }
    }
}

const fn client(verdict: Verdict) -> Seen {
    Seen::Failed(Symptom::Client(ClientFailure { verdict, ..IN_TIME }))
}

const OUTLIVED: Symptom = Symptom::Client(ClientFailure {
    verdict: Verdict::Fenced,
    age: Age::Outlived { slow: true },
    ..IN_TIME
});

const FACTS: [Seen; 17] = [
    Seen::Work,
    Seen::CommitDue,
    Seen::Done,
    Seen::Lost,
    client(Verdict::Abort),
    client(Verdict::OutcomeUnknown),
    client(Verdict::Fenced),
    client(Verdict::StaleMember),
    client(Verdict::TwinMember),
    client(Verdict::Refused),
    Seen::Failed(OUTLIVED),
    Seen::Failed(Symptom::RecordsRefused),
    Seen::Failed(Symptom::Moved),
    Seen::Failed(Symptom::ParticipantFailed),
    Seen::Failed(Symptom::StoreDamaged),
    Seen::Failed(Symptom::NoProducer),
    Seen::Failed(Symptom::Fatal),
];

/// Runs every sequence of facts of the given length.
fn every_path(
    guarantee: Guarantee,
    len: u32,
    mut check: impl FnMut(&[(Seen, CommitState, Action)], &Machine),
) {
    let total = FACTS.len().pow(len);
    let mut path = Vec::new();
    for mut code in 0..total {
        let mut machine = Machine::new(guarantee);
        path.clear();
        for _ in 0..len {
            let seen = FACTS[code % FACTS.len()];
            code /= FACTS.len();
            let before = machine.state();
            let action = machine.on(seen.fact());
            path.push((seen, before, action));
        }
        check(&path, &machine);
    }
}

fn failed(m: &mut Machine, symptom: Symptom) -> Action {
    m.on(Seen::Failed(symptom).fact())
}

#[test]
fn a_commit_goes_through_every_step_in_order() {
    let mut m = Machine::new(Guarantee::ExactlyOnce);
    assert_eq!(m.on(Fact::CommitDue), Action::Nothing, "nothing to commit, no transaction");
    assert_eq!(m.on(Fact::Work), Action::Begin);
    assert_eq!(m.on(Fact::Done), Action::Nothing);
    assert_eq!(m.on(Fact::CommitDue), Action::Flush);
    assert_eq!(m.on(Fact::Done), Action::SendOffsets);
    assert!(matches!(m.on(Fact::Done), Action::Commit(p) if p.transaction() == 1));
    assert_eq!(m.on(Fact::Done), Action::Apply);
    assert_eq!(m.on(Fact::Done), Action::Nothing);
    assert_eq!(m.state(), CommitState::Idle);
}

#[test]
fn at_least_once_stores_are_applied_before_each_sending_of_offsets() {
    let mut m = Machine::new(Guarantee::AtLeastOnce);
    assert_eq!(m.on(Fact::Work), Action::Nothing);
    assert_eq!(m.on(Fact::CommitDue), Action::Flush);
    assert_eq!(m.on(Fact::Done), Action::Apply);
    assert!(!m.ends_commit(&Action::Apply));
    assert_eq!(m.on(Fact::Done), Action::SendOffsets);
    assert!(m.ends_commit(&Action::SendOffsets));
    assert_eq!(m.on(Fact::Done), Action::Nothing);
    assert_eq!(m.state(), CommitState::Idle);
    every_path(Guarantee::AtLeastOnce, 4, |path, _| {
        for (seen, before, action) in path {
            let applied = (*seen, *before) == (Seen::Done, CommitState::Applying);
            assert!(*action != Action::SendOffsets || applied, "not applied: {path:?}");
        }
    });
}

#[test]
fn at_least_once_never_begins_nor_commits_a_transaction() {
    every_path(Guarantee::AtLeastOnce, 4, |path, _| {
        for (_, _, action) in path {
            assert!(!matches!(action, Action::Begin | Action::Commit(_)));
        }
    });
}

#[test]
fn no_path_commits_or_applies_after_a_failure_without_a_new_transaction() {
    let mut permits = HashSet::new();
    every_path(Guarantee::ExactlyOnce, 5, |path, _| {
        let mut clean = false;
        let mut committed = false;
        for (seen, before, action) in path {
            match seen {
                // What is committed stays committed.
                Seen::Lost if *before == CommitState::Applying => {}
                Seen::Failed(_) | Seen::Lost => (clean, committed) = (false, false),
                _ => {}
            }
            match action {
                Action::Begin => (clean, committed) = (true, false),
                Action::Commit(p) => {
                    assert!(clean, "committed a failed transaction: {path:?}");
                    permits.insert(p.transaction());
                    committed = true;
                }
                Action::Apply => assert!(committed, "applied without a commit: {path:?}"),
                _ => {}
            }
        }
    });
    assert!(!permits.is_empty(), "some path commits");
}

#[test]
fn after_a_failure_nothing_begins_before_the_way_back_is_done_and_a_stop_is_for_good() {
    every_path(Guarantee::ExactlyOnce, 5, |path, machine| {
        let (mut owed, mut stopped) = (false, false);
        for (seen, _, action) in path {
            assert!(!stopped || matches!(action, Action::Stop(_)), "it goes on: {path:?}");
            match (seen, action) {
                (_, Action::Stop(_)) => stopped = true,
                (Seen::Done, Action::Nothing) => owed = false,
                (Seen::Failed(_), Action::Nothing) => panic!("no way back: {path:?}"),
                (Seen::Failed(_) | Seen::Lost, action) if *action != Action::Nothing => owed = true,
                (_, Action::Begin) => assert!(!owed, "begun in the midst: {path:?}"),
                _ => {}
            }
        }
        if stopped {
            assert_eq!(machine.cause(), Some(&"what failed"), "{path:?}");
        }
    });
}

/// What repeats without a commit and without an end, unless somebody waits for brokers or members.
#[test]
fn nothing_but_an_outage_or_a_rebalance_starts_the_tasks_again_for_ever() {
    let outage = Symptom::Client(ClientFailure { is_outage: true, ..IN_TIME });
    let symptoms = FACTS.iter().filter_map(|seen| match seen {
        Seen::Failed(symptom) => Some(*symptom),
        _ => None,
    });
    for symptom in symptoms.chain([outage, Symptom::Late, Symptom::WentBack, Symptom::PositionGone])
    {
        let mut m = Machine::new(Guarantee::ExactlyOnce);
        let mut ways_back = 0;
        while ways_back < 1000 {
            m.on(Fact::Work);
            m.on(Fact::Done);
            let mut action = failed(&mut m, symptom);
            while !matches!(action, Action::Stop(_) | Action::Nothing) {
                action = m.on(Fact::Done);
            }
            if action != Action::Nothing {
                break;
            }
            ways_back += 1;
        }
        let waits = matches!(symptom, Symptom::Moved | Symptom::Late | Symptom::NoProducer)
            || symptom == outage
            || matches!(symptom, Symptom::Client(f) if f.verdict == Verdict::StaleMember);
        assert_eq!(ways_back == 1000, waits, "{symptom:?}: {ways_back}");
        assert!(waits || ways_back <= MAX_REFUSED, "{symptom:?}: {ways_back}");
    }
}

#[test]
fn different_failures_end_too() {
    let mut m = Machine::new(Guarantee::ExactlyOnce);
    for times in 0..=MAX_ANY {
        m.on(Fact::Work);
        let code = Some(i32::from(times % 2 == 0));
        let failure = Symptom::Client(ClientFailure { code, ..IN_TIME });
        match failed(&mut m, failure) {
            Action::Stop(ending) => {
                assert_eq!((times, ending), (MAX_ANY, Ending::Repeated(MAX_ANY + 1)));
                return;
            }
            _ => assert_eq!(m.on(Fact::Done), Action::Nothing),
        }
    }
    panic!("no end");
}

#[test]
fn the_same_failure_is_told_with_the_number_of_times() {
    let mut m = Machine::new(Guarantee::ExactlyOnce);
    for _ in 0..MAX_SAME {
        m.on(Fact::Work);
        failed(&mut m, Symptom::Client(IN_TIME));
        m.on(Fact::Done);
    }
    m.on(Fact::Work);
    let stopped = failed(&mut m, Symptom::Client(IN_TIME));
    assert_eq!(stopped, Action::Stop(Ending::Repeated(MAX_SAME + 1)));
}

#[test]
fn a_failed_abort_replaces_the_producer() {
    let mut m = Machine::new(Guarantee::ExactlyOnce);
    m.on(Fact::Work);
    let abort = failed(&mut m, Symptom::Client(IN_TIME));
    assert_eq!(abort, Action::AbortAndRestart(Duration::ZERO));
    let again = failed(&mut m, Symptom::Client(IN_TIME));
    assert!(matches!(again, Action::ReplaceAndRestart(_)), "{again:?}");
    assert_eq!(m.on(Fact::Done), Action::Nothing);
    assert_eq!(m.state(), CommitState::Idle);
}

#[test]
fn refused_records_are_learnt_before_the_abort_and_stop_where_none_is_found() {
    let mut m = Machine::new(Guarantee::ExactlyOnce);
    m.on(Fact::Work);
    assert_eq!(failed(&mut m, Symptom::RecordsRefused), Action::Learn);
    assert_eq!(m.on(Fact::Done), Action::AbortAndRestart(Duration::ZERO));
    assert_eq!(m.on(Fact::Done), Action::Nothing);
    m.on(Fact::Work);
    assert_eq!(failed(&mut m, Symptom::RecordsRefused), Action::Learn);
    assert_eq!(failed(&mut m, Symptom::RecordsRefused), Action::Stop(Ending::AsItIs));
}

#[test]
fn a_client_that_rejoins_is_no_twin() {
    for (is_rejoining, stops) in [(true, false), (false, true)] {
        let mut m = Machine::new(Guarantee::ExactlyOnce);
        m.on(Fact::Work);
        let failure = ClientFailure { verdict: Verdict::TwinMember, is_rejoining, ..IN_TIME };
        let action = failed(&mut m, Symptom::Client(failure));
        assert_eq!(matches!(action, Action::Stop(_)), stops, "{action:?}");
    }
}

#[test]
fn two_producers_that_fence_each_other_stop() {
    let fenced = Symptom::Client(ClientFailure { verdict: Verdict::Fenced, ..IN_TIME });
    let mut m = Machine::new(Guarantee::ExactlyOnce);
    for _ in 1..MAX_FENCED {
        m.on(Fact::Work);
        assert!(matches!(failed(&mut m, fenced), Action::ReplaceAndRestart(_)));
        m.on(Fact::Done);
    }
    m.on(Fact::Work);
    assert_eq!(failed(&mut m, fenced), Action::Stop(Ending::Fenced));
}

/// One transaction with `records` of which the `slow`th takes too long.
fn run(m: &mut Machine, records: usize, slow: Option<usize>) -> (usize, Action) {
    assert_eq!(m.on(Fact::Work), Action::Begin);
    m.on(Fact::Done);
    let taken = records.min(m.room());
    m.processed(taken);
    if slow.is_some_and(|at| at < taken) {
        let action = failed(m, OUTLIVED);
        m.on(Fact::Done);
        return (0, action);
    }
    for fact in [Fact::CommitDue, Fact::Done, Fact::Done, Fact::Done] {
        m.on(fact);
    }
    (taken, m.on(Fact::Done))
}

#[test]
fn a_slow_record_is_alone_in_the_end_and_what_was_before_it_is_committed() {
    for records in 2..200 {
        for slow in 0..records {
            let mut m = Machine::new(Guarantee::ExactlyOnce);
            let (mut done, mut turns) = (0, 0);
            loop {
                let (taken, action) = run(&mut m, records - done, slow.checked_sub(done));
                done += taken;
                turns += 1;
                assert!(turns < 80, "{records} records, {slow} is slow: no end");
                if action == Action::Stop(Ending::TooSlow) {
                    break;
                }
            }
            assert_eq!(done, slow, "of {records}");
        }
    }
}

#[test]
fn brokers_that_take_too_long_never_stop_it() {
    let age = Age::Outlived { slow: false };
    let outlived = Symptom::Client(ClientFailure { verdict: Verdict::Fenced, age, ..IN_TIME });
    let mut m = Machine::new(Guarantee::ExactlyOnce);
    for _ in 0..100 {
        m.on(Fact::Work);
        m.processed(1);
        assert!(matches!(failed(&mut m, outlived), Action::ReplaceAndRestart(_)));
        m.on(Fact::Done);
    }
    assert_eq!(m.room(), 1);
}

#[test]
fn a_bound_on_the_records_goes_away_with_commits() {
    let mut m = Machine::new(Guarantee::ExactlyOnce);
    assert!(matches!(run(&mut m, 100, Some(3)).1, Action::ReplaceAndRestart(_)));
    assert_eq!(m.room(), 50);
    while m.is_bounded() {
        assert_eq!(run(&mut m, usize::MAX, None).1, Action::Nothing);
    }
    assert_eq!(m.room(), usize::MAX);
}
