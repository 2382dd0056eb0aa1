//! One case from its beginning to its end: feed, disturb, watch, verify.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use oncestream_broker::{FaultId, GroupState, RequestRecord};
use oncestream_core::graph::Graph;
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::errors::Gravity;
use super::instance::{Running, Standing};
use super::local::Local;
use super::plan::{Case, Happening};
use super::process::Process;
use super::requests;
use super::settings::{Caching, FIRST, SECOND, Setup};
use super::stage::Stage;
use super::verify::{Outcome, verify};

/// How often the broker is looked at.
const LOOK: Duration = Duration::from_millis(8);
/// So often an application that ends with an error is started again: a fault comes once.
const RESTARTS: usize = 1;

/// How a case ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// Whether the fault met its request.
    pub(super) reached: bool,
    /// The errors with which the application stopped.
    pub(super) stops: Vec<String>,
    /// What was wrong.
    pub(super) problems: Vec<String>,
    /// The requests around the fault, if something was wrong.
    pub(super) requests: Vec<String>,
}

/// Runs the topology without a fault; gives what it leaves behind, and its requests. It may lose
/// its stores whenever all that was fed is committed.
pub(super) fn undisturbed(
    setup: &Setup,
    handle: &Handle,
    caching: Caching,
    loses_stores: bool,
) -> Result<(Outcome, Vec<RequestRecord>), Vec<String>> {
    let mut run = Run::new(setup, handle, None, caching).map_err(|e| vec![e])?;
    run.loses_stores = loses_stores;
    let driven = run.drive();
    let mut problems: Vec<String> = driven.err().into_iter().collect();
    let outcome = Outcome::read(&run.stage).map_err(|error| vec![error])?;
    problems.extend(verify(&run.stage, &outcome, &run.state_dirs(), caching));
    let requests = run.stage.broker.requests();
    if problems.is_empty() { Ok((outcome, requests)) } else { Err(problems) }
}

/// Runs one case and verifies it.
pub(super) fn run(setup: &Setup, handle: &Handle, case: &Case, expected: &Outcome) -> Ended {
    let caching = setup.caching();
    let mut run = match Run::new(setup, handle, Some(case), caching) {
        Ok(run) => run,
        Err(error) => {
            let (stops, requests) = (Vec::new(), Vec::new());
            return Ended { reached: true, stops, problems: vec![error], requests };
        }
    };
    let mut problems = match run.drive() {
        Err(error) => vec![error],
        Ok(()) => verify(&run.stage, expected, &run.state_dirs(), caching),
    };
    if case.at.is_among(&run.stage.broker.requests()) && !run.fired() {
        problems.push("the request came, and the fault missed it: a mistake of the check".into());
    }
    let reached = run.has_happened();
    let requests = if problems.is_empty() {
        Vec::new()
    } else {
        requests::around(&run.stage.broker.requests())
    };
    Ended { reached, stops: std::mem::take(&mut run.stops), problems, requests }
}

/// Where the second instance, or the one that was stopped, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    /// Nothing has happened yet.
    Calm,
    /// The second instance was started; it is waited for.
    Entering,
    /// Both work, or the second alone while the first is stopped. A wave is fed for them.
    Shared,
    /// The first was woken; it is waited for.
    Waking,
    /// What there was to happen has happened.
    Over,
}

struct Run<'a> {
    stage: Stage<'a>,
    handle: &'a Handle,
    case: Option<&'a Case>,
    fault: Option<FaultId>,
    /// What those meet who restore.
    lags: Vec<FaultId>,
    /// The application loses its stores whenever all that was fed is committed.
    loses_stores: bool,
    /// The waves after which it lost them.
    lost_after: usize,
    caching: Caching,
    folder: TempDir,
    first: Option<Running>,
    second: Option<Running>,
    scene: Scene,
    stops: Vec<String>,
    until: Instant,
}

