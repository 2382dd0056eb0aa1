//! A checker that runs a topology under every fault: does exactly once hold?
//!
//! [`ExactlyOnceCheck`] runs the topology to the end of its inputs on an embedded broker, and
//! names every request it makes. Then it runs it again with a fault at each request in turn: lost,
//! applied with its answer lost, late, answered with each error Kafka may give there, a connection
//! cut, a leader or coordinator moved, a member expired, a transaction timed out; a second
//! instance that joins and leaves; the application killed at that point and started again on its
//! state directory, or stopped there and woken when others have its partitions.
//!
//! Stores are also restored from a broker that lags, as a follower or a new leader may: after a
//! kill, by an instance that joins, and by one that lost its stores, at each fetch of its restores.
//!
//! After each case: what a `read_committed` consumer sees is the same as without a fault, stores
//! are the fold of their changelogs, committed offsets are at the end of the inputs, no transaction
//! is open, and nothing hung.
//!
//! Only what is in Kafka and in stores is judged. A topology that reads or writes anything else
//! in its functions (a counter, a clock, a database) is found out when that shows in its output.

mod cases;
mod errors;
mod held_back;
mod instance;
mod local;
mod outputs;
mod plan;
mod process;
mod report;
mod requests;
mod restores;
mod run;
mod sample;
mod settings;
mod stage;
mod stores;
mod verify;

use std::collections::BTreeMap;
use std::time::Duration;

use oncestream_core::graph::Topology;
use oncestream_core::serde::{HasSerde, Part};

pub use report::{CaseFailure, CheckFailure, CheckReport};
use settings::{InputRecord, Setup};

/// Runs a topology with every fault at every request, and fails if one shows.
///
/// It makes the topics, feeds the inputs in a few waves, and makes as many runs as there are
/// faults: hundreds for a small topology. Keep the inputs small, some dozen records, and
/// deterministic: what a key gets in an output must not depend on how partitions interleave
/// (else see [`Self::unordered`]).
///
/// ```no_run
/// use oncestream_operators::{StreamsBuilder, Topics};
/// use oncestream_testkit::ExactlyOnceCheck;
///
/// fn topology() -> oncestream_core::graph::Topology {
///     let builder = StreamsBuilder::new();
///     builder
///         .stream::<String, String>("words")
///         .group_by_key()
///         .count("counts")
///         .to_stream()
///         .to("counts");
///     builder.build().expect("a valid topology")
/// }
///
/// #[test]
/// # fn hidden() {}
/// fn counts_are_exact() {
///     let words = ["to", "be", "or", "not", "to", "be"];
///     let report = ExactlyOnceCheck::new("counts-are-exact", topology)
///         .input("words", words.map(|word| (word.to_owned(), word.to_owned())))
///         .run();
///     println!("{report}");
/// }
/// # fn main() {}
/// ```
///
/// A side effect is outside any Kafka transaction. It happens again when a record is processed
/// again, and where it shows in the output the check fails:
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use oncestream_operators::{StreamsBuilder, Topics};
/// use oncestream_testkit::ExactlyOnceCheck;
///
/// let failure = ExactlyOnceCheck::new("numbered", || {
///     let numbers = AtomicU64::new(0);
///     let builder = StreamsBuilder::new();
///     builder
///         .stream::<String, String>("lines")
///         // Counts what was processed, not what was committed.
///         .map_values(move |line| format!("{} {line}", numbers.fetch_add(1, Ordering::Relaxed)))
///         .to("numbered");
///     builder.build().expect("a valid topology")
/// })
/// .partitions(1)
/// .input("lines", ["a", "b", "c"].map(|line| (line.to_owned(), line.to_owned())))
/// .only("EndTxn #1")
/// .processes(false)
/// .try_run()
/// .unwrap_err();
/// assert!(failure.to_string().contains("output numbered-0"), "{failure}");
/// ```
#[must_use = "call run()"]
pub struct ExactlyOnceCheck {
    setup: Setup,
}

impl std::fmt::Debug for ExactlyOnceCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExactlyOnceCheck").field("name", &self.setup.name).finish_non_exhaustive()
    }
}

impl ExactlyOnceCheck {
    /// A check of a topology. `name` becomes the `application.id`: letters, digits, `.`, `_` and
    /// `-`, and no other check of the process has it. The topology is made anew for each run.
    pub fn new(name: &str, topology: impl Fn() -> Topology + Send + Sync + 'static) -> Self {
        let test = process::test_name(std::any::type_name_of_val(&topology));
        Self {
            setup: Setup {
                name: name.to_owned(),
                test,
                topology: Box::new(topology),
                inputs: BTreeMap::new(),
                outputs: Vec::new(),
                partitions: 2,
                waves: 3,
                settings: BTreeMap::new(),
                seed: 1,
                limit: usize::MAX,
                parallelism: 16,
                deadline: Duration::from_secs(60),
                processes: true,
                rebalances: true,
                threads: false,
                ordered: true,
                only: std::env::var(settings::ONLY).ok(),
            },
        }
    }

