//! A participant of commits from its first line to its last, to copy from: a plain text file that keeps
//! the sum of each account's payments, exactly once.
//!
//! - A processor books payments in memory that it shares with the participant.
//! - `prepare` writes the sums with the bookings to `ledger.prepared`, and the commit's positions beside
//!   them. It is on the disk before Kafka commits.
//! - `apply` renames `ledger.prepared` over `ledger`.
//! - `discard` forgets the bookings, since their records are processed again. It leaves `ledger.prepared`
//!   where it is, because nobody may know yet whether Kafka has committed.
//! - `recover` finds that out: Kafka has committed the positions in `ledger.prepared`, so it is renamed,
//!   or it has not, so it is deleted.
//!
//! A database sink does the same. `prepare` is a transaction of the database that puts the rows and the
//! positions into a table of what is pending. `apply` is one that moves them to where all can see them.
//! `recover` looks for what is pending for the partitions of its task, and moves or deletes it. But this
//! file has one worker, and a database has many, among which tasks move. So what is pending there belongs
//! to a task, for its next owner to find; and an `apply` that finds nothing pending any more, because the
//! next owner has moved it, answers `ParticipantError::Moved`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use oncestream_core::error::BoxError;
use oncestream_core::graph::Topology;
use oncestream_core::{TaskId, TopicPartition};
use oncestream_engine::{Commit, Participant, ParticipantError};
use oncestream_operators::StreamsBuilder;
use oncestream_operators::processor::{
    FixedKeyProcessor, FixedKeyProcessorContext, FixedKeyRecord,
};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::DriverError;

type Sums = BTreeMap<String, i64>;
type Shared<T> = Arc<Mutex<T>>;

/// Adds each payment to the bookings of the open transaction.
struct Booking(Shared<Sums>);

impl FixedKeyProcessor for Booking {
    type Key = String;
    type ValueIn = i64;
    type ValueOut = i64;

    fn process(
        &mut self,
        ctx: &mut FixedKeyProcessorContext<'_, Self>,
        record: FixedKeyRecord<String, i64>,
    ) -> Result<(), BoxError> {
        *self.0.lock().unwrap().entry(record.key().clone()).or_default() += record.value;
        Ok(ctx.forward(record)?)
    }
}

/// What a file says.
#[derive(Debug, Default, PartialEq)]
struct Page {
    /// Of the commit that the page belongs to, and of no other: an older one is committed anyway.
    positions: BTreeMap<TopicPartition, i64>,
    sums: Sums,
}

impl Page {
    fn text(&self) -> String {
        let mut text = String::new();
        for (TopicPartition { topic, partition }, offset) in &self.positions {
            writeln!(text, "at {topic} {partition} {offset}").unwrap();
        }
        for (account, sum) in &self.sums {
            writeln!(text, "sum {account} {sum}").unwrap();
        }
        text + "end\n"
    }

    /// `None` if the text is not whole.
    fn parse(text: &str) -> Option<Self> {
        let mut page = Self::default();
        for line in text.strip_suffix("end\n")?.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["at", topic, partition, offset] => {
                    let partition = TopicPartition::new(topic, partition.parse().ok()?);
                    page.positions.insert(partition, offset.parse().ok()?);
                }
                ["sum", account, sum] => {
                    page.sums.insert(account.to_owned(), sum.parse().ok()?);
                }
                _ => return None,
            }
        }
        Some(page)
    }
}

/// What becomes of a page that was prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Completed,
    Deleted,
    /// No input of this task moved in its commit: another task tells.
    Kept,
}

/// A transaction is committed as a whole, so one position tells. (A commit in which no record was
/// processed carries a position that was committed before. Nothing was booked in it either, so that to
/// complete it changes no sum.)
fn judge(page: Option<&Page>, committed: &[(TopicPartition, Option<i64>)]) -> Verdict {
    // It is whole before Kafka is asked to commit.
    let Some(page) = page else { return Verdict::Deleted };
    let told = |(partition, offset): &(TopicPartition, Option<i64>)| {
        Some(*offset == Some(*page.positions.get(partition)?))
    };
    match committed.iter().find_map(told) {
        Some(true) => Verdict::Completed,
        Some(false) => Verdict::Deleted,
        None => Verdict::Kept,
    }
}

