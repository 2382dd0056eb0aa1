//! Faults of instances, carried out: one crew per application.
//!
//! Knows nothing of brokers and of what records mean. Invariants: an instance that ended by itself,
//! or ended badly, is noted and never passed over; when a crew is done, what it left running runs.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oncestream_tests::instance::Instance;

use crate::plan::{INSTANCES, Kind, Plan, ProcessFault};
use crate::watch::Watch;
use crate::workload::Workload;

/// An application that takes longer than this to recover stands still.
pub(crate) const RECOVERY: Duration = Duration::from_secs(120);
/// No fault, but the start: its recovery is the first output.
pub(crate) const BEGINNING: usize = usize::MAX;
/// How long a commit step is waited for; none comes while an application has no partitions.
const AIM: Duration = Duration::from_secs(3);
/// An instance commits and leaves within this, also while a broker is away.
const LEAVE: Duration = Duration::from_secs(60);
const SIGTERM: i32 = 15;
/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A fault that struck.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// The job, or `brokers`.
    pub(crate) of: &'static str,
    /// The slot of the instance, the id of the node, or the number of the input topic.
    pub(crate) target: i32,
    /// The commit step that it hit.
    pub(crate) aim: Option<&'static str>,
    /// Since the start of the run.
    pub(crate) at_ms: u64,
}

/// What happened so far, and whether it is enough.
pub(crate) struct Record {
    started: Instant,
    until: Option<Instant>,
    most: usize,
    taken: AtomicUsize,
    faults: Mutex<Vec<Fault>>,
    problems: Mutex<Vec<String>>,
}

impl Record {
    /// Of a run that ends after so long, or after so many faults, whatever comes first.
    pub(crate) fn new(lasts: Option<Duration>, most: Option<usize>) -> Self {
        let started = Instant::now();
        Self {
            started,
            until: lasts.map(|lasts| started + lasts),
            most: most.unwrap_or(usize::MAX),
            taken: AtomicUsize::new(0),
            faults: Mutex::default(),
            problems: Mutex::default(),
        }
    }

    /// Takes one of the faults that are left; false when the run is over.
    pub(crate) fn take(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
            && self.taken.fetch_add(1, Ordering::Relaxed) < self.most
    }

    /// The run is over: no fault is left to be taken.
    pub(crate) fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
            || self.taken.load(Ordering::Relaxed) >= self.most
    }

    /// Notes a fault: its number.
    pub(crate) fn fault(
        &self,
        kind: Kind,
        of: &'static str,
        target: i32,
        aim: Option<&'static str>,
    ) -> usize {
        let at_ms = self.started.elapsed().as_millis() as u64;
        let mut faults = self.faults.lock().unwrap();
        faults.push(Fault { kind, of, target, aim, at_ms });
        let aimed = aim.map_or(String::new(), |step| format!(" at {step}"));
        let (number, name) = (faults.len(), kind.name());
        println!("{:>7.1}s  {number:>4}  {name:<12} {of} {target}{aimed}", at_ms as f64 / 1000.0);
        number - 1
    }

    /// Notes something that must not be.
    pub(crate) fn problem(&self, what: String) {
        let what = format!("{:.1}s: {what}", self.started.elapsed().as_secs_f64());
        println!("PROBLEM {what}");
        self.problems.lock().unwrap().push(what);
    }

    pub(crate) fn faults(&self) -> Vec<Fault> {
        self.faults.lock().unwrap().clone()
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap().clone()
    }
}

/// The instances of one application, by slot, and who is after them.
pub(crate) struct Crew<'a> {
    workload: &'a Workload,
    watch: &'a Watch,
    record: &'a Record,
    slots: Vec<Option<Instance>>,
}

impl<'a> Crew<'a> {
    /// Starts as many instances as an application has at least.
    pub(crate) fn start(
        workload: &'a Workload,
        watch: &'a Watch,
        record: &'a Record,
    ) -> anyhow::Result<Self> {
        let mut crew = Self { workload, watch, record, slots: Vec::new() };
        for slot in 0..INSTANCES.1 {
            let instance = (slot < INSTANCES.0).then(|| workload.start(slot)).transpose()?;
            crew.slots.push(instance);
        }
        Ok(crew)
    }

    /// Strikes until the run is over, and sees the application recover.
    ///
    /// # Errors
    ///
    /// When the application does not even begin, or instances cannot be started.
    pub(crate) fn rage(&mut self, mut plan: Plan) -> anyhow::Result<()> {
        self.watch.fault(BEGINNING);
        if !self.watch.recovers(BEGINNING, RECOVERY) {
            anyhow::bail!("{}: no output to begin with", self.workload.job);
        }
        while self.record.take() {
            self.replace_the_fallen()?;
            let running = self.running();
            let next = plan.next_process(running.len());
            // Not a wait for something: the random moment that a fault needs.
            std::thread::sleep(Duration::from_millis(next.after_ms));
            let slot = running[next.victim % running.len()];
            let fault = self.strike(slot, &next)?;
            if !next.overlaps {
                self.await_recovery(fault)?;
            }
        }
        let mut faults = self.record.faults().into_iter();
        if let Some(last) = faults.rposition(|f| f.of == self.workload.job) {
            self.await_recovery(last)?;
        }
        Ok(())
    }

