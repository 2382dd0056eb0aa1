//! The topics of the cluster: their names, settings, partitions and leaders.
//!
//! Every node has every record, since there is one state behind all of them; a leader is only who
//! answers for a partition.

pub(crate) mod settings;

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use crate::log::PartitionLog;
use settings::TopicSettings;

/// The longest name Kafka takes.
const LONGEST_NAME: usize = 249;

/// One partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) log: PartitionLog,
    /// Which node answers for it.
    pub(crate) leader: i32,
}

/// One topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) settings: TopicSettings,
    pub(crate) partitions: Vec<Partition>,
}

impl Topic {
    pub(crate) fn partition(&self, index: i32) -> Option<&Partition> {
        usize::try_from(index).ok().and_then(|index| self.partitions.get(index))
    }

    /// Adds partitions until there are so many. The nodes take turns in leading them.
    pub(crate) fn grow(&mut self, count: usize, nodes: &[i32]) {
        while self.partitions.len() < count {
            let turn = self.partitions.len() % nodes.len().max(1);
            let leader = nodes.get(turn).copied().unwrap_or(1);
            self.partitions.push(Partition { log: PartitionLog::new(), leader });
        }
    }
}

/// All topics.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_name: BTreeMap<String, Topic>,
    names: HashMap<Uuid, String>,
}

impl Topics {
    pub(crate) fn get(&self, name: &str) -> Option<&Topic> {
        self.by_name.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Topic> {
        self.by_name.get_mut(name)
    }

    /// The name of the topic with this id.
    pub(crate) fn name(&self, id: Uuid) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Topic)> {
        self.by_name.iter().map(|(name, topic)| (name.as_str(), topic))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Topic)> {
        self.by_name.iter_mut().map(|(name, topic)| (name.as_str(), topic))
    }

    /// Creates a topic. The name must be free and good.
    pub(crate) fn create(
        &mut self,
        name: &str,
        partitions: usize,
        settings: TopicSettings,
        nodes: &[i32],
    ) -> &mut Topic {
        let id = Uuid::new_v4();
        self.names.insert(id, name.to_owned());
        let mut topic = Topic { id, settings, partitions: Vec::new() };
        topic.grow(partitions, nodes);
        self.by_name.entry(name.to_owned()).or_insert(topic)
    }

    /// Deletes a topic with all its records. False if there is none.
    pub(crate) fn delete(&mut self, name: &str) -> bool {
        let Some(topic) = self.by_name.remove(name) else { return false };
        self.names.remove(&topic.id);
        true
    }

    /// Does the name differ from an existing one only in `.` and `_`? Kafka refuses such names,
    /// since its metrics would collide.
    pub(crate) fn collides_with(&self, name: &str) -> Option<&str> {
        let plain = |name: &str| name.replace('.', "_");
        let wanted = plain(name);
        self.by_name.keys().find(|other| plain(other) == wanted).map(String::as_str)
    }
}

/// Is this a name Kafka takes? If not, a sentence says why, in Kafka's words.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("Topic name is invalid: the empty string is not allowed".to_owned());
    }
    if name == "." || name == ".." {
        return Err(format!("Topic name is invalid: '{name}' is not allowed"));
    }
    if name.len() > LONGEST_NAME {
        return Err(format!(
            "Topic name is invalid: the length of '{name}' is longer than the max allowed length \
             {LONGEST_NAME}"
        ));
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Err(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than ASCII \
             alphanumerics, '.', '_' and '-'"
        ));
    }
    Ok(())
}
