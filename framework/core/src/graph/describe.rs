//! The topology as text and as a Mermaid flowchart.
//!
//! The text is Kafka Streams' `TopologyDescription`, so that its tools and its users' eyes work
//! on it. Where Kafka Streams prints names in the order of a Java hash table (stores, topics of
//! one source, equal neighbours), names are sorted here: the text of one topology never changes.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::{Graph, NodeDef, NodeId, NodeKind, SinkTopic, SourceTopics, SubTopology};

impl Graph {
    /// See [`Topology::describe`](super::Topology::describe).
    pub fn describe(&self) -> String {
        let mut text = String::from("Topologies:\n ");
        for (at, sub) in self.sub_topologies().iter().enumerate() {
            let sizes = self.sizes(sub);
            let is_global = self.is_global(sub);
            let global = if is_global { " for global store (will not generate tasks)" } else { "" };
            let _ = writeln!(text, "  Sub-topology: {at}{global}");
            for id in self.ordered(&sub.nodes, &sizes) {
                let node = self.node(id);
                let _ = writeln!(text, "    {}", head(node));
                if !matches!(node.kind, NodeKind::Sink(_)) {
                    let _ = writeln!(text, "      --> {}", self.names(&node.children, &sizes));
                }
                if !matches!(node.kind, NodeKind::Source(_)) {
                    let _ = writeln!(text, "      <-- {}", self.names(&node.parents, &sizes));
                }
            }
            text.push('\n');
        }
        text
    }

    /// See [`Topology::describe_mermaid`](super::Topology::describe_mermaid).
    pub fn describe_mermaid(&self) -> String {
        let mut chart = Mermaid::default();
        for (at, sub) in self.sub_topologies().iter().enumerate() {
            let _ = writeln!(chart.body, "    subgraph sub{at}[\"Sub-topology {at}\"]");
            for id in &sub.nodes {
                let _ = writeln!(chart.body, "        n{}[\"{}\"]", id.0, self.node(*id).name);
            }
            for store in &sub.stores {
                let id = chart.id('s', store);
                let _ = writeln!(chart.body, "        {id}[(\"{store}\")]");
            }
            chart.body.push_str("    end\n");
        }
        for (at, node) in self.nodes().iter().enumerate() {
            chart.edges(at, node);
        }
        format!("flowchart TD\n{}{}{}", chart.topics, chart.body, chart.edges)
    }

    /// How many nodes hang below each node, itself included. One that is reached over several
    /// paths counts once for each, as in Kafka Streams.
    fn sizes(&self, sub: &SubTopology) -> HashMap<NodeId, usize> {
        let mut sizes = HashMap::new();
        // Children have larger ids than their parents.
        for id in sub.nodes.iter().rev() {
            let below = self.node(*id).children.iter().map(|c| sizes.get(c).unwrap_or(&0));
            let size: usize = 1 + below.sum::<usize>();
            sizes.insert(*id, size);
        }
        sizes
    }

    fn ordered(&self, nodes: &[NodeId], sizes: &HashMap<NodeId, usize>) -> Vec<NodeId> {
        let mut nodes = nodes.to_vec();
        nodes.sort_by_key(|id| {
            (std::cmp::Reverse(sizes.get(id).copied().unwrap_or(0)), self.node(*id).name.clone())
        });
        nodes
    }

    fn names(&self, nodes: &[NodeId], sizes: &HashMap<NodeId, usize>) -> String {
        if nodes.is_empty() {
            return "none".to_owned();
        }
        let names = self.ordered(nodes, sizes).into_iter().map(|id| self.node(id).name.to_string());
        names.collect::<Vec<_>>().join(", ")
    }
}

/// The first line of a node.
fn head(node: &NodeDef) -> String {
    let name = &node.name;
    match &node.kind {
        NodeKind::Source(SourceTopics::Topics(topics)) => {
            let mut names: Vec<String> = topics.iter().map(super::TopicRef::display_name).collect();
            names.sort();
            format!("Source: {name} (topics: [{}])", names.join(", "))
        }
        NodeKind::Source(SourceTopics::Pattern(pattern)) => {
            format!("Source: {name} (topics: {pattern})")
        }
        NodeKind::Source(SourceTopics::Global(topic)) => {
            format!("Source: {name} (topics: [{topic}])")
        }
        NodeKind::Processor => {
            let mut stores: Vec<&str> = node.stores.iter().map(|s| &**s).collect();
            stores.sort_unstable();
            format!("Processor: {name} (stores: [{}])", stores.join(", "))
        }
        NodeKind::Sink(SinkTopic::Topic(topic)) => {
            format!("Sink: {name} (topic: {})", topic.display_name())
        }
        NodeKind::Sink(SinkTopic::Dynamic) => format!("Sink: {name} (extractor class: dynamic)"),
    }
}

#[derive(Default)]
struct Mermaid {
    topics: String,
    body: String,
    edges: String,
    ids: HashMap<(char, Arc<str>), usize>,
}

impl Mermaid {
    /// A short id: names may hold what Mermaid does not take in one.
    fn id(&mut self, kind: char, name: &str) -> String {
        let next = self.ids.len();
        let at = *self.ids.entry((kind, name.into())).or_insert(next);
        format!("{kind}{at}")
    }

    fn topic(&mut self, name: &str) -> String {
        let known = self.ids.contains_key(&('t', Arc::from(name)));
        let id = self.id('t', name);
        if !known {
            let name = name.replace('"', "#quot;");
            let _ = writeln!(self.topics, "    {id}([\"{name}\"])");
        }
        id
    }

    fn edges(&mut self, at: usize, node: &NodeDef) {
        match &node.kind {
            NodeKind::Source(SourceTopics::Topics(topics)) => {
                for topic in topics {
                    let id = self.topic(&topic.display_name());
                    let _ = writeln!(self.edges, "    {id} --> n{at}");
                }
            }
            NodeKind::Source(SourceTopics::Pattern(named) | SourceTopics::Global(named)) => {
                let id = self.topic(named);
                let _ = writeln!(self.edges, "    {id} --> n{at}");
            }
            NodeKind::Sink(SinkTopic::Topic(topic)) => {
                let id = self.topic(&topic.display_name());
                let _ = writeln!(self.edges, "    n{at} --> {id}");
            }
            NodeKind::Sink(SinkTopic::Dynamic) => {
                let id = self.topic("chosen per record");
                let _ = writeln!(self.edges, "    n{at} --> {id}");
            }
            NodeKind::Processor => {}
        }
        for child in &node.children {
            let _ = writeln!(self.edges, "    n{at} --> n{}", child.0);
        }
        for store in &node.stores {
            let id = self.id('s', store);
            let _ = writeln!(self.edges, "    n{at} --- {id}");
        }
    }
}
