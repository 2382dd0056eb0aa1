//! A whole check: the runs without faults, all cases, several at a time, and the report.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use oncestream_broker::RequestRecord;
use oncestream_core::graph::Graph;
use tokio::runtime::Handle;

use super::cases::{self, Ended};
use super::plan::{self, Case, Happening, Kinds};
use super::process;
use super::report::{CaseFailure, CheckFailure, CheckReport, count};
use super::restores;
use super::sample;
use super::settings::{Caching, FIRST, Setup};
use super::verify::Outcome;

/// So many checks of one process run at a time; one that counts threads runs alone.
static PLACES: [Mutex<()>; 6] = [const { Mutex::new(()) }; 6];

/// A check ends early after so many failures.
const FAILURES: usize = 20;
/// A case whose request did not come is tried again so often.
const TRIES: usize = 3;
/// If more than one in so many cases at steady requests is not reached, the check shows too little.
const NOT_REACHED: usize = 8;
/// So many runs without faults tell which requests are steady.
const RUNS: usize = 3;
/// How long threads may take to end after the last case.
const THREADS_END: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a place, or for all of them.
fn take_places(all: bool) -> Vec<MutexGuard<'static, ()>> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let first = NEXT.fetch_add(1, Ordering::Relaxed) % PLACES.len();
    let wanted = if all { 0..PLACES.len() } else { first..first + 1 };
    PLACES[wanted].iter().map(lock).collect()
}

/// Runs a check. In a child process it becomes the application, or does nothing if the child is
/// another check's.
pub(super) fn run(setup: &Setup) -> Result<CheckReport, CheckFailure> {
    match process::child_of() {
        Some(name) if name == setup.name => process::become_instance(setup),
        Some(_) => return Ok(CheckReport::default()),
        None => {}
    }
    let _places = take_places(setup.threads);
    let started = Instant::now();
    let early = |what: &str, problems| CheckFailure::early(&setup.name, setup.seed, what, problems);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| early("the executor", vec![e.to_string()]))?;
    let before = client_threads();
    let Prepared { expected, mut cases, mut spare, requests } = prepare(setup, runtime.handle())
        .map_err(|problems| early("a run without faults", problems))?;
    let mut tally = run_all(setup, runtime.handle(), &expected, &cases);
    while tally.failures.is_empty() && !tally.not_reached.is_empty() && !spare.is_empty() {
        let lacking = setup.limit.saturating_sub(cases.len() - tally.not_reached.len());
        let others: Vec<Case> = spare.drain(..lacking.min(spare.len())).collect();
        if others.is_empty() {
            break;
        }
        tally.add(run_all(setup, runtime.handle(), &expected, &others));
        cases.extend(others);
    }
    let mut failures = tally.failures;
    if setup.threads
        && let Some(left) = threads_left(before)
    {
        let case = "after all cases".to_owned();
        failures.push(CaseFailure { case, problems: vec![left], requests: Vec::new() });
    }
    let steady = cases.iter().filter(|case| case.steady).count();
    let too_many = |missed: usize| missed * NOT_REACHED > steady;
    let mut missed: Vec<&Case> = tally.not_reached.iter().filter(|case| case.steady).collect();
    if too_many(missed.len()) {
        let is_steady = steady_now(setup, runtime.handle(), &expected, &missed)
            .map_err(|problems| early("a run without faults", problems))?;
        missed.retain(|case| is_steady(case));
    }
    let not_reached: Vec<String> = tally.not_reached.iter().map(Case::to_string).collect();
    if too_many(missed.len()) || not_reached.len() == cases.len() {
        let case = "the enumeration".to_owned();
        let mut problems = vec![format!(
            "{} of {} cases not reached, {} of them of {steady} whose requests every run makes",
            not_reached.len(),
            cases.len(),
            missed.len()
        )];
        problems.extend(super::outputs::bounded(not_reached.clone()));
        failures.push(CaseFailure { case, problems, requests: Vec::new() });
    }
    let (name, seed) = (setup.name.clone(), setup.seed);
    if !failures.is_empty() {
        return Err(CheckFailure { name, seed, cases: tally.done, failures });
    }
    Ok(CheckReport {
        name,
        requests,
        cases: cases.len(),
        not_reached,
        by_fault: tally.by_fault,
        stopped: tally.stopped,
        outputs: expected.outputs.len(),
        seed,
        elapsed: started.elapsed(),
    })
}

/// What is known before the first case.
struct Prepared {
    /// What a run leaves behind.
    expected: Outcome,
    cases: Vec<Case>,
    /// Of a part of the cases: others, for those whose request no run makes any more, since the machine is
    /// faster by then.
    spare: Vec<Case>,
    /// How many requests a run makes.
    requests: usize,
}