impl<'a> Run<'a> {
    /// Makes the broker, puts the fault there, and starts the application.
    fn new(
        setup: &'a Setup,
        handle: &'a Handle,
        case: Option<&'a Case>,
        caching: Caching,
    ) -> Result<Self, String> {
        let nodes = case.map_or(1, |case| case.happening.nodes());
        let stage = Stage::new(setup, nodes)?;
        let folder = tempfile::tempdir().map_err(|e| format!("a temporary directory: {e}"))?;
        let fault = case.map(|case| stage.broker.faults().add(case.fault()));
        let graph = Graph::of(&stage.topology);
        let stores = graph.stores().iter();
        let followed = stores.filter_map(|store| graph.followed_topic(&setup.name, store));
        let lags = followed.filter_map(|topic| case?.lag_of(&topic));
        let lags = lags.map(|lag| stage.broker.faults().add(lag)).collect();
        let happening = case.map(|case| case.happening);
        Ok(Self {
            stage,
            handle,
            case,
            fault,
            lags,
            loses_stores: matches!(happening, Some(Happening::LosesStores { .. })),
            lost_after: 0,
            caching,
            folder,
            first: None,
            second: None,
            scene: Scene::Calm,
            stops: Vec::new(),
            until: Instant::now() + setup.deadline,
        })
    }

    fn start(&self, instance: &str) -> Result<Running, String> {
        let (setup, folder) = (self.stage.setup, self.folder.path());
        let servers = self.stage.broker.bootstrap_servers();
        if self.case.is_some_and(|case| case.happening.needs_process()) {
            let process = Process::start(setup, servers, folder, instance)?;
            return Ok(Running::Process(Box::new(process)));
        }
        let state_dir = folder.join(instance);
        let local = Local::start(self.handle, setup, servers, &state_dir, instance, self.caching)?;
        Ok(Running::Local(Box::new(local)))
    }

    fn state_dirs(&self) -> Vec<PathBuf> {
        [FIRST, SECOND].map(|instance| self.folder.path().join(instance)).to_vec()
    }

    fn fired(&self) -> bool {
        self.fault.is_some_and(|fault| self.stage.broker.faults().fired(fault) > 0)
    }

    /// Whether the case shows something: the fault has met its request, and what was to be done
    /// then was done. A request of the shutdown comes too late to kill or join anybody.
    fn has_happened(&self) -> bool {
        let faults = self.stage.broker.faults();
        let lagged = self.lags.is_empty() || self.lags.iter().any(|lag| faults.fired(*lag) > 0);
        let happening = self.case.map(|case| case.happening);
        let acts = happening.is_some_and(Happening::is_the_brokers);
        self.fired() && lagged && (acts || self.scene == Scene::Over)
    }

    /// Runs until all is committed, and stops the application.
    fn drive(&mut self) -> Result<(), String> {
        if !self.stage.setup.begins_at_the_end() {
            self.stage.feed()?;
        }
        self.first = Some(self.start(FIRST)?);
        loop {
            self.react()?;
            self.look_after()?;
            if self.stage.waves_fed() == 0 {
                // What comes before the application has begun is not for it.
                if self.stage.has_begun() {
                    self.stage.feed()?;
                }
            } else if self.stage.is_done() && self.go_on()? {
                break;
            }
            if Instant::now() >= self.until {
                return Err(self.hang());
            }
            std::thread::sleep(LOOK);
        }
        let limit = self.stage.setup.deadline;
        for (who, instance) in [(SECOND, self.second.take()), (FIRST, self.first.take())] {
            if let Some(instance) = instance
                && let Err(error) = instance.stop(limit)
            {
                self.stopped(who, error)?;
            }
        }
        Ok(())
    }

    /// All that was fed is committed. Feeds more, or moves the scene; true when nothing is left.
    fn go_on(&mut self) -> Result<bool, String> {
        let left = self.stage.waves_left();
        match self.scene {
            Scene::Entering | Scene::Waking => return Ok(false),
            Scene::Shared => self.leave()?,
            Scene::Calm if self.loses_stores && self.lost_after < self.stage.waves_fed() => {
                self.lose_stores()?;
            }
            // An instance that was started again restores its stores, though all is committed.
            Scene::Calm | Scene::Over if left == 0 => {
                return Ok(self.first.as_mut().is_none_or(Running::has_run));
            }
            Scene::Calm | Scene::Over => self.stage.feed()?,
        }
        Ok(false)
    }

    /// Stops the application, and starts it again without its stores.
    fn lose_stores(&mut self) -> Result<(), String> {
        self.lost_after = self.stage.waves_fed();
        if let Some(first) = self.first.take() {
            first.stop(self.stage.setup.deadline)?;
        }
        let state_dir = self.folder.path().join(FIRST);
        std::fs::remove_dir_all(&state_dir)
            .map_err(|e| format!("deleting {}: {e}", state_dir.display()))?;
        self.first = Some(self.start(FIRST)?);
        Ok(())
    }

