//! The five applications under fire: their topics, their instances and what is fed to them.
//!
//! | job | input | output |
//! |---|---|---|
//! | `pass_through` | each key's numbers from 0 on; a key has one partition of one topic | the same |
//! | `word_count` | lines of four words and one that names the partition; a repartition topic; no cache | every count of every word, from 1 on, and of every word in windows of 10 s, which take records for an hour |
//! | `smoke` | each key's numbers, ever further from a middle, in all topics | least, greatest and sum, cached |
//! | `pairs` | each key's numbers from 0 on, the even ones joined with the odd ones, which go through a repartition topic | each number that has a next one |
//! | `foreign` | each key's numbers from 0 on; a table of the even keys has each 16th, and one of the odd keys all | the rows of the even keys, each with the row of the odd key that it names, cached |
//!
//! All read one topic by name and others by a pattern. Topics that appear may have any number of
//! partitions, and all may grow; not so for `smoke`, `pairs` and `foreign`, whose stores follow the inputs
//! themselves.
//! Knows nothing of faults.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oncestream_tests::app::{Guarantee, PARTITIONS};
use oncestream_tests::instance::Instance;
use oncestream_tests::kafka::{create_topics, kafka};

use crate::inputs::Inputs;
use crate::plan;

/// When instances look for new topics and partitions, by slot: soon, and one after the other, so
/// that members of a group go on with different views for a while. The default is five minutes.
const REFRESHES_MS: [u64; 3] = [500, 5000, 2000];
/// So old may be what a member joins with; else it would look again, and all would see the same.
const METADATA_MAX_AGE_MS: u64 = 20_000;

/// How instances run. Sessions are short, so that take-overs are frequent.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) guarantee: Guarantee,
    pub(crate) session_ms: u64,
    /// What the runtime is told to do wrong.
    pub(crate) sabotage: Option<String>,
}

impl Settings {
    fn list(&self) -> Vec<String> {
        let mut list = vec![format!("session.timeout.ms={}", self.session_ms)];
        match self.guarantee {
            Guarantee::ExactlyOnce => {
                list.push("processing.guarantee=exactly_once".to_owned());
                list.push("commit.interval.ms=100".to_owned());
                list.push(format!("transaction.timeout.ms={}", self.session_ms - 1000));
            }
            Guarantee::AtLeastOnce => {
                list.push("processing.guarantee=at_least_once".to_owned());
                list.push("commit.interval.ms=1000".to_owned());
            }
        }
        list
    }
}

/// One application.
pub(crate) struct Workload {
    /// Its job and its name.
    pub(crate) job: &'static str,
    pub(crate) id: String,
    pub(crate) inputs: Inputs,
    pub(crate) output: String,
    /// Records a second.
    pub(crate) rate: usize,
    settings: Settings,
    folder: PathBuf,
    starts: AtomicUsize,
}

impl Workload {
    /// All five, with their topics made; `rate` is shared among them.
    pub(crate) fn all(folder: &Path, settings: &Settings, rate: usize) -> Vec<Self> {
        // In per cent. A line of four words is more work than four records.
        [("pass_through", 30), ("word_count", 10), ("smoke", 30), ("pairs", 15), ("foreign", 15)]
            .into_iter()
            .map(|(job, part)| Self::new(job, folder, settings, rate * part / 100))
            .collect()
    }

    fn new(job: &'static str, folder: &Path, settings: &Settings, rate: usize) -> Self {
        let id = format!("chaos-{}", job.replace('_', "-"));
        let (input, output) = (format!("{id}-input"), format!("{id}-output"));
        create_topics(&[&input, &output], PARTITIONS);
        let inputs = Inputs::new(input, PARTITIONS);
        let (folder, settings) = (folder.join(job), settings.clone());
        Self { job, id, inputs, output, rate, settings, folder, starts: AtomicUsize::new(0) }
    }

    /// What inputs it can take.
    pub(crate) fn takes(&self) -> plan::Inputs {
        match self.job {
            "smoke" | "pairs" | "foreign" => plan::Inputs::Copartitioned,
            _ => plan::Inputs::Any,
        }
    }