/// The disk that the files are on. It fails at one of the moments at which it is asked.
#[derive(Default)]
struct Disk {
    moments: u64,
    fails_at: Option<u64>,
    /// What `recover` did with what it found.
    verdicts: Vec<Verdict>,
}

/// The participant, for one life of an instance.
struct Ledger {
    file: PathBuf,
    bookings: Shared<Sums>,
    disk: Shared<Disk>,
    /// What is broken: it does not wait for Kafka.
    applies_early: bool,
}

fn failed(error: io::Error) -> ParticipantError {
    ParticipantError::Failed(error.into())
}

/// A file that is not there has no text.
fn read(path: &PathBuf) -> Result<Option<String>, ParticipantError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        text => text.map(Some).map_err(failed),
    }
}

impl Ledger {
    fn prepared(&self) -> PathBuf {
        self.file.with_extension("prepared")
    }

    fn moment(&self) -> Result<(), ParticipantError> {
        let mut disk = self.disk.lock().unwrap();
        disk.moments += 1;
        if disk.fails_at == Some(disk.moments) {
            return Err(ParticipantError::Failed("the disk is away".into()));
        }
        Ok(())
    }

    /// The sums that belong to what Kafka has committed, with what was booked since.
    fn next_page(&self, commit: &Commit<'_>) -> Result<Page, ParticipantError> {
        let mut page = match read(&self.file)? {
            None => Page::default(),
            Some(text) => Page::parse(&text)
                .ok_or_else(|| ParticipantError::Fatal("the ledger is damaged".into()))?,
        };
        page.positions = commit.positions.iter().map(|p| (p.partition.clone(), p.offset)).collect();
        for (account, amount) in self.bookings.lock().unwrap().iter() {
            *page.sums.entry(account.clone()).or_default() += amount;
        }
        Ok(page)
    }

    fn put_down(&self) -> Result<(), ParticipantError> {
        fs::rename(self.prepared(), &self.file).map_err(failed)
    }
}

impl Participant for Ledger {
    fn name(&self) -> &'static str {
        "the ledger"
    }

    fn recover(
        &mut self,
        _task: TaskId,
        committed: &[(TopicPartition, Option<i64>)],
    ) -> Result<(), ParticipantError> {
        self.moment()?;
        if let Some(text) = read(&self.prepared())? {
            let verdict = judge(Page::parse(&text).as_ref(), committed);
            match verdict {
                Verdict::Completed => self.put_down()?,
                Verdict::Deleted => fs::remove_file(self.prepared()).map_err(failed)?,
                Verdict::Kept => {}
            }
            self.disk.lock().unwrap().verdicts.push(verdict);
        }
        self.moment()
    }

    fn prepare(&mut self, commit: &Commit<'_>) -> Result<(), ParticipantError> {
        self.moment()?;
        let text = self.next_page(commit)?.text();
        let (half, rest) = text.as_bytes().split_at(text.len() / 2);
        // One that is there already belongs to a commit of which nobody knows yet.
        let mut file = File::create_new(self.prepared()).map_err(failed)?;
        file.write_all(half).map_err(failed)?;
        self.moment()?;
        file.write_all(rest).and_then(|()| file.sync_all()).map_err(failed)?;
        // The name of the file must last as well.
        let folder = self.file.parent().unwrap();
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        if self.applies_early {
            self.put_down()?;
        }
        self.moment()
    }

    fn apply(&mut self, _commit: &Commit<'_>) -> Result<(), ParticipantError> {
        self.moment()?;
        if !self.applies_early {
            self.put_down()?;
        }
        self.bookings.lock().unwrap().clear();
        self.moment()
    }

    /// The worker asks for it before each start of its tasks, be it the first of a life. So the
    /// bookings of a life that has crashed go too, which here, unlike in a process, are still there.
    fn discard(&mut self) {
        self.bookings.lock().unwrap().clear();
    }
}

