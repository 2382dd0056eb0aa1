//! The properties of a node, as text. Pure: no files, no processes.
//!
//! Invariant: what the caller gave wins over what is set here.

use std::collections::BTreeMap;
use std::path::Path;

/// The ports of one node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    /// Where clients and the other brokers connect.
    pub(super) broker: u16,
    /// Where the metadata quorum talks.
    pub(super) controller: u16,
    /// Where clients connect that must authenticate, on a secured cluster.
    pub(super) secure: u16,
}

/// The `server.properties` of node `id` of a cluster that listens on `ports`, one entry per node.
pub(super) fn properties(
    id: i32,
    ports: &[Ports],
    data: &Path,
    overrides: &BTreeMap<String, String>,
) -> String {
    let mut all = BTreeMap::new();
    let mut set = |key: &str, value: String| all.insert(key.to_owned(), value);

    identity(id, ports, data, &mut set);
    replication(ports.len(), &mut set);
    for (key, value) in QUICK {
        set(key, (*value).to_owned());
    }
    for (key, value) in overrides {
        set(key, value.clone());
    }
    let lines: Vec<String> =
        all.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect();
    lines.join("\n") + "\n"
}

fn identity<R>(id: i32, ports: &[Ports], data: &Path, set: &mut impl FnMut(&str, String) -> R) {
    let own = ports[id as usize - 1];
    let voters: Vec<String> = (1..)
        .zip(ports)
        .map(|(id, ports)| format!("{id}@127.0.0.1:{}", ports.controller))
        .collect();
    let client = format!("PLAINTEXT://127.0.0.1:{}", own.broker);
    set("process.roles", "broker,controller".into());
    set("node.id", id.to_string());
    set("controller.quorum.voters", voters.join(","));
    set("listeners", format!("{client},CONTROLLER://127.0.0.1:{}", own.controller));
    set("advertised.listeners", client);
    set("controller.listener.names", "CONTROLLER".into());
    set("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".into());
    set("log.dirs", data.to_string_lossy().into_owned());
}

fn replication<R>(nodes: usize, set: &mut impl FnMut(&str, String) -> R) {
    let factor = nodes.min(3);
    // A majority, so that one node of three may be away and every committed record has a copy.
    let in_sync = factor / 2 + 1;
    for key in [
        "default.replication.factor",
        "offsets.topic.replication.factor",
        "transaction.state.log.replication.factor",
        "share.coordinator.state.topic.replication.factor",
    ] {
        set(key, factor.to_string());
    }
    for key in [
        "min.insync.replicas",
        "transaction.state.log.min.isr",
        "share.coordinator.state.topic.min.isr",
    ] {
        set(key, in_sync.to_string());
    }
}

/// What makes a cluster start soon, and tests see soon what takes a production cluster long.
const QUICK: &[(&str, &str)] = &[
    // A mistyped topic name is an error of the test, not a new topic.
    ("auto.create.topics.enable", "false"),
    ("offsets.topic.num.partitions", "5"),
    ("transaction.state.log.num.partitions", "5"),
    ("share.coordinator.state.topic.num.partitions", "5"),
    ("group.initial.rebalance.delay.ms", "0"),
    // How short a session timeout tests may ask for, in the classic and in the new protocol.
    ("group.min.session.timeout.ms", "1000"),
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    // A killed node is given up, and its partitions led by others, after 3 s instead of 9.
    ("broker.heartbeat.interval.ms", "500"),
    ("broker.session.timeout.ms", "3000"),
    // A transaction past its timeout is aborted within half a second instead of ten.
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
    // The cleaner allocates this at once; the default is a quarter of a small heap.
    ("log.cleaner.dedupe.buffer.size", "16777216"),
];

/// Java properties take the backslash as an escape and a line break as the end of an entry.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(nodes: u16, overrides: &[(&str, &str)]) -> Vec<String> {
        let ports: Vec<Ports> = (1..=nodes)
            .map(|n| Ports { broker: 100 + n, controller: 200 + n, secure: 300 + n })
            .collect();
        let overrides = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let text = properties(i32::from(nodes), &ports, Path::new("/data"), &overrides);
        text.lines().map(str::to_owned).collect()
    }

    fn has(lines: &[String], line: &str) -> bool {
        lines.iter().any(|l| l == line)
    }

    #[test]
    fn three_nodes_replicate_and_may_lose_one() {
        let lines = lines(3, &[]);
        assert!(has(&lines, "node.id=3"));
        assert!(has(&lines, "listeners=PLAINTEXT://127.0.0.1:103,CONTROLLER://127.0.0.1:203"));
        let voters = "1@127.0.0.1:201,2@127.0.0.1:202,3@127.0.0.1:203";
        assert!(has(&lines, &format!("controller.quorum.voters={voters}")));
        assert!(has(&lines, "transaction.state.log.replication.factor=3"));
        assert!(has(&lines, "transaction.state.log.min.isr=2"));
    }

    #[test]
    fn one_node_needs_no_other() {
        let lines = lines(1, &[]);
        assert!(has(&lines, "offsets.topic.replication.factor=1"));
        assert!(has(&lines, "min.insync.replicas=1"));
    }

    #[test]
    fn a_given_property_wins_and_stays_one_entry() {
        let lines = lines(1, &[("auto.create.topics.enable", "true"), ("odd", "a\\b\nc=d")]);
        assert!(has(&lines, "auto.create.topics.enable=true"));
        assert!(!has(&lines, "auto.create.topics.enable=false"));
        assert!(has(&lines, "odd=a\\\\b\\nc=d"));
    }
}
