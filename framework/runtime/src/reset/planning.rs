//! Makes the plan of a reset: asks for the members of the group, the topics and the committed offsets.
//!
//! Invariants: nothing is changed here, and one error has every name that is wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use oncestream_core::TopicPartition;
use oncestream_core::graph::{Graph, internal_name};
use oncestream_engine::StreamsError;
use oncestream_engine::ports::{Committed, GroupMember, Topics};

use super::names::{Choice, Owner, choose, owner};
use super::plan::{Notice, OffsetChange, ResetPlan};
use super::targets::{Known, target};
use super::{ActiveMember, ApplicationReset, ResetError, To, WrongTopic, directory};
use crate::clients::{Admin, GroupOffsets, client_failed};
use crate::config::{ClientSettings, StreamsConfig};

/// What a reset talks to the brokers with.
pub(super) struct Clients {
    pub(super) admin: Admin,
    pub(super) offsets: GroupOffsets,
    pub(super) application_id: String,
}

impl Clients {
    fn new(config: &StreamsConfig) -> Result<Self, StreamsError> {
        Ok(Self {
            admin: Admin::new(config)?,
            offsets: GroupOffsets::new(&settings(config))?,
            application_id: config.application_id().to_owned(),
        })
    }

    /// Refuses if the group has members.
    pub(super) fn check_members(&self) -> Result<(), ResetError> {
        match self.members()? {
            members if members.is_empty() => Ok(()),
            members => Err(self.members_alive(members)),
        }
    }

    pub(super) fn members_alive(&self, members: Vec<ActiveMember>) -> ResetError {
        ResetError::MembersAlive { group: self.application_id.clone(), members }
    }

    pub(super) fn members(&self) -> Result<Vec<ActiveMember>, StreamsError> {
        let group = &self.application_id;
        let failed = |e| client_failed(format!("asking for the members of group {group}"), e);
        let members = self.admin.members_of(group).map_err(failed)?;
        let member = |m: GroupMember| ActiveMember { client_id: m.client_id, host: m.host };
        Ok(members.into_iter().map(member).collect())
    }
}

/// Those of a worker's consumer that reads as the application does and never joins the group.
fn settings(config: &StreamsConfig) -> ClientSettings {
    let client_id = format!("{}-reset", config.client_id_prefix());
    config.restore_consumer_settings(0).with("client.id", &client_id)
}

impl ApplicationReset {
    pub(super) fn plan_blocking(&self) -> Result<ResetPlan, ResetError> {
        let directory = if self.local_state { directory::find(&self.config)? } else { None };
        let clients = Clients::new(&self.config)?;
        let there = clients.admin.topics()?;
        clients.check_members()?;
        let Choice { delete, unsure, wrong, mut notices } = self.internal(&clients, &there)?;
        self.check_names(&clients, &there, &delete, wrong)?;
        let application_id = self.config.application_id().to_owned();
        if !unsure.is_empty() {
            let own = delete.iter().map(ToString::to_string).collect();
            return Err(ResetError::UnsureTopics { application_id, topics: unsure, own });
        }
        if self.inputs.is_empty() && delete.is_empty() && directory.is_none() {
            return Err(ResetError::NothingToReset { application_id });
        }
        let inputs = partitions(self.inputs.keys(), &there);
        let internal = partitions(delete.iter(), &there);
        // Also of changelogs, which have none: the broker says if the group may not be looked at,
        // whose members would not be seen either.
        let mut committed: Vec<_> = inputs.iter().chain(&internal).cloned().map(none).collect();
        let all: Vec<TopicPartition> = committed.iter().map(|(p, _)| p.clone()).collect();
        for (at, found) in clients.offsets.committed(&all)?.into_iter().enumerate() {
            committed[at].1 = found;
        }
        let offsets = self.changes(&clients, &committed[..inputs.len()], &mut notices)?;
        self.tell(&clients, &committed, &delete, &mut notices);
        let ids = clients.admin.topic_ids(&delete)?;
        let topics = delete.into_iter().map(|t| (there.get(&t).copied().unwrap_or(0), t));
        Ok(ResetPlan {
            application_id,
            bootstrap_servers: self.config.bootstrap_servers().to_owned(),
            offsets,
            topics: topics.map(|(count, topic)| (topic.to_string(), count)).collect(),
            directory,
            notices,
            ids,
            committed,
            clients,
        })
    }

    /// Which of the topics that are called like internal ones are deleted.
    fn internal(&self, clients: &Clients, there: &Topics) -> Result<Choice, StreamsError> {
        let id = self.config.application_id();
        let called_so = there.keys().filter_map(|t| Some((t, internal_name(id, t)?)));
        let called_so: Vec<(&Arc<str>, &str)> = called_so.collect();
        // Others matter where a longer id fits.
        let others = if called_so.iter().any(|(_, name)| name.contains('-')) {
            self.other_applications(clients, there)?
        } else {
            Vec::new()
        };
        let found: Vec<(Arc<str>, Owner)> = called_so
            .into_iter()
            .filter_map(|(topic, _)| Some((topic.clone(), owner(id, topic, &others)?)))
            .collect();
        let of_topology = self.topology.as_ref().map(|t| t.internal_topics(id));
        // A topic that may not be seen is not listed, and would stay.
        let given = of_topology.iter().flatten().chain(&self.internal);
        for topic in given.filter(|topic| !there.contains_key(*topic)) {
            clients.admin.check_visible(topic, "Delete")?;
        }
        Ok(choose(id, &found, of_topology.as_ref(), &self.internal))
    }

