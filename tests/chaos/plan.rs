//! Which faults strike, when and whom: a schedule that a seed decides.
//!
//! Pure: no processes, no clock. Kinds are dealt from shuffled decks, so that short runs have all
//! of them too. Invariant: the same seed, asked the same questions, gives the same answers.

use std::ops::Range;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// So many instances an application has at least, and at most.
pub(crate) const INSTANCES: (usize, usize) = (2, 3);
/// So many input topics an application has at most, and so many partitions each of them.
const MOST_INPUTS: (usize, i32) = (21, 32);

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// SIGKILL of an instance, which is started again on its state directory.
    Kill,
    /// SIGSTOP of an instance past its session, then SIGCONT: a zombie.
    Zombie,
    /// SIGTERM of an instance, which is started again.
    Restart,
    /// One instance more.
    Add,
    /// One instance less, by SIGTERM.
    Remove,
    /// SIGKILL of a broker, which is started again.
    BrokerKill,
    /// SIGTERM of a broker: its leaders move away before it goes.
    BrokerStop,
    /// SIGSTOP of a broker, then SIGCONT.
    BrokerPause,
    /// Leaders, and with them coordinators, move back to the preferred replicas.
    LeadersMove,
    /// More partitions for an input topic.
    Grow,
    /// A new topic that the pattern of an application matches.
    Appear,
}

impl Kind {
    /// All kinds, those of processes first.
    pub(crate) const ALL: [Self; 11] = [
        Self::Kill,
        Self::Zombie,
        Self::Restart,
        Self::Add,
        Self::Remove,
        Self::BrokerKill,
        Self::BrokerStop,
        Self::BrokerPause,
        Self::LeadersMove,
        Self::Grow,
        Self::Appear,
    ];

    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Zombie => "zombie",
            Self::Restart => "restart",
            Self::Add => "add",
            Self::Remove => "remove",
            Self::BrokerKill => "broker_kill",
            Self::BrokerStop => "broker_stop",
            Self::BrokerPause => "broker_pause",
            Self::LeadersMove => "leaders_move",
            Self::Grow => "grow",
            Self::Appear => "appear",
        }
    }

    /// What it does, in a few words.
    pub(crate) fn means(self) -> &'static str {
        match self {
            Self::Kill => "SIGKILL of an instance, started again",
            Self::Zombie => "SIGSTOP of an instance past its session, then SIGCONT",
            Self::Restart => "SIGTERM of an instance, started again",
            Self::Add => "an instance added",
            Self::Remove => "an instance stopped for good with SIGTERM",
            Self::BrokerKill => "SIGKILL of a broker, started again",
            Self::BrokerStop => "SIGTERM of a broker, started again",
            Self::BrokerPause => "SIGSTOP of a broker, then SIGCONT",
            Self::LeadersMove => "election of the preferred leaders",
            Self::Grow => "an input topic gets more partitions",
            Self::Appear => "a topic appears that the application's pattern matches",
        }
    }
}

/// Where in a commit a fault is aimed: changelogs and offsets on their way, offsets in the
/// transaction, and what Kafka has committed and the stores do not have yet.
const AIMS: [&str; 5] = ["Flush", "SendOffsets", "Commit", "Apply", "Commit"];

/// Cards of process faults. `Add` stands for both: whether one comes or goes depends on how many
/// there are.
const PROCESS_DECK: [Kind; 10] = {
    use Kind::{Add, Kill, Restart, Zombie};
    [Kill, Kill, Kill, Zombie, Zombie, Restart, Restart, Add, Add, Add]
};

const BROKER_DECK: [Kind; 10] = {
    use Kind::{BrokerKill as Kill, BrokerPause as Pause, BrokerStop as Stop, LeadersMove as Move};
    [Kill, Kill, Kill, Kill, Kill, Kill, Kill, Stop, Pause, Move]
};

const TOPIC_DECK: [Kind; 4] = [Kind::Grow, Kind::Grow, Kind::Appear, Kind::Appear];