/// Payments go through a repartition topic, so that each is processed in two transactions. Kafka keeps
/// the sums as well.
fn payments(bookings: &Shared<Sums>) -> Topology {
    let bookings = bookings.clone();
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("payments")
        .repartition("moved")
        .process_values((), move |()| Booking(bookings.clone()))
        .group_by_key()
        .reduce(|sum, amount| sum + amount, "sums")
        .to_stream()
        .to("sums");
    b.build().unwrap()
}

const PAYMENTS: [(&str, i64); 7] =
    [("ann", 5), ("bob", 7), ("ann", -2), ("cem", 1), ("dan", 4), ("bob", 6), ("ann", 1)];

/// What disturbs a run.
#[derive(Clone, Copy, Default)]
struct Disturbed {
    /// After so many payments, between two calls.
    crash_after: Option<u64>,
    /// At a call of the worker to the broker or to its stores.
    crash: Option<u64>,
    call_fails: Option<u64>,
    /// A moment of the ledger.
    moment_fails: Option<u64>,
    applies_early: bool,
}

struct Outcome {
    steps: u64,
    moments: u64,
    verdicts: Vec<Verdict>,
    /// In the file, and in Kafka.
    sums: [Sums; 2],
}

fn run(disturbed: Disturbed) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger");
    let (bookings, disk) = (Shared::<Sums>::default(), Shared::<Disk>::default());
    let topology = payments(&bookings);
    let (disk_of_ledger, path, applies_early) =
        (disk.clone(), file.clone(), disturbed.applies_early);
    let make = move |_| {
        let (file, bookings, disk) = (path.clone(), bookings.clone(), disk_of_ledger.clone());
        Box::new(Ledger { file, bookings, disk, applies_early }) as _
    };
    let mut driver = TopologyTestDriver::builder(topology)
        .partitions("payments", 2)
        .commit_interval_ms(100)
        .participant(make)
        .build()
        .unwrap();
    *disk.lock().unwrap() = Disk { fails_at: disturbed.moment_fails, ..Disk::default() };
    if let Some(step) = disturbed.crash {
        driver.crash_at_count(step);
    }
    if let Some(step) = disturbed.call_fails {
        driver.fail_at_count(step);
    }
    pay(&mut driver, disturbed.crash_after);
    assert!(!file.with_extension("prepared").exists(), "all is settled");
    let page = Page::parse(&fs::read_to_string(&file).unwrap()).unwrap();
    let in_kafka = driver.output::<String, Option<i64>>("sums").read_last_per_key().unwrap();
    let in_kafka = in_kafka.into_iter().map(|(account, sum)| (account, sum.unwrap())).collect();
    let Disk { moments, verdicts, .. } = std::mem::take(&mut *disk.lock().unwrap());
    Outcome { steps: driver.commit_steps(), moments, verdicts, sums: [page.sums, in_kafka] }
}

fn pay(driver: &mut TopologyTestDriver, crash_after: Option<u64>) {
    let recovered = |driver: &mut TopologyTestDriver, done: Result<(), DriverError>| {
        if done.is_err() {
            driver.recover().unwrap();
        }
    };
    let payments = driver.input::<String, i64>("payments");
    for (paid, (account, amount)) in (1..).zip(PAYMENTS) {
        let done = driver.pipe(&payments, account.to_owned(), amount, 0);
        recovered(driver, done);
        if crash_after == Some(paid) {
            driver.crash();
            driver.recover().unwrap();
        }
        if paid % 3 == 2 {
            let done = driver.advance_wall_clock(100);
            recovered(driver, done);
        }
    }
    // Once more, for what the first one did not get done.
    for _ in 0..2 {
        let done = driver.commit_all();
        recovered(driver, done);
    }
}

fn right_sums() -> [Sums; 2] {
    let sums = [("ann", 4), ("bob", 13), ("cem", 1), ("dan", 4)];
    let sums: Sums = sums.map(|(account, sum)| (account.to_owned(), sum)).into();
    [sums.clone(), sums]
}

fn undisturbed() -> Outcome {
    let whole = run(Disturbed::default());
    assert_eq!(whole.sums, right_sums());
    assert_eq!(whole.verdicts, []);
    whole
}