    fn await_recovery(&mut self, fault: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + RECOVERY;
        while !self.watch.recovers(fault, Duration::from_millis(500)) {
            self.replace_the_fallen()?;
            if Instant::now() > deadline {
                let job = self.workload.job;
                self.record.problem(format!(
                    "{job}: no committed output on every partition for {RECOVERY:?} after fault {}",
                    fault + 1
                ));
                break;
            }
        }
        Ok(())
    }

    fn running(&self) -> Vec<usize> {
        (0..self.slots.len()).filter(|slot| self.slots[*slot].is_some()).collect()
    }

    /// Nobody ends by itself; who does is noted, and started again.
    fn replace_the_fallen(&mut self) -> anyhow::Result<()> {
        for slot in self.running() {
            let exit = self.slots[slot].as_mut().and_then(Instance::exit);
            if let Some(exit) = exit {
                self.fell(slot, exit);
                self.slots[slot] = Some(self.workload.start(slot)?);
            }
        }
        Ok(())
    }

    fn fell(&self, slot: usize, exit: ExitStatus) {
        let (job, words) = (self.workload.job, self.workload.last_words(slot));
        self.record.problem(format!("{job}: instance {slot} ended by itself ({exit}): {words}"));
    }

    /// Notes the fault at the very moment it strikes.
    fn note(&self, next: &ProcessFault, slot: usize, aim: Option<&'static str>) -> usize {
        let fault = self.record.fault(next.kind, self.workload.job, slot as i32, aim);
        self.watch.fault(fault);
        fault
    }

    fn strike(&mut self, slot: usize, next: &ProcessFault) -> anyhow::Result<usize> {
        if next.kind == Kind::Add {
            let free = (0..self.slots.len()).find(|s| self.slots[*s].is_none()).unwrap_or(slot);
            let fault = self.note(next, free, None);
            self.slots[free] = Some(self.workload.start(free)?);
            return Ok(fault);
        }
        let Some(mut instance) = self.slots[slot].take() else {
            anyhow::bail!("{}: nobody in slot {slot}", self.workload.job)
        };
        let aim = next.aim.filter(|step| instance.saw_action(step, AIM));
        if let Some(exit) = instance.exit() {
            // Before it was struck: to be seen like any other end of its own.
            self.fell(slot, exit);
        }
        let away = Duration::from_millis(next.away_ms);
        match next.kind {
            Kind::Kill => {
                let fault = self.note(next, slot, aim);
                drop(instance);
                std::thread::sleep(away);
                self.slots[slot] = Some(self.workload.start(slot)?);
                Ok(fault)
            }
            Kind::Zombie => {
                let fault = self.note(next, slot, aim);
                instance.signal("STOP");
                // It must sleep for longer than its session, or it is no zombie.
                std::thread::sleep(self.workload.session() + away);
                instance.signal("CONT");
                self.slots[slot] = Some(instance);
                Ok(fault)
            }
            _ => {
                let fault = self.note(next, slot, None);
                self.dismiss(slot, instance);
                if next.kind == Kind::Restart {
                    self.slots[slot] = Some(self.workload.start(slot)?);
                }
                Ok(fault)
            }
        }
    }

    /// SIGTERM, and the good end that must follow.
    fn dismiss(&self, slot: usize, mut instance: Instance) {
        let job = self.workload.job;
        instance.signal("TERM");
        let deadline = Instant::now() + LEAVE;
        loop {
            match instance.exit() {
                Some(exit) if exit.success() => return,
                // It had not come to listening to the signal, nor to anything else.
                Some(exit) if exit.signal() == Some(SIGTERM) && instance.heard() == 0 => return,
                Some(exit) => {
                    let words = self.workload.last_words(slot);
                    let what = format!("{job}: instance {slot} ended badly ({exit}): {words}");
                    return self.record.problem(what);
                }
                None if Instant::now() > deadline => {
                    let what = format!("{job}: instance {slot} ignores SIGTERM for {LEAVE:?}");
                    return self.record.problem(what);
                }
                None => std::thread::sleep(LOOK),
            }
        }
    }

    /// Stops all instances.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.replace_the_fallen()?;
        for slot in self.running() {
            if let Some(instance) = self.slots[slot].take() {
                self.dismiss(slot, instance);
            }
        }
        Ok(())
    }
}