    /// Its stores.
    pub(crate) fn stores(&self) -> &'static [&'static str] {
        match self.job {
            "word_count" => &["counts", "windows"],
            "smoke" => &["min", "max", "sum"],
            "pairs" => &["pairs-this-join-store", "pairs-other-join-store"],
            "foreign" => &["even", "odd"],
            _ => &[],
        }
    }

    pub(crate) fn changelog(&self, store: &str) -> String {
        format!("{}-{store}-changelog", self.id)
    }

    /// How long the group waits for a member that is silent.
    pub(crate) fn session(&self) -> Duration {
        Duration::from_millis(self.settings.session_ms)
    }

    /// The topics it reads, upstream first.
    pub(crate) fn sources(&self) -> Vec<String> {
        let mut sources = self.inputs.names();
        sources.extend(self.between());
        sources
    }

    /// The topics that it writes and reads.
    fn between(&self) -> Vec<String> {
        let names: &[&str] = match self.job {
            "word_count" => &["counts-repartition"],
            "pairs" => &["odd-repartition"],
            "foreign" => {
                &["foreign-subscription-registration-topic", "foreign-subscription-response-topic"]
            }
            _ => &[],
        };
        names.iter().map(|name| format!("{}-{name}", self.id)).collect()
    }

    /// The topics it writes.
    pub(crate) fn written(&self) -> Vec<String> {
        let mut topics = self.between();
        topics.extend(self.stores().iter().map(|store| self.changelog(store)));
        topics.push(self.output.clone());
        topics
    }

    pub(crate) fn state_dir(&self, slot: usize) -> PathBuf {
        self.folder.join(format!("state-{slot}"))
    }

    /// Starts an instance in a slot: this program again, in its other role.
    pub(crate) fn start(&self, slot: usize) -> anyhow::Result<Instance> {
        std::fs::create_dir_all(&self.folder)?;
        let state_dir = self.state_dir(slot).display().to_string();
        let mut args = vec!["instance".to_owned()];
        for (flag, value) in [
            ("--bootstrap-servers", kafka().bootstrap_servers()),
            ("--application-id", &self.id),
            ("--job", if self.job == "word_count" { "windowed_word_count" } else { self.job }),
            ("--input", self.inputs.first()),
            ("--more", &self.inputs.pattern()),
            ("--output", &self.output),
            ("--state-dir", &state_dir),
        ] {
            args.extend([flag.to_owned(), value.to_owned()]);
        }
        let mut set = self.settings.list();
        let refresh_ms = REFRESHES_MS[slot % REFRESHES_MS.len()];
        set.push(format!("consumer.topic.metadata.refresh.interval.ms={refresh_ms}"));
        set.push(format!("consumer.metadata.max.age.ms={METADATA_MAX_AGE_MS}"));
        if self.job == "word_count" {
            // Every count is seen, so that every record is checked and not only the last.
            set.push("statestore.cache.max.bytes=0".to_owned());
        }
        args.extend(set.into_iter().flat_map(|setting| ["--set".to_owned(), setting]));
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.join(format!("{start:04}-instance-{slot}.log"));
        let sabotage = self.settings.sabotage.as_deref();
        let environment: Vec<_> =
            sabotage.map(|s| ("ONCESTREAM_SABOTAGE", s)).into_iter().collect();
        Ok(Instance::start_with(&std::env::current_exe()?, &args, &environment, log))
    }

    /// The last line that the last instance in a slot logged.
    pub(crate) fn last_words(&self, slot: usize) -> String {
        let suffix = format!("-instance-{slot}.log");
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let logs = files.map(|f| f.path()).filter(|p| p.to_string_lossy().ends_with(&suffix));
        let text = logs.max().and_then(|log| std::fs::read_to_string(log).ok());
        text.and_then(|t| t.lines().last().map(str::to_owned)).unwrap_or_default()
    }
}
