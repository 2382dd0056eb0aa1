//! The comparison itself: inputs once, then every cell in turn, each run in a process of its own.
//!
//! Contenders of one (job, guarantee, number of partitions) run one after the other and repeats are
//! the outermost loop, every second one in reverse, so that noise that comes and goes hits all alike. Every run gets a fresh application
//! id, output topic and state directory, and leaves nothing behind.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};

use crate::check::check;
use crate::child::Child;
use crate::job::{Contender, Job, Named, RunSpec};
use crate::kafka::{Filler, Progress, Topics};
use crate::kafka_streams::KafkaStreams;
use crate::measure::{SAMPLE_INTERVAL, Sample, figures};
use crate::options::Options;
use crate::report::{Cell, Outcome};
use crate::workload::{self, Tally};

/// Runs everything that `options` ask for on the Kafka at `bootstrap_servers`.
///
/// # Errors
/// When the comparison itself cannot work; a contender that fails is a result.
pub(crate) fn compare(options: &Options, bootstrap_servers: &str) -> Result<Vec<Cell>> {
    let build_dir = build_dir()?;
    fs::create_dir_all(&build_dir)?;
    let kafka_streams = if options.contenders.contains(&Contender::KafkaStreams) {
        let jars = options.jars.as_deref();
        Some(KafkaStreams::prepare(&build_dir, jars, &options.jvm_flags)?)
    } else {
        None
    };
    // Beside the build, not in the system's temporary directory, which may lie in memory.
    let work_dir = tempfile::Builder::new().prefix("run-").tempdir_in(&build_dir)?;
    let comparison = Comparison {
        options,
        bootstrap_servers,
        topics: Topics::new(bootstrap_servers)?,
        kafka_streams,
        work_dir: work_dir.path().to_owned(),
        prefix: format!("compare-{}", std::process::id()),
    };
    let result = comparison.run();
    // Also after an error, and for the inputs as well; the first error is the one to show.
    let cleaned = comparison.topics.delete_with_prefix(&comparison.prefix);
    let cells = result?;
    cleaned?;
    Ok(cells)
}

/// Cargo's target directory, as the place of this program tells it.
fn build_dir() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).context("this program lies in no target directory")?;
    Ok(target.join("compare"))
}

struct Comparison<'a> {
    options: &'a Options,
    bootstrap_servers: &'a str,
    topics: Topics,
    kafka_streams: Option<KafkaStreams>,
    work_dir: PathBuf,
    /// Starts the name of every topic and group of this comparison.
    prefix: String,
}

/// Takes a key, a value and a time of an input.
type Emit<'a> = &'a mut dyn FnMut(&[u8], &[u8], u64) -> Result<()>;

