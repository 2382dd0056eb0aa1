//! The stage of a chapter: its brokers, and the scenes it shows.
//!
//! It knows nothing of what a chapter is about. Invariant: what was started for a chapter (brokers,
//! processes, folders) is gone when its stage is.

use std::time::{Duration, Instant};

use oncestream_broker::{Broker, RequestRecord, TransactionState};

use crate::{
    Audience, Chapter, Claim, Diagram, Lab, LabError, Outcome, Report, Scene, Table, Text,
};

/// How long a chapter waits for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(2);

/// A point in a broker's log of requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(u64);

impl Mark {
    /// Where the log of a broker is now.
    pub(crate) fn of(broker: &Broker) -> Self {
        Self(broker.request_count())
    }

    fn requests(self, broker: &Broker) -> Vec<RequestRecord> {
        broker.requests().into_iter().filter(|request| request.number > self.0).collect()
    }
}

/// What a chapter plays on.
pub(crate) struct Stage<'a> {
    lab: &'a Lab,
    audience: &'a mut dyn Audience,
    broker: Broker,
    report: Report,
}

impl<'a> Stage<'a> {
    pub(crate) fn set(
        lab: &'a Lab,
        chapter: &'static Chapter,
        audience: &'a mut dyn Audience,
    ) -> Result<Self, LabError> {
        let broker = Broker::builder().nodes(chapter.nodes).start_blocking()?;
        let report = Report { chapter, scenes: Vec::new(), claims: Vec::new() };
        Ok(Self { lab, audience, broker, report })
    }

    pub(crate) fn report(self) -> Report {
        self.report
    }

    /// The cluster of the chapter.
    pub(crate) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Its `bootstrap.servers`.
    pub(crate) fn servers(&self) -> String {
        self.broker.bootstrap_servers().to_owned()
    }

    /// The lab, whose arguments processes of the chapter are started with.
    pub(crate) fn lab(&self) -> &Lab {
        self.lab
    }

    /// A setting of the chapter: this value, unless a mutation changes it.
    pub(crate) fn setting(&self, name: &str, value: &'static str) -> &'static str {
        self.lab.setting(name).unwrap_or(value)
    }

    fn show(&mut self, scene: Scene) -> Result<(), LabError> {
        if self.lab.is_stopped() {
            return Err(LabError::Stopped);
        }
        self.audience.show(&scene)?;
        self.report.scenes.push(scene);
        Ok(())
    }

    pub(crate) fn part(&mut self, heading: Text) -> Result<(), LabError> {
        self.show(Scene::Part(heading))
    }

    pub(crate) fn tell(&mut self, text: Text) -> Result<(), LabError> {
        self.show(Scene::Told(text))
    }

    pub(crate) fn code(&mut self, code: &str) -> Result<(), LabError> {
        self.show(Scene::Code(code.to_owned()))
    }

    /// Where the log of requests is now.
    pub(crate) fn mark(&self) -> Mark {
        Mark::of(&self.broker)
    }

    /// The requests since a mark.
    pub(crate) fn requests(&self, since: Mark) -> Vec<RequestRecord> {
        since.requests(&self.broker)
    }

    /// The requests since a mark, as a diagram.
    pub(crate) fn wire(&mut self, since: Mark, caption: Text) -> Result<(), LabError> {
        let requests = self.requests(since);
        self.show(Scene::Wire(Diagram::new(caption, &requests)))
    }

    /// The same, of another cluster than the chapter's first.
    pub(crate) fn wire_of(
        &mut self,
        broker: &Broker,
        since: Mark,
        caption: Text,
    ) -> Result<(), LabError> {
        let requests = since.requests(broker);
        self.show(Scene::Wire(Diagram::new(caption, &requests)))
    }

    /// The log of a partition.
    pub(crate) fn log(&mut self, topic: &str, partition: i32) -> Result<(), LabError> {
        let table = Table::of_log(&self.broker, topic, partition);
        self.show(Scene::Table(table))
    }

    /// Any table.
    pub(crate) fn table(&mut self, table: Table) -> Result<(), LabError> {
        self.show(Scene::Table(table))
    }

    pub(crate) fn outcome(&mut self, outcome: Outcome) -> Result<(), LabError> {
        self.show(Scene::Outcome(outcome))
    }

    /// A claim with the name `name`, and whether it held.
    pub(crate) fn claim(
        &mut self,
        name: &'static str,
        holds: bool,
        text: Text,
    ) -> Result<(), LabError> {
        let claim = Claim { name, text, holds };
        self.report.claims.push(claim.clone());
        self.show(Scene::Claim(claim))
    }

    /// Throws all members out of a group, as if their sessions had timed out.
    pub(crate) fn expire_members(&self, group: &str) {
        let view = self.broker.view();
        for member in view.group(group).iter().flat_map(|found| &found.members) {
            self.broker.expire_member(group, &member.member_id);
        }
    }

    /// Waits until no transaction of this transactional id is open and its markers are written.
    pub(crate) fn wait_for_end(&self, transactional_id: &str) -> Result<(), LabError> {
        use TransactionState::{CompleteAbort, CompleteCommit, Empty};
        self.wait_for(&format!("the transaction of {transactional_id} to end"), |broker| {
            let view = broker.view();
            let state = view.transaction(transactional_id).map_or(Empty, |found| found.state);
            matches!(state, Empty | CompleteCommit | CompleteAbort)
        })
    }

    /// Waits until a group has committed this offset of partition 0.
    pub(crate) fn wait_for_commit(
        &self,
        group: &str,
        topic: &str,
        offset: i64,
    ) -> Result<(), LabError> {
        self.wait_for(&format!("group {group} to commit {offset} of {topic}"), |broker| {
            let view = broker.view();
            let found = view.group(group);
            found.is_some_and(|found| {
                found.offsets.iter().any(|(t, p, o)| t == topic && *p == 0 && o.offset == offset)
            })
        })
    }

    /// Waits until something is so.
    ///
    /// # Errors
    ///
    /// [`LabError::Late`] if it is not within [`LIMIT`].
    pub(crate) fn wait_for(
        &self,
        what: &str,
        mut is_so: impl FnMut(&Broker) -> bool,
    ) -> Result<(), LabError> {
        let until = Instant::now() + LIMIT;
        while !is_so(&self.broker) {
            if self.lab.is_stopped() {
                return Err(LabError::Stopped);
            }
            if Instant::now() > until {
                return Err(LabError::Late { what: what.to_owned(), seconds: LIMIT.as_secs() });
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}
