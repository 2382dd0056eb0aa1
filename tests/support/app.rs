//! An application of several instances that a test starts, kills and stops.
//!
//! Instances have slots: one started again in its slot finds the state directory of the one before
//! it. Logs of all starts are kept until the test ends, and shown if it fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use crate::instance::Instance;
use crate::kafka::{
    Isolation, LIMIT, broker, committed, consumer, create_topics, ends, eventually, for_each,
};

/// So many partitions have the topics of an application.
pub const PARTITIONS: i32 = 4;
/// So much of each log is shown after a failure.
const LOG_LINES: usize = 60;
/// Where every second kill hits a commit; the others hit anything. Flush sends changelogs, and at
/// Apply Kafka has committed what the stores do not have yet.
const AIMS: [&str; 5] = ["SendOffsets", "Flush", "Commit", "SendOffsets", "Apply"];
/// How long an application may take to process what is left when the input has ended.
const DRAIN: Duration = Duration::from_mins(2);

/// Which settings all instances of an application get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// With a short transaction, so that kills find one open.
    ExactlyOnce,
    /// With commits so rare that a kill loses one.
    AtLeastOnce,
}

impl Guarantee {
    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::ExactlyOnce => &[
                "processing.guarantee=exactly_once",
                "commit.interval.ms=100",
                "transaction.timeout.ms=2000",
                "session.timeout.ms=3000",
                // What was aborted is counted at the end.
                "repartition.purge.interval.ms=600000",
            ],
            Self::AtLeastOnce => &[
                "processing.guarantee=at_least_once",
                "commit.interval.ms=1000",
                "session.timeout.ms=3000",
            ],
        }
    }
}

/// A random seed, or the one in `ONCESTREAM_TEST_SEED`. Printed, so that a run can be repeated.
pub fn seed(test: &str) -> u64 {
    let given = std::env::var("ONCESTREAM_TEST_SEED").ok();
    let seed = given.map_or_else(|| rand::random_range(0..1_000_000), |s| s.parse().unwrap());
    println!("{test}: ONCESTREAM_TEST_SEED={seed}");
    seed
}

/// An application with an input and an output topic of its own.
pub struct App {
    /// The `application.id`, and the test's name.
    pub id: String,
    /// The input topic.
    pub input: String,
    /// The output topic.
    pub output: String,
    binary: PathBuf,
    job: &'static str,
    /// What its instances promise.
    pub guarantee: Guarantee,
    folder: TempDir,
    starts: AtomicUsize,
    settings: Vec<String>,
}

impl App {
    /// Makes the topics. `binary` is the `instance` of this package.
    pub fn new(binary: &str, id: &str, job: &'static str, guarantee: Guarantee) -> Self {
        let (input, output) = (format!("{id}-input"), format!("{id}-output"));
        create_topics(&[&input, &output], PARTITIONS);
        Self {
            id: id.to_owned(),
            input,
            output,
            binary: binary.into(),
            job,
            guarantee,
            folder: tempfile::tempdir().unwrap(),
            starts: AtomicUsize::new(0),
            settings: Vec::new(),
        }
    }

    /// A setting of its instances, as `key=value`.
    #[must_use]
    pub fn set(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// The state directory of a slot.
    pub fn state_dir(&self, slot: usize) -> PathBuf {
        self.folder.path().join(format!("state-{slot}"))
    }

    /// The changelog of a store.
    pub fn changelog(&self, store: &str) -> String {
        format!("{}-{store}-changelog", self.id)
    }

    /// The topics it reads, upstream first.
    pub fn sources(&self) -> Vec<String> {
        match self.job {
            "word_count" => {
                let repartition = format!("{}-counts-repartition", self.id);
                vec![self.input.clone(), repartition]
            }
            _ => vec![self.input.clone()],
        }
    }

    /// All its topics: those it reads and those it writes.
    pub fn topics(&self) -> Vec<String> {
        let mut topics = self.sources();
        topics.push(self.output.clone());
        if self.job == "word_count" {
            topics.push(self.changelog("counts"));
        }
        topics
    }

    /// Starts an instance in a slot.
    pub fn start(&self, slot: usize) -> Instance {
        let state_dir = self.state_dir(slot).display().to_string();
        let mut args: Vec<String> = [
            ("--bootstrap-servers", broker().bootstrap_servers()),
            ("--application-id", &self.id),
            ("--job", self.job),
            ("--input", &self.input),
            ("--output", &self.output),
            ("--state-dir", &state_dir),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()])
        .collect();
        let of_guarantee = self.guarantee.settings().iter().map(|setting| (*setting).to_owned());
        for setting in of_guarantee.chain(self.settings.iter().cloned()) {
            args.extend(["--set".to_owned(), setting]);
        }
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.path().join(format!("{start:02}-instance-{slot}.log"));
        Instance::start(&self.binary, &args, log)
    }