    /// Does what is to be done when the fault has met its request, and moves the scene on.
    fn react(&mut self) -> Result<(), String> {
        let Some(case) = self.case else { return Ok(()) };
        match (self.scene, case.happening) {
            (Scene::Calm, happening) if happening.is_the_brokers() => {}
            (Scene::Calm, _) if !self.fired() => {}
            (Scene::Calm, Happening::Kill(_)) => {
                if let Some(Running::Process(process)) = &mut self.first {
                    process.kill();
                }
                self.first = Some(self.start(FIRST)?);
                self.scene = Scene::Over;
            }
            (Scene::Calm, happening) => {
                if let (Some(Running::Process(process)), Happening::Zombie { .. }) =
                    (&self.first, happening)
                {
                    process.signal("STOP")?;
                }
                self.second = Some(self.start(SECOND)?);
                self.scene = Scene::Entering;
            }
            (Scene::Entering, happening) => {
                let both = happening == Happening::Join;
                if self.has_members(&if both { vec![FIRST, SECOND] } else { vec![SECOND] }) {
                    self.scene = Scene::Shared;
                    // The first wave waits until the application has begun.
                    if self.stage.waves_left() > 0 && self.stage.waves_fed() > 0 {
                        self.stage.feed()?;
                    }
                }
            }
            (Scene::Waking, _) if self.has_members(&[FIRST, SECOND]) => self.scene = Scene::Over,
            _ => {}
        }
        Ok(())
    }

    /// The end of the shared scene: the second leaves, or the first wakes.
    fn leave(&mut self) -> Result<(), String> {
        match (&self.first, self.case.map(|case| case.happening)) {
            (Some(Running::Process(process)), Some(Happening::Zombie { .. })) => {
                process.signal("CONT")?;
                self.scene = Scene::Waking;
            }
            _ => {
                if let Some(second) = self.second.take() {
                    second.stop(self.stage.setup.deadline)?;
                }
                self.scene = Scene::Over;
            }
        }
        Ok(())
    }

    /// Whether the group is stable and these instances are its members.
    fn has_members(&self, instances: &[&str]) -> bool {
        let view = self.stage.broker.view();
        view.group(&self.stage.setup.name).is_some_and(|group| {
            group.state == GroupState::Stable
                && group.members.len() == instances.len()
                && instances
                    .iter()
                    .all(|name| group.members.iter().any(|m| m.client_id.starts_with(name)))
        })
    }

    /// Starts an instance again that stopped with an error, if it may.
    fn look_after(&mut self) -> Result<(), String> {
        for who in [FIRST, SECOND] {
            let slot = if who == FIRST { &mut self.first } else { &mut self.second };
            let Some(Standing::Stopped(error)) = slot.as_mut().map(Running::standing) else {
                continue;
            };
            *slot = None;
            self.stopped(who, error)?;
            let again = self.start(who)?;
            *(if who == FIRST { &mut self.first } else { &mut self.second }) = Some(again);
        }
        Ok(())
    }

    /// An instance told an error. An error in itself, unless the fault may stop an application.
    fn stopped(&mut self, who: &str, error: String) -> Result<(), String> {
        let may = self.case.is_some_and(|case| case.gravity == Gravity::Stopping) && self.fired();
        let never = ["panicked", "the shutdown"].iter().any(|what| error.contains(what));
        if !may || never || self.stops.len() >= RESTARTS {
            return Err(format!("the {who} instance stopped: {error}"));
        }
        self.stops.push(error);
        Ok(())
    }

    fn hang(&self) -> String {
        let view = self.stage.broker.view();
        let committed = self.stage.committed(&view);
        let group = view.group(&self.stage.setup.name);
        let group = group.map(|g| (g.state, g.members.len(), g.generation_id));
        format!(
            "hung: not done after {:?}; {:?}, {} waves left, committed {committed:?}, group \
             {group:?}, open {:?}",
            self.stage.setup.deadline,
            self.scene,
            self.stage.waves_left(),
            super::verify::open_transactions(&self.stage)
        )
    }
}