fn prepare(setup: &Setup, handle: &Handle) -> Result<Prepared, Vec<String>> {
    // All updates, whether a cache holds some of them back later or not.
    let (expected, _) = cases::undisturbed(setup, handle, Caching::Off, false)?;
    let runs = repeated(setup, handle, &expected, false)?;
    if expected.outputs.len() == 0 && expected.changelogs.is_empty() {
        return Err(vec!["nothing came out: there is nothing to compare".to_owned()]);
    }
    let kinds = Kinds { processes: setup.processes, rebalances: setup.rebalances };
    let mut cases = plan::cases(&runs, kinds);
    if has_followers(setup) {
        let losing_stores = repeated(setup, handle, &expected, true)?;
        cases.extend(restores::of_lost_stores(&losing_stores));
        cases.extend(restores::after_a_commit(&runs, kinds));
    }
    if let Some(text) = &setup.only {
        cases.retain(|case| case.to_string().contains(text.as_str()));
    }
    if cases.is_empty() {
        return Err(vec![format!("no case contains {:?}", setup.only)]);
    }
    let mut spare = Vec::new();
    if cases.len() > setup.limit {
        // The others may not be reached; they are taken where there is nothing else.
        if cases.iter().any(|case| case.steady) {
            cases.retain(|case| case.steady);
        }
        cases = sample::sample(cases, setup.limit.saturating_mul(2), setup.seed);
        spare = cases.split_off(setup.limit.min(cases.len()));
    }
    // Cases of one kind are alike in time: mixed, they use the machine better.
    let cases = sample::shuffled(cases, setup.seed);
    Ok(Prepared { expected, cases, spare, requests: runs[0].len() })
}

/// The requests of the first instance in some runs without faults, the least first: it has the
/// least that others lack.
fn repeated(
    setup: &Setup,
    handle: &Handle,
    expected: &Outcome,
    loses_stores: bool,
) -> Result<Vec<Vec<RequestRecord>>, Vec<String>> {
    let agreement = setup.agreement(&(setup.topology)(), setup.caching());
    let mut runs = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let (again, mut requests) =
            cases::undisturbed(setup, handle, setup.caching(), loses_stores)?;
        let mut differences = expected.differences(&again, &agreement);
        if !differences.is_empty() {
            let what = "two runs without faults differ: the topology depends on time, or on \
                        something outside Kafka and its stores";
            differences.insert(0, what.to_owned());
            return Err(differences);
        }
        requests.retain(|r| r.client_id.starts_with(FIRST));
        runs.push(requests);
    }
    runs.sort_by_key(Vec::len);
    Ok(runs)
}

/// Whether runs without faults make the request of a case now as well. On a machine that was slower
/// at first, every run made requests that none makes later.
fn steady_now(
    setup: &Setup,
    handle: &Handle,
    expected: &Outcome,
    missed: &[&Case],
) -> Result<impl Fn(&Case) -> bool + use<>, Vec<String>> {
    let runs_of = |lose: bool| {
        let needed = missed.iter().any(|case| loses_stores(case) == lose);
        if needed { repeated(setup, handle, expected, lose) } else { Ok(Vec::new()) }
    };
    let (losing, keeping) = (runs_of(true)?, runs_of(false)?);
    Ok(move |case: &Case| {
        let runs = if loses_stores(case) { &losing } else { &keeping };
        runs.iter().all(|run| case.at.is_among(run))
    })
}

fn loses_stores(case: &Case) -> bool {
    matches!(case.happening, Happening::LosesStores { .. })
}

/// Whether a store is brought back from a topic.
fn has_followers(setup: &Setup) -> bool {
    let topology = (setup.topology)();
    let graph = Graph::of(&topology);
    graph.stores().iter().any(|store| graph.followed_topic(&setup.name, store).is_some())
}

/// What became of the cases so far.
#[derive(Default)]
struct Tally {
    done: usize,
    failures: Vec<CaseFailure>,
    not_reached: Vec<Case>,
    by_fault: BTreeMap<String, usize>,
    stopped: usize,
}

impl Tally {
    /// What became of more cases.
    fn add(&mut self, more: Self) {
        self.done += more.done;
        self.failures.extend(more.failures);
        self.not_reached.extend(more.not_reached);
        for (fault, cases) in more.by_fault {
            *self.by_fault.entry(fault).or_default() += cases;
        }
        self.stopped += more.stopped;
    }
}

fn run_all(setup: &Setup, handle: &Handle, expected: &Outcome, cases: &[Case]) -> Tally {
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..setup.parallelism.min(cases.len()) {
            scope.spawn(|| {
                while lock(&tally).failures.len() < FAILURES {
                    let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    let ended = try_case(setup, handle, expected, case);
                    note(&mut lock(&tally), case, ended);
                }
            });
        }
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn try_case(setup: &Setup, handle: &Handle, expected: &Outcome, case: &Case) -> Ended {
    let mut ended = cases::run(setup, handle, case, expected);
    for _ in 1..TRIES {
        if ended.reached || !ended.problems.is_empty() {
            break;
        }
        ended = cases::run(setup, handle, case, expected);
    }
    ended
}

fn note(tally: &mut Tally, case: &Case, ended: Ended) {
    tally.done += 1;
    if !ended.problems.is_empty() {
        tally.failures.push(CaseFailure {
            case: case.to_string(),
            problems: ended.problems,
            requests: ended.requests,
        });
    } else if ended.reached {
        count(&mut tally.by_fault, case);
        tally.stopped += usize::from(!ended.stops.is_empty());
    } else {
        tally.not_reached.push(case.clone());
    }
}

/// Waits for the threads of clients and workers to end; what is left then, in words.
fn threads_left(before: usize) -> Option<String> {
    let until = Instant::now() + THREADS_END;
    loop {
        let now = client_threads();
        if now <= before {
            return None;
        }
        if Instant::now() >= until {
            return Some(format!("{now} threads of clients and workers, {before} before"));
        }
        std::thread::sleep(LOOK);
    }
}

/// The threads of this process that belong to Kafka clients or workers, where the system knows.
fn client_threads() -> usize {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let names = threads.filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("rdk:") || name.starts_with("oncestream-")).count()
}
