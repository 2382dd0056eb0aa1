//! `chaos`: faults at random on Apache Kafka, and whether exactly once held.
//!
//! ```text
//! cargo run --release -p oncestream-tests --bin chaos -- \
//!     --minutes 60 --seed 1 --nodes 3 --report docs/chaos
//! ```
//!
//! Five applications run as processes while a seeded plan strikes them and, with three nodes, the
//! brokers. Meanwhile input topics grow, and new ones appear that the applications read by a
//! pattern (`--topics fixed` leaves that out). In the end everything is drained, stopped and verified record by record. The exit code
//! is 1 if anything was lost or duplicated, or otherwise wrong, and 2 if the run did not come to
//! its end. A seed repeats the choices of a run, though not its timing. Needs Java, and Maven once.
//!
//! With `--break offsets_outside`, in a build with the feature `sabotage`, the runtime commits
//! offsets outside the transaction: that must be found. Instances are this same program.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test, though not one of cargo's.

mod brokers;
mod check;
mod faults;
mod feeder;
mod inputs;
#[path = "../instance/run.rs"]
mod instance;
mod nodes;
mod options;
mod plan;
mod report;
mod topics;
mod verify;
mod watch;
mod workload;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use oncestream_testkit::KafkaCluster;
use oncestream_tests::app::Guarantee;
use oncestream_tests::kafka::{kafka, use_kafka};

use check::Checked;
use faults::{Crew, Record};
use options::Options;
use plan::Plan;
use report::Report;
use watch::Watch;
use workload::{Settings, Workload};

/// How long an application may take to process what is left when the input has ended.
const DRAIN: Duration = Duration::from_mins(3);

/// How long a broker may take to start, on a machine that everything else is busy on too.
const START: Duration = Duration::from_mins(3);

/// The streams of plans: 0 the brokers, then the instances of each application, and from here on
/// its topics.
const FIRST_TOPICS: u64 = 100;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    let done = if args.next_if_eq("instance").is_some() {
        instance::run(args).map(|()| true)
    } else {
        Options::parse(args).and_then(|options| run(&options))
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs it all: whether nothing was found.
fn run(options: &Options) -> anyhow::Result<bool> {
    use_kafka(KafkaCluster::builder().nodes(options.nodes).start_within(START).start()?);
    let folder = tempfile::Builder::new().prefix("oncestream-chaos-").tempdir()?;
    let settings = Settings {
        guarantee: options.guarantee,
        // Transactions end a second before: with brokers that die, they must outlive an election.
        session_ms: if options.nodes == 1 { 3000 } else { 6000 },
        sabotage: options.sabotage.clone(),
    };
    let workloads = Workload::all(folder.path(), &settings, options.rate);
    let report = under_fire(options, &settings, &workloads).and_then(|report| {
        report.write(&options.report)?;
        println!("\n{}", report.markdown());
        Ok(report.is_clean())
    });
    if !matches!(report, Ok(true)) {
        keep(folder);
    }
    report
}

/// Logs, states and Kafka's own files stay where something was found.
fn keep(folder: tempfile::TempDir) {
    let folder = folder.keep();
    let brokers = kafka().log_dir().parent().unwrap_or(Path::new("/"));
    let copied =
        std::process::Command::new("cp").arg("-r").arg(brokers).arg(folder.join("kafka")).status();
    println!("kept in {} (brokers: {copied:?})", folder.display());
}

fn joined<T>(handle: ScopedJoinHandle<'_, anyhow::Result<T>>) -> anyhow::Result<T> {
    handle.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked; see above")))
}

/// Faults, and then quiet: how many records were fed to each application. All have ended then.
fn fire(
    options: &Options,
    workloads: &[Workload],
    watches: &[Watch],
    record: &Record,
) -> anyhow::Result<Vec<u64>> {
    let (fed_enough, heard_enough) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let feeders: Vec<_> = workloads
            .iter()
            .map(|w| scope.spawn(|| feeder::feed(w, options.seed, &fed_enough)))
            .collect();
        for (workload, watch) in workloads.iter().zip(watches) {
            scope.spawn(|| watch.listen(&workload.output, &heard_enough));
        }
        let crews: Vec<_> = (1..)
            .zip(workloads.iter().zip(watches))
            .map(|(stream, (workload, watch))| {
                let plan = Plan::new(options.seed, stream);
                scope.spawn(move || {
                    let mut crew = Crew::start(workload, watch, record)?;
                    crew.rage(plan)?;
                    Ok(crew)
                })
            })
            .collect();
        let brokers = (options.nodes > 1).then(|| {
            let plan = Plan::new(options.seed, 0);
            scope.spawn(move || brokers::rage(plan, record, watches))
        });
        let changes: Vec<_> = (FIRST_TOPICS..)
            .zip(workloads.iter().zip(watches))
            .filter(|_| options.topics_change)
            .map(|(stream, (workload, watch))| {
                let plan = Plan::new(options.seed, stream);
                scope.spawn(move || topics::rage(plan, workload, watch, record))
            })
            .collect();
        // Whatever happens, everybody is told to stop, or the scope would never end.
        let crews: Vec<_> = crews.into_iter().map(joined).collect();
        let brokers = brokers.map_or(Ok(()), joined);
        let changes: anyhow::Result<Vec<()>> = changes.into_iter().map(joined).collect();
        fed_enough.store(true, Ordering::Relaxed);
        let fed: anyhow::Result<Vec<u64>> = feeders.into_iter().map(joined).collect();
        let crews: anyhow::Result<Vec<Crew<'_>>> = crews.into_iter().collect();
        let stopped = crews.and_then(|crews| quieten(workloads, crews, record));
        heard_enough.store(true, Ordering::Relaxed);
        brokers.context("brokers")?;
        changes.context("topics")?;
        stopped.context("instances")?;
        fed.context("feeders")
    })
}

