//! What takes part in commits beside Kafka: wherever an instance crashes, and whenever the participant
//! fails, it has what Kafka has committed, and no more.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use oncestream_core::graph::Topology;
use oncestream_core::{TaskId, TopicPartition};
use oncestream_engine::{Commit, Participant, ParticipantError};
use oncestream_operators::StreamsBuilder;
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::{DriverError, TestInput};

/// A database that keeps positions: what a real one would keep beside its rows.
#[derive(Default)]
struct Database {
    prepared: BTreeMap<TopicPartition, i64>,
    applied: BTreeMap<TopicPartition, i64>,
    /// How often it was asked for something, and when it fails.
    asked: u64,
    fails_at: Option<u64>,
    /// What must not be.
    faults: Vec<String>,
}

impl Database {
    fn ask(&mut self) -> Result<(), ParticipantError> {
        self.asked += 1;
        if self.fails_at == Some(self.asked) {
            return Err(ParticipantError::Failed("the database is away".into()));
        }
        Ok(())
    }
}

/// The connection of one life of an instance to the database, which outlives it.
struct Connection {
    database: Arc<Mutex<Database>>,
    /// What is broken: an apply that comes without having been prepared.
    forgets: bool,
}

impl Participant for Connection {
    fn name(&self) -> &'static str {
        "the database"
    }

    /// What was prepared last was committed if its positions are.
    fn recover(
        &mut self,
        _task: TaskId,
        committed: &[(TopicPartition, Option<i64>)],
    ) -> Result<(), ParticipantError> {
        let mut database = self.database.lock().unwrap();
        database.ask()?;
        for (partition, committed) in committed {
            let committed = committed.unwrap_or(0);
            if database.prepared.get(partition) == Some(&committed) {
                database.applied.insert(partition.clone(), committed);
            }
            let applied = database.applied.get(partition).copied().unwrap_or(0);
            if applied != committed {
                let fault = format!("{partition}: {applied} applied, {committed} committed");
                database.faults.push(fault);
            }
        }
        Ok(())
    }

    fn prepare(&mut self, commit: &Commit<'_>) -> Result<(), ParticipantError> {
        let mut database = self.database.lock().unwrap();
        database.ask()?;
        if !self.forgets {
            let positions = commit.positions.iter();
            database.prepared = positions.map(|p| (p.partition.clone(), p.offset)).collect();
        }
        Ok(())
    }

    fn apply(&mut self, commit: &Commit<'_>) -> Result<(), ParticipantError> {
        let mut database = self.database.lock().unwrap();
        database.ask()?;
        let positions = commit.positions.iter();
        database.applied.extend(positions.map(|p| (p.partition.clone(), p.offset)));
        Ok(())
    }

    /// Whether it was committed is not known: the next `recover` tells.
    fn discard(&mut self) {}
}

/// Counts words behind a repartition topic.
fn word_count() -> Topology {
    let b = StreamsBuilder::new();
    b.stream::<Option<String>, String>("lines")
        .flat_map_values(|v| v.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("counts")
        .to_stream()
        .to("counts");
    b.build().unwrap()
}

const LINES: [&str; 5] = ["a b", "b c d", "a", "d a b", "c"];

/// What disturbs a run.
#[derive(Clone, Copy, Default)]
struct Disturbed {
    crash: Option<u64>,
    fails_at: Option<u64>,
    forgets: bool,
}

struct Outcome {
    steps: u64,
    asked: u64,
    faults: Vec<String>,
}

fn pipe_all(driver: &mut TopologyTestDriver, lines: &TestInput<Option<String>, String>) {
    let recovered = |driver: &mut TopologyTestDriver, done: Result<(), DriverError>| {
        let mut done = done;
        for _ in 0..5 {
            if done.is_ok() {
                return;
            }
            done = driver.recover();
        }
        done.unwrap();
    };
    for (at, line) in LINES.into_iter().enumerate() {
        let piped = driver.pipe(lines, None, line.to_owned(), at as i64);
        recovered(driver, piped);
        if at % 2 == 1 {
            let done = driver.advance_wall_clock(100);
            recovered(driver, done);
        }
    }
    for _ in 0..2 {
        let done = driver.commit_all();
        recovered(driver, done);
    }
}

fn run(disturbed: Disturbed) -> Outcome {
    let database = Arc::new(Mutex::new(Database::default()));
    let shared = database.clone();
    let forgets = disturbed.forgets;
    let mut driver = TopologyTestDriver::builder(word_count())
        .partitions("lines", 2)
        .commit_interval_ms(100)
        .participant(move |_| Box::new(Connection { database: shared.clone(), forgets }))
        .build()
        .unwrap();
    {
        let mut database = database.lock().unwrap();
        (database.asked, database.fails_at) = (0, disturbed.fails_at);
    }
    if let Some(crash) = disturbed.crash {
        driver.crash_at_count(crash);
    }
    let lines = driver.input::<Option<String>, String>("lines");
    pipe_all(&mut driver, &lines);
    let (steps, asked) = (driver.commit_steps(), database.lock().unwrap().asked);

    let counted = driver.output::<String, Option<i64>>("counts").read_last_per_key().unwrap();
    let mut faults = Vec::new();
    for (word, count) in [("a", 3), ("b", 3), ("c", 2), ("d", 2)] {
        if counted[word] != Some(count) {
            faults.push(format!("{word}: {:?} instead of {count}", counted[word]));
        }
    }
    driver.recover().unwrap();
    let database = database.lock().unwrap();
    for (partition, applied) in &database.applied {
        let committed = driver.committed_offset(&partition.topic, partition.partition);
        if committed != Some(*applied) {
            faults.push(format!("{partition}: {applied} applied at last, {committed:?} committed"));
        }
    }
    assert_eq!(database.applied.len(), 4, "both topics' partitions");
    faults.extend(database.faults.iter().cloned());
    Outcome { steps, asked, faults }
}

const NONE: [String; 0] = [];

#[test]
fn a_participant_has_what_is_committed_wherever_its_instance_crashes() {
    let whole = run(Disturbed::default());
    assert_eq!(whole.faults, NONE);
    for crash in 1..=whole.steps {
        let outcome = run(Disturbed { crash: Some(crash), ..Disturbed::default() });
        assert_eq!(outcome.faults, NONE, "step {crash} of {}", whole.steps);
    }
}

#[test]
fn a_participant_that_fails_at_any_call_has_what_is_committed_in_the_end() {
    let whole = run(Disturbed::default());
    assert!(whole.asked > 6, "{}", whole.asked);
    for fails in 1..=whole.asked {
        let outcome = run(Disturbed { fails_at: Some(fails), ..Disturbed::default() });
        assert_eq!(outcome.faults, NONE, "call {fails} of {}", whole.asked);
        assert!(outcome.asked > whole.asked, "call {fails}: it was asked again");
    }
}

/// The control: without what `prepare` puts down, a crash between Kafka and the database is a loss.
#[test]
fn a_participant_that_prepares_nothing_is_found_out() {
    let steps = run(Disturbed::default()).steps;
    let differs = |crash| {
        let disturbed = Disturbed { crash: Some(crash), forgets: true, ..Disturbed::default() };
        !run(disturbed).faults.is_empty()
    };
    assert!((1..=steps).any(differs));
}