    /// The records of an input topic, in order, with the serdes of their types. Record `n` has the
    /// timestamp 1 700 000 000 000 + `n` ms.
    ///
    /// The topic of a global table has all its records before the application starts, because nobody
    /// says when an instance sees later ones.
    ///
    /// # Panics
    /// When a key or value cannot be written.
    pub fn input<K: HasSerde, V: HasSerde>(
        mut self,
        topic: &str,
        records: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let (keys, values) = (K::serde(), V::serde());
        let records = records.into_iter().map(|(key, value)| InputRecord {
            key: settings::bytes(topic, Part::Key, &*keys, &key),
            value: settings::bytes(topic, Part::Value, &*values, &value),
        });
        self.setup.inputs.entry(topic.to_owned()).or_default().extend(records);
        self
    }

    /// One more topic the application writes to: one that a function chooses, or that of dead
    /// letters. Topics of sinks are known.
    pub fn output(mut self, topic: &str) -> Self {
        self.setup.outputs.push(topic.to_owned());
        self
    }

    /// How many partitions each input and output topic has; 2 without it.
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.setup.partitions = partitions.max(1);
        self
    }

    /// In how many waves the inputs arrive, each when the one before is committed: so many commits
    /// at least; 3 without it.
    pub fn waves(mut self, waves: usize) -> Self {
        self.setup.waves = waves.max(1);
        self
    }

    /// A setting of the application, by its dotted name, over those of the check: short timeouts,
    /// `commit.interval.ms=20` and `statestore.cache.max.bytes=0`.
    ///
    /// With a cache, how many updates of a table reach the output depends on time. Then those of a
    /// key must be some of all updates there are, in their order, and end with the last. What is
    /// written before any store is compared in full.
    ///
    /// With `auto.offset.reset=latest` the inputs arrive when the application has committed where
    /// it begins.
    pub fn setting(mut self, key: &str, value: &str) -> Self {
        self.setup.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// At most so many cases, chosen by the seed; all without it.
    pub fn cases(mut self, limit: usize) -> Self {
        self.setup.limit = limit;
        self
    }

    /// The seed that chooses cases and their order.
    pub fn seed(mut self, seed: u64) -> Self {
        self.setup.seed = seed;
        self
    }

    /// How many cases run at a time; 16 without it. They mostly wait.
    pub fn parallelism(mut self, cases: usize) -> Self {
        self.setup.parallelism = cases.max(1);
        self
    }

    /// How long a case may take before it counts as hung; 60 s without it.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.setup.deadline = deadline;
        self
    }

    /// Whether the application is also killed and stopped, as a process of its own; it is, unless
    /// told otherwise. The process is the running test binary, started again for this test alone.
    pub fn processes(mut self, wanted: bool) -> Self {
        self.setup.processes = wanted;
        self
    }

    /// Whether a second instance joins and leaves; it does, unless told otherwise.
    pub fn rebalances(mut self, wanted: bool) -> Self {
        self.setup.rebalances = wanted;
        self
    }

    /// The full name of the test that makes this check, as `cargo test` prints it, if it cannot be
    /// told from the thread or the topology's closure.
    pub fn test(mut self, name: &str) -> Self {
        self.setup.test = Some(name.to_owned());
        self
    }

    /// Compares the records of an output partition without regard to their order: for keys whose
    /// records come from several input partitions.
    pub fn unordered(mut self) -> Self {
        self.setup.ordered = false;
        self
    }

    /// Also checks that no thread of a client or worker outlives its case. The other checks of its
    /// process wait meanwhile; it must run nothing else of the kind.
    pub fn check_threads(mut self) -> Self {
        self.setup.threads = true;
        self
    }

    /// Only cases whose description contains this text, such as `EndTxn #2` or `killed`. The
    /// environment variable `ONCESTREAM_CHECK_ONLY` does the same.
    pub fn only(mut self, text: &str) -> Self {
        self.setup.only.get_or_insert_with(|| text.to_owned());
        self
    }

    /// Runs all cases.
    ///
    /// # Panics
    /// When exactly once did not hold: with each fault, how the output differs, the requests
    /// around it, and the seed.
    #[allow(clippy::panic, reason = "a failed check fails its test")]
    pub fn run(self) -> CheckReport {
        self.try_run().unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// The same as [`Self::run`], with the failures as a value.
    ///
    /// # Errors
    /// Everything that makes `run` panic.
    pub fn try_run(self) -> Result<CheckReport, CheckFailure> {
        run::run(&self.setup)
    }
}