/// Lets the applications finish what there is, and stops them.
fn quieten(workloads: &[Workload], crews: Vec<Crew<'_>>, record: &Record) -> anyhow::Result<()> {
    println!("draining");
    for workload in workloads {
        if !check::drained(workload, DRAIN) {
            record.problem(format!("{}: does not finish its input", workload.job));
        }
    }
    crews.into_iter().try_for_each(Crew::stop)
}

/// The run, and what is to be told of it.
fn under_fire(
    options: &Options,
    settings: &Settings,
    workloads: &[Workload],
) -> anyhow::Result<Report> {
    let record = Record::new(options.lasts(), options.faults);
    let watches: Vec<Watch> = workloads.iter().map(|_| Watch::new()).collect();
    let started = Instant::now();
    let fed = fire(options, workloads, &watches, &record)?;
    let lasted = started.elapsed();
    println!("verifying");
    let applications =
        workloads.iter().zip(fed).map(|(w, fed)| checked(w, options.guarantee, fed)).collect();
    let recoveries = workloads.iter().zip(&watches).map(|(w, watch)| (w.job, watch.recoveries()));
    Ok(Report {
        command: options.command(),
        seed: options.seed,
        nodes: options.nodes,
        guarantee: options.guarantee_name(),
        sabotage: options.sabotage.clone(),
        rate: workloads.iter().map(|w| w.rate).sum(),
        session_ms: settings.session_ms,
        lasted_s: lasted.as_secs(),
        faults: record.faults(),
        recoveries: recoveries.collect(),
        transactions: match options.guarantee {
            Guarantee::ExactlyOnce => check::transactions(),
            Guarantee::AtLeastOnce => check::Transactions::default(),
        },
        applications,
        problems: record.problems(),
    })
}

/// A check that cannot be finished is a problem of that application, not the end of the report.
fn checked(workload: &Workload, guarantee: Guarantee, fed: u64) -> Checked {
    catch_unwind(AssertUnwindSafe(|| check::check(workload, guarantee, fed))).unwrap_or_else(
        |panic| {
            let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            let problems = vec![format!("the check failed: {why}")];
            Checked { job: workload.job, problems, ..Checked::default() }
        },
    )
}
