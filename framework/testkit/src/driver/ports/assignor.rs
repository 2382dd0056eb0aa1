//! The `range` assignment, which the leader of the group makes: topic by topic, each member a
//! stretch of its partitions. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use oncestream_core::TopicPartition;

/// What each member is assigned. A member is given with the topics that it reads.
pub(super) fn range(
    members: &BTreeMap<String, Vec<String>>,
    partitions: &BTreeMap<Arc<str>, i32>,
) -> BTreeMap<String, Vec<TopicPartition>> {
    let mut assigned: BTreeMap<String, Vec<TopicPartition>> =
        members.keys().map(|member| (member.clone(), Vec::new())).collect();
    for (topic, count) in partitions {
        let readers: Vec<&String> = members
            .iter()
            .filter(|(_, topics)| topics.iter().any(|t| **t == **topic))
            .map(|(member, _)| member)
            .collect();
        let mut next = 0;
        for (index, member) in (0_i32..).zip(&readers) {
            let readers = readers.len() as i32;
            let share = count / readers + i32::from(index < count % readers);
            let stretch = (next..next + share).map(|p| TopicPartition::new(topic.clone(), p));
            assigned.entry((*member).clone()).or_default().extend(stretch);
            next += share;
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_has_a_stretch_of_each_topic_that_it_reads() {
        let reads = |topics: &[&str]| topics.iter().map(ToString::to_string).collect::<Vec<_>>();
        let members = BTreeMap::from([
            ("a".to_owned(), reads(&["x", "y"])),
            ("b".to_owned(), reads(&["x", "y"])),
            ("c".to_owned(), reads(&["y"])),
        ]);
        let topics = BTreeMap::from([("x".into(), 3), ("y".into(), 2), ("z".into(), 9)]);
        let at = |topic: &str, p| TopicPartition::new(topic, p);
        let assigned = range(&members, &topics);
        assert_eq!(assigned["a"], [at("x", 0), at("x", 1), at("y", 0)]);
        assert_eq!(assigned["b"], [at("x", 2), at("y", 1)]);
        assert_eq!(assigned["c"], []);
    }
}