/// Runs that are disturbed at one of so many places each have the right sums. Gives what was found
/// prepared.
fn all_are_right(places: u64, disturb: impl Fn(u64) -> Disturbed) -> Vec<Verdict> {
    let run = |place| {
        let outcome = run(disturb(place));
        assert_eq!(outcome.sums, right_sums(), "disturbed at {place} of {places}");
        outcome.verdicts
    };
    (1..=places).flat_map(run).collect()
}

fn both_were_found(verdicts: &[Verdict]) -> bool {
    [Verdict::Completed, Verdict::Deleted].iter().all(|verdict| verdicts.contains(verdict))
}

#[test]
fn the_file_has_each_payment_once_wherever_the_instance_crashes() {
    let steps = undisturbed().steps;
    let found =
        all_are_right(steps, |step| Disturbed { crash: Some(step), ..Disturbed::default() });
    assert!(both_were_found(&found), "{found:?}");
    // In between there is only what is in memory to lose.
    let payments = PAYMENTS.len() as u64;
    all_are_right(payments, |paid| Disturbed { crash_after: Some(paid), ..Disturbed::default() });
}

#[test]
fn the_file_has_each_payment_once_whichever_call_fails() {
    let steps = undisturbed().steps;
    let found =
        all_are_right(steps, |step| Disturbed { call_fails: Some(step), ..Disturbed::default() });
    assert!(both_were_found(&found), "{found:?}");
}

/// Before and after each change of the files, and with half a page written.
#[test]
fn the_file_has_each_payment_once_whenever_its_disk_is_away() {
    let moments = undisturbed().moments;
    let found = all_are_right(moments, |moment| Disturbed {
        moment_fails: Some(moment),
        ..Disturbed::default()
    });
    assert!(both_were_found(&found), "{found:?}");
}

/// The control.
#[test]
fn a_ledger_that_applies_before_kafka_commits_is_found_out() {
    let early = Disturbed { applies_early: true, ..Disturbed::default() };
    let whole = run(early);
    assert_eq!(whole.sums, right_sums(), "undisturbed nothing is wrong");
    let differs = |disturbed| run(disturbed).sums != right_sums();
    assert!((1..=whole.steps).any(|step| differs(Disturbed { crash: Some(step), ..early })));
    assert!((1..=whole.steps).any(|step| differs(Disturbed { call_fails: Some(step), ..early })));
}

#[test]
fn a_page_counts_if_its_positions_are_committed_and_is_kept_while_nobody_knows() {
    let partition = |number| TopicPartition::new("payments", number);
    let sums = Sums::from([("ann".to_owned(), 5)]);
    let page = Page { positions: BTreeMap::from([(partition(0), 3)]), sums };
    let text = page.text();
    assert_eq!(Page::parse(&text).as_ref(), Some(&page));
    for (committed, verdict) in [
        ((partition(0), Some(3)), Verdict::Completed),
        ((partition(0), Some(2)), Verdict::Deleted),
        ((partition(0), None), Verdict::Deleted),
        ((partition(1), Some(3)), Verdict::Kept),
    ] {
        assert_eq!(judge(Some(&page), std::slice::from_ref(&committed)), verdict, "{committed:?}");
    }
    for length in 0..text.len() {
        assert_eq!(Page::parse(&text[..length]), None, "{length}");
    }
    assert_eq!(judge(None, &[(partition(0), Some(3))]), Verdict::Deleted);
}

#[test]
fn a_page_that_nobody_has_settled_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger");
    let (bookings, disk) = (Shared::<Sums>::default(), Shared::default());
    let mut ledger = Ledger { file, bookings: bookings.clone(), disk, applies_early: false };
    let changelogs = HashMap::new();
    let commit =
        Commit { worker: 0, tasks: &[], positions: &[], changelogs: &changelogs, now_ms: 0 };
    ledger.prepare(&commit).unwrap();
    let page = read(&ledger.prepared()).unwrap();
    bookings.lock().unwrap().insert("ann".to_owned(), 5);
    assert!(matches!(ledger.prepare(&commit), Err(ParticipantError::Failed(_))));
    assert_eq!(read(&ledger.prepared()).unwrap(), page);
    // The control.
    ledger.apply(&commit).unwrap();
    ledger.prepare(&commit).unwrap();
}