/// Hands out so many records from a time on, and gives the answer.
type Fill = fn(u64, u64, Emit<'_>) -> Result<Tally>;

/// An input topic with the right answer to a job on it.
#[derive(Clone)]
struct Input {
    topic: String,
    partitions: i32,
    total: u64,
    expected: Tally,
}

impl Comparison<'_> {
    fn run(&self) -> Result<Vec<Cell>> {
        let inputs = self.fill()?;
        let mut cells = self.cells();
        for round in 1..=self.options.repeat {
            // What follows a run may meet a broker that still cleans up after it: each second round
            // goes the other way.
            let mut order: Vec<&mut Cell> = cells.iter_mut().collect();
            if round % 2 == 0 {
                order.reverse();
            }
            for cell in order {
                let of_cell = |(job, input): &&(Job, Input)| {
                    *job == cell.job && input.partitions == cell.partitions
                };
                let (_, input) = inputs.iter().find(of_cell).context("the job has no input")?;
                let outcome = self.one_run(cell, input, round)?;
                eprintln!(
                    "{} {} {} {} #{round}: {}",
                    cell.job.name(),
                    cell.guarantee.name(),
                    cell.partitions,
                    cell.contender.name(),
                    describe(&outcome)
                );
                cell.runs.push(outcome);
            }
        }
        Ok(cells)
    }

    /// What is measured, in the order in which it runs: contenders of one kind of run follow each
    /// other.
    fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for &job in &self.options.jobs {
            for &guarantee in &self.options.guarantees {
                for &partitions in &self.options.partitions {
                    for &contender in &self.options.contenders {
                        if contender == Contender::Raw && !job.is_by_hand() {
                            continue;
                        }
                        cells.push(Cell {
                            job,
                            guarantee,
                            partitions,
                            contender,
                            runs: Vec::new(),
                        });
                    }
                }
            }
        }
        cells
    }

    /// Fills the inputs that the jobs need, for each number of partitions.
    fn fill(&self) -> Result<Vec<(Job, Input)>> {
        let mut inputs = Vec::new();
        for partitions in &self.options.partitions {
            self.fill_for(*partitions, &mut inputs)?;
        }
        Ok(inputs)
    }

    fn fill_for(&self, partitions: i32, inputs: &mut Vec<(Job, Input)>) -> Result<()> {
        let asked = |jobs: &[Job]| self.options.jobs.iter().any(|job| jobs.contains(job));
        let total = self.options.records;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        // The last record is of an hour ago: brokers refuse times far ahead, and a changelog of windows
        // would not keep those far behind.
        let minutes = total.div_ceil(workload::RECORDS_PER_MINUTE);
        let begin_ms = (now / 60).saturating_sub(60 + minutes) * workload::MINUTE_MS;
        if asked(&[Job::Map, Job::Count, Job::WindowCount]) {
            let topic = format!("{}-records-{partitions}", self.prefix);
            eprintln!("filling {topic} with {total} records");
            let filler = self.filler(&topic, partitions)?;
            let (map, count, windows) = workload::records(total, begin_ms, |key, value, at_ms| {
                filler.send(Some(key), value, Some(at_ms))
            })?;
            filler.finish()?;
            let input = |expected| Input { topic: topic.clone(), partitions, total, expected };
            inputs.extend([
                (Job::Map, input(map)),
                (Job::Count, input(count)),
                (Job::WindowCount, input(windows)),
            ]);
        }
        let fills: [(Job, &str, Fill); 2] = [
            (Job::StreamJoin, "pairs", |n, begin_ms, emit| workload::pairs(n, begin_ms, emit)),
            (Job::TableJoin, "updates", |n, begin_ms, emit| workload::updates(n, begin_ms, emit)),
        ];
        for (job, what, fill) in fills.into_iter().filter(|(job, ..)| asked(&[*job])) {
            let topic = format!("{}-{what}-{partitions}", self.prefix);
            eprintln!("filling {topic} with {total} records");
            let filler = self.filler(&topic, partitions)?;
            let mut emit =
                |key: &[u8], value: &[u8], at_ms| filler.send(Some(key), value, Some(at_ms));
            let expected = fill(total, begin_ms, &mut emit)?;
            filler.finish()?;
            inputs.push((job, Input { topic, partitions, total, expected }));
        }
        if asked(&[Job::WordCount]) {
            let (topic, total) =
                (format!("{}-lines-{partitions}", self.prefix), self.options.lines);
            eprintln!("filling {topic} with {total} lines");
            let filler = self.filler(&topic, partitions)?;
            let expected = workload::lines(total, |line| filler.send(None, line, None))?;
            filler.finish()?;
            inputs.push((Job::WordCount, Input { topic, partitions, total, expected }));
        }
        Ok(())
    }

    fn filler(&self, topic: &str, partitions: i32) -> Result<Filler> {
        self.topics.create(topic, partitions, &[])?;
        Filler::new(self.bootstrap_servers, topic)
    }

    fn one_run(&self, cell: &Cell, input: &Input, round: usize) -> Result<Outcome> {
        let (job, guarantee, contender) =
            (cell.job.name(), cell.guarantee.name(), cell.contender.name());
        // Ends in a word of its own, so that no run's id is the start of another's.
        let run = format!("{job}-{guarantee}-{}-{contender}-{round}", cell.partitions);
        let application_id = format!("{}-{run}-app", self.prefix);
        let spec = RunSpec {
            job: cell.job,
            guarantee: cell.guarantee,
            bootstrap_servers: self.bootstrap_servers.to_owned(),
            output: format!("{application_id}-out"),
            input: input.topic.clone(),
            partitions: cell.partitions,
            state_dir: self.work_dir.join(&application_id),
            application_id,
        };
        self.create_topics(&spec, cell.contender)?;
        fs::create_dir_all(&spec.state_dir)?;
        let outcome = match self.measure(&spec, cell.contender, input) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        fs::remove_dir_all(&spec.state_dir)?;
        self.topics.delete_with_prefix(&spec.application_id)?;
        Ok(outcome)
    }

    fn create_topics(&self, spec: &RunSpec, contender: Contender) -> Result<()> {
        self.topics.create(&spec.output, spec.partitions, &[])?;
        // The others create their internal topics themselves.
        if contender == Contender::Raw && spec.job != Job::Map {
            let compacted = [("cleanup.policy", "compact")];
            self.topics.create(&spec.changelog(), spec.partitions, &compacted)?;
        }
        if contender == Contender::Raw && spec.job == Job::WordCount {
            self.topics.create(&spec.repartition(), spec.partitions, &[])?;
        }
        Ok(())
    }

    fn command(&self, spec: &RunSpec, contender: Contender) -> Result<Command> {
        if contender == Contender::KafkaStreams {
            let program = self.kafka_streams.as_ref().context("Kafka Streams is not prepared")?;
            return Ok(program.command(spec));
        }
        let (program, contender) = match (contender, &self.options.baseline) {
            (Contender::Baseline, Some(program)) => (program.clone(), Contender::Oncestream),
            _ => (std::env::current_exe()?, contender),
        };
        let mut command = Command::new(program);
        command.arg("contender").arg(contender.name()).args(spec.to_args());
        Ok(command)
    }

    /// Errors here are the contender's.
    fn measure(&self, spec: &RunSpec, contender: Contender, input: &Input) -> Result<Outcome> {
        let progress = Progress::new(spec, input.total)?;
        progress.check_input()?;
        let log = self.work_dir.join(format!("{}.log", spec.application_id));
        let mut child = Child::start(self.command(spec, contender)?, &log)?;
        let samples = watch(&mut child, &progress, self.options.timeout)?;
        child.stop()?;
        check(spec, input.expected)?;
        let figures = figures(&samples, input.total)
            .ok_or_else(|| anyhow!("too short to measure; use more records"))?;
        Ok(Outcome::Measured(figures))
    }
}

/// Samples the child until the group has committed everything.
fn watch(child: &mut Child, progress: &Progress<'_>, timeout: Duration) -> Result<Vec<Sample>> {
    let mut samples: Vec<Sample> = Vec::new();
    loop {
        if let Some(status) = child.exited()? {
            bail!("ended with {status}: {}", child.last_words());
        }
        let (committed, done) = progress.look()?;
        // A child that ends between the two looks shows at the next turn.
        if let (Ok(cpu), Ok(peak_rss_bytes)) = (child.cpu(), child.peak_rss_bytes()) {
            samples.push(Sample { at: child.age(), committed, cpu, peak_rss_bytes, done });
            if done {
                return Ok(samples);
            }
        }
        if child.age() > timeout {
            bail!("committed {committed} records in {timeout:?}: {}", child.last_words());
        }
        std::thread::sleep(SAMPLE_INTERVAL);
    }
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Measured(f) => format!(
            "{:.0} records/s, {:.0} per CPU-second, {} MiB",
            f.records_per_second,
            f.records_per_cpu_second,
            f.peak_rss_bytes >> 20
        ),
        Outcome::Failed(why) => format!("FAILED: {why}"),
    }
}