/// A fault of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessFault {
    pub(crate) kind: Kind,
    /// This long after the one before.
    pub(crate) after_ms: u64,
    /// And then when a commit begins this step; else at once.
    pub(crate) aim: Option<&'static str>,
    /// Which of the running instances, counted from 0.
    pub(crate) victim: usize,
    /// How long a killed instance stays away, or how long a zombie sleeps past its session.
    pub(crate) away_ms: u64,
    /// The next fault comes without waiting for the recovery from this one.
    pub(crate) overlaps: bool,
}

/// A fault of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokerFault {
    pub(crate) kind: Kind,
    /// This long after the recovery from the one before.
    pub(crate) after_ms: u64,
    /// Kafka's `node.id`.
    pub(crate) node: i32,
    /// How long it stays away.
    pub(crate) away_ms: u64,
}

/// A change of an application's inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicFault {
    pub(crate) kind: Kind,
    /// This long after the recovery from the one before.
    pub(crate) after_ms: u64,
    /// Which of the inputs, counted from 0; a new one is the next.
    pub(crate) topic: usize,
    /// How many partitions it has then.
    pub(crate) partitions: i32,
}

/// What inputs an application can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inputs {
    /// Any number of partitions: nothing is stored before a repartition topic.
    Any,
    /// All have as many partitions, for ever: a store follows them.
    Copartitioned,
}

/// A schedule.
pub(crate) struct Plan {
    rng: StdRng,
    hand: Vec<Kind>,
}