    /// The applications whose ids begin as this one's does. A group of that name alone is none: any
    /// consumer may have chosen it.
    fn other_applications(
        &self,
        clients: &Clients,
        there: &Topics,
    ) -> Result<Vec<String>, StreamsError> {
        let id = self.config.application_id();
        let failed = |e| client_failed("asking for the groups of the cluster", e);
        let mut groups = clients.admin.groups().map_err(failed)?;
        let is_of = |id: &str, topic: &str| internal_name(id, topic).is_some();
        groups.retain(|group| {
            group.len() > id.len() && there.keys().any(|t| is_of(id, t) && is_of(group, t))
        });
        let everything = partitions(there.keys(), there);
        let mut applications = Vec::new();
        for group in groups {
            let settings = settings(&self.config).with("group.id", &group);
            if GroupOffsets::new(&settings)?.is_of_application(&everything) {
                applications.push(group);
            }
        }
        Ok(applications)
    }

    /// Refuses names that are wrong, and inputs that may not be read.
    fn check_names(
        &self,
        clients: &Clients,
        there: &Topics,
        delete: &[Arc<str>],
        mut wrong: Vec<WrongTopic>,
    ) -> Result<(), ResetError> {
        for topic in self.inputs.keys() {
            let name = topic.to_string();
            if delete.contains(topic) {
                wrong.push(WrongTopic::InputIsInternal { topic: name });
            } else if !there.contains_key(topic) {
                clients.admin.check_visible(topic, "Read")?;
                wrong.push(WrongTopic::InputNotThere { topic: name });
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(ResetError::WrongTopics { topics: wrong }) }
    }

    /// Where each partition of the inputs is to begin.
    fn changes(
        &self,
        clients: &Clients,
        committed: &[(TopicPartition, Option<Committed>)],
        notices: &mut Vec<Notice>,
    ) -> Result<Vec<OffsetChange>, StreamsError> {
        let inputs: Vec<TopicPartition> = committed.iter().map(|(p, _)| p.clone()).collect();
        let beginnings = clients.offsets.beginnings(&inputs)?;
        let ends = clients.offsets.ends(&inputs)?;
        let mut since = BTreeMap::new();
        for (topic, to) in &self.inputs {
            let To::Time(time_ms) = to else { continue };
            let of: Vec<_> = inputs.iter().filter(|p| p.topic == *topic).cloned().collect();
            let found = clients.offsets.since(&of, *time_ms)?;
            since.extend(of.into_iter().zip(found));
        }
        let mut changes = Vec::with_capacity(inputs.len());
        for ((at, committed), (beginning, end)) in
            committed.iter().zip(beginnings.into_iter().zip(ends))
        {
            let to = self.inputs.get(&at.topic).copied().unwrap_or(To::Earliest);
            let committed = committed.as_ref().map(|c| c.offset);
            let since = since.get(at).copied().flatten();
            let (to, notice) = target(at, to, Known { committed, beginning, end, since });
            notices.extend(notice);
            let (topic, partition) = (at.topic.to_string(), at.partition);
            changes.push(OffsetChange { topic, partition, from: committed, to });
        }
        Ok(changes)
    }

    /// What a user should know of the whole.
    fn tell(
        &self,
        clients: &Clients,
        committed: &[(TopicPartition, Option<Committed>)],
        delete: &[Arc<str>],
        notices: &mut Vec<Notice>,
    ) {
        if self.inputs.is_empty() {
            notices.push(Notice::NoInputs);
        } else if delete.is_empty() && committed.iter().all(|(_, c)| c.is_none()) {
            notices.push(Notice::UnknownApplication);
        }
        let probe = format!("{}-any-changelog", clients.application_id);
        if delete.is_empty() && clients.admin.check_visible(&probe, "Delete").is_err() {
            notices.push(Notice::InternalTopicsHidden);
        }
        if committed.iter().any(|(_, c)| c.as_ref().is_some_and(|c| c.is_resetting)) {
            notices.push(Notice::Resumed);
        }
        for graph in self.topology.iter().map(Graph::of) {
            for store in graph.stores().iter().filter(|s| s.changelog.is_none() && !s.is_global) {
                notices.push(Notice::NoChangelog { store: store.name.to_string() });
                let begins_later = |topic: &&Arc<str>| {
                    self.inputs.get(*topic).is_some_and(|to| *to != To::Earliest)
                };
                if let Some(topic) = graph.source_topic_of(store).filter(begins_later) {
                    let (store, topic) = (store.name.to_string(), topic.to_string());
                    notices.push(Notice::TableBeginsFull { store, topic });
                }
            }
        }
    }
}

fn none(partition: TopicPartition) -> (TopicPartition, Option<Committed>) {
    (partition, None)
}

fn partitions<'a>(
    topics: impl Iterator<Item = &'a Arc<str>>,
    there: &Topics,
) -> Vec<TopicPartition> {
    let count = |topic: &Arc<str>| there.get(topic).copied().unwrap_or(0);
    topics.flat_map(|t| (0..count(t)).map(|p| TopicPartition::new(t.clone(), p))).collect()
}