    /// Kills one of two running instances `kills` times and starts it again: at once, or every
    /// third time only after the other has taken its partitions over. Moments are random, and
    /// under exactly once every second one is the next time that a certain step of a commit begins.
    pub fn kill_again_and_again(&self, instances: &mut [Instance; 2], kills: usize, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        for instance in &*instances {
            instance.await_progress(0);
        }
        for kill in 1..=kills {
            // Not a wait for something: the random moment that a kill needs.
            let wait_ms = rng.random_range(200..2500);
            std::thread::sleep(Duration::from_millis(wait_ms));
            let victim = rng.random_range(0..2);
            let heard = instances[1 - victim].heard();
            let aim = (self.guarantee == Guarantee::ExactlyOnce && kill % 2 == 0)
                .then(|| AIMS[kill / 2 % AIMS.len()]);
            if let Some(action) = aim {
                instances[victim].await_action(action);
            }
            instances[victim].kill();
            let take_over = kill % 3 == 0;
            if take_over {
                instances[1 - victim].await_progress(heard);
            }
            instances[victim] = self.start(victim);
            instances[victim].await_progress(0);
            let when = if take_over { "after the other took over" } else { "at once" };
            let aim = aim.unwrap_or("anything");
            println!(
                "{}: kill {kill} of {kills}: instance {victim} after {wait_ms} ms at {aim}, \
                 started again {when}",
                self.id
            );
        }
    }

    /// Waits until the group has committed everything there is to read, upstream first.
    pub fn await_all_committed(&self) {
        let asks = consumer(&self.id, Isolation::Committed);
        for topic in self.sources() {
            let mut before = Vec::new();
            let what = format!("{}: committing all of {topic}", self.id);
            eventually(&what, DRAIN, || {
                let now = committed(&asks, &topic);
                // Markers of transactions count as offsets, so only reading tells; and reading is
                // worth it only when the offsets stand still.
                let settled = now == before && {
                    let mut left = 0;
                    for_each(&topic, Isolation::Committed, &now, |_| left += 1);
                    left == 0
                };
                before = now;
                settled
            });
        }
    }

    /// Stops instances with SIGTERM and checks that they leave no transaction open.
    pub fn stop(&self, instances: &mut [Instance]) {
        for instance in instances {
            let end = instance.terminate();
            println!("{}: an instance ended: {}", self.id, end["counters"]);
        }
        for topic in &self.topics() {
            // Markers are written soon after the answer to a commit.
            eventually(&format!("no open transaction on {topic}"), LIMIT, || {
                ends(topic, Isolation::Committed) == ends(topic, Isolation::Uncommitted)
            });
        }
    }

    fn logs(&self) -> Vec<PathBuf> {
        let Ok(files) = fs::read_dir(self.folder.path()) else { return Vec::new() };
        let mut logs: Vec<PathBuf> = files.filter_map(|f| Some(f.ok()?.path())).collect();
        logs.retain(|path| path.extension().is_some_and(|e| e == "log"));
        logs.sort();
        logs
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for log in self.logs() {
            print_end(&log);
        }
        self.folder.disable_cleanup(true);
        println!("logs and state of {} are kept in {}", self.id, self.folder.path().display());
    }
}

fn print_end(log: &Path) {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let left_out = lines.len().saturating_sub(LOG_LINES);
    println!("---- {} ({left_out} lines left out)", log.display());
    for line in &lines[left_out..] {
        println!("{line}");
    }
}