impl Plan {
    /// The schedule of one application, or of the brokers: `stream` tells them apart.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(stream));
        Self { rng, hand: Vec::new() }
    }

    fn deal(&mut self, deck: &[Kind]) -> Kind {
        if self.hand.is_empty() {
            self.hand = deck.to_vec();
            self.hand.shuffle(&mut self.rng);
        }
        self.hand.pop().unwrap_or(deck[0])
    }

    /// The next fault of an application that has so many instances.
    pub(crate) fn next_process(&mut self, running: usize) -> ProcessFault {
        let kind = match self.deal(&PROCESS_DECK) {
            Kind::Add if running >= INSTANCES.1 => Kind::Remove,
            Kind::Add if running > INSTANCES.0 && self.rng.random() => Kind::Remove,
            kind => kind,
        };
        let away_ms = match kind {
            // At once, while the group still waits for the dead member, or after a take-over.
            Kind::Kill if self.rng.random_bool(0.6) => 0,
            Kind::Kill => self.pick(200..5000),
            Kind::Zombie => self.pick(300..2500),
            _ => 0,
        };
        let aimed = matches!(kind, Kind::Kill | Kind::Zombie) && self.rng.random_bool(0.7);
        ProcessFault {
            kind,
            after_ms: self.pick(50..900),
            aim: aimed.then(|| AIMS[self.rng.random_range(0..AIMS.len())]),
            victim: self.rng.random_range(0..running.max(1)),
            away_ms,
            overlaps: self.rng.random_bool(0.3),
        }
    }

    /// The next fault of one of so many brokers.
    pub(crate) fn next_broker(&mut self, nodes: i32) -> BrokerFault {
        let kind = self.deal(&BROKER_DECK);
        BrokerFault {
            kind,
            after_ms: self.pick(300..2500),
            node: self.rng.random_range(1..=nodes),
            // Shorter and longer than the session of a broker, which is 3 s.
            away_ms: self.pick(0..6000),
        }
    }

    /// The next change of an application's inputs, which have so many partitions now: none when they
    /// are as many and as large as they may be.
    pub(crate) fn next_topic(&mut self, now: &[i32], inputs: Inputs) -> Option<TopicFault> {
        let after_ms = self.pick(1500..12_000);
        let (most_topics, most_partitions) = MOST_INPUTS;
        let growing: Vec<usize> = match inputs {
            Inputs::Any => (0..now.len()).filter(|t| now[*t] < most_partitions).collect(),
            Inputs::Copartitioned => Vec::new(),
        };
        let kind = match (now.len() < most_topics, growing.is_empty()) {
            (true, true) => Kind::Appear,
            (false, false) => Kind::Grow,
            (true, false) => self.deal(&TOPIC_DECK),
            (false, true) => return None,
        };
        let (topic, partitions) = match (kind, inputs) {
            (Kind::Grow, _) => {
                // The first is the one that an application names.
                let first = growing[0] == 0 && self.rng.random_bool(0.3);
                let at = if first { 0 } else { self.rng.random_range(0..growing.len()) };
                let more = self.rng.random_range(1..=3);
                (growing[at], (now[growing[at]] + more).min(most_partitions))
            }
            (_, Inputs::Any) => (now.len(), self.rng.random_range(1..=6)),
            (_, Inputs::Copartitioned) => (now.len(), now[0]),
        };
        Some(TopicFault { kind, after_ms, topic, partitions })
    }

    fn pick(&mut self, range: Range<u64>) -> u64 {
        self.rng.random_range(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn faults(seed: u64) -> Vec<ProcessFault> {
        let mut plan = Plan::new(seed, 1);
        let mut running = INSTANCES.0;
        let mut next = || {
            let fault = plan.next_process(running);
            match fault.kind {
                Kind::Add => running += 1,
                Kind::Remove => running -= 1,
                _ => {}
            }
            assert!((INSTANCES.0..=INSTANCES.1).contains(&running), "{running} instances");
            fault
        };
        (0..40).map(|_| next()).collect()
    }

    #[test]
    fn a_seed_decides_everything_and_another_seed_something_else() {
        assert_eq!(faults(7), faults(7));
        assert_ne!(faults(7), faults(8));
    }

    #[test]
    fn two_decks_have_every_kind_of_process_fault() {
        for seed in 0..50 {
            let kinds: BTreeSet<Kind> = faults(seed)[..20].iter().map(|f| f.kind).collect();
            assert_eq!(kinds, Kind::ALL[..5].iter().copied().collect(), "seed {seed}");
        }
    }

    #[test]
    fn most_of_the_broker_faults_are_kills_of_any_node() {
        let mut plan = Plan::new(1, 0);
        let faults: Vec<BrokerFault> = (0..100).map(|_| plan.next_broker(3)).collect();
        assert_eq!(faults.iter().filter(|f| f.kind == Kind::BrokerKill).count(), 70);
        let nodes: BTreeSet<i32> = faults.iter().map(|f| f.node).collect();
        assert_eq!(nodes, (1..=3).collect());
    }

    /// The changes of inputs until there are none, and what comes of them.
    fn changes(inputs: Inputs) -> (Vec<Kind>, Vec<i32>) {
        let mut plan = Plan::new(1, 4);
        let (mut kinds, mut now) = (Vec::new(), vec![4]);
        while let Some(next) = plan.next_topic(&now, inputs) {
            match next.kind {
                Kind::Grow => assert!(now[next.topic] < next.partitions),
                _ => {
                    assert_eq!(next.topic, now.len());
                    now.push(0);
                }
            }
            now[next.topic] = next.partitions;
            kinds.push(next.kind);
        }
        (kinds, now)
    }

    #[test]
    fn inputs_appear_and_grow_up_to_their_bounds() {
        let (kinds, now) = changes(Inputs::Any);
        assert_eq!(now, [MOST_INPUTS.1; MOST_INPUTS.0]);
        assert_eq!(kinds[..4].iter().filter(|kind| **kind == Kind::Grow).count(), 2);
    }

    #[test]
    fn inputs_that_a_store_follows_appear_and_never_grow() {
        let (kinds, now) = changes(Inputs::Copartitioned);
        assert_eq!(now, [4; MOST_INPUTS.0]);
        assert_eq!(kinds, [Kind::Appear; MOST_INPUTS.0 - 1]);
    }
}
