//! The cases of `golden/fixed`: what `describe` prints, the internal topics, and what `build` refuses.
//! Those of windows are built in `windowed_names`.
//!
//! Not compared: settings of internal topics but those of what a store keeps, since the others are chosen
//! when topics are made; the texts of errors, which are Oncestream's own. Names on a line stand in the order of a Java hash table in
//! Kafka Streams, so they are sorted on both sides.

use oncestream_core::error::TopologyError;
use oncestream_core::graph::{Graph, Topology};
use oncestream_operators::{Materialized, Optimization, Printed, Repartitioned, StreamsBuilder};

use crate::cogroup;
use crate::compared::first_difference;
use crate::differences::NOT_BUILT;
use crate::foreign_key_names;
use crate::format::Case;
use crate::functions::Text;
use crate::global_tables;
use crate::optimized;
use crate::stream_join_names;
use crate::suppress;
use crate::table_join_names;
use crate::tables;
use crate::versioned_names;
use crate::windowed::grouped;
use crate::windowed_names;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The setting of a store with versions.
const LAG: &str = "min.compaction.lag.ms=";

/// The topology of a case, or why it is refused; `None` if the case is not here.
pub(crate) fn build(group: &str, case: &str) -> Option<Result<Topology, TopologyError>> {
    if group == "optimized_names" {
        return Some(Ok(optimized::built(case)?.0));
    }
    let b = StreamsBuilder::new();
    let is_optimised = case.contains("_optimised");
    let b = if is_optimised { b.optimization(Optimization::all()) } else { b };
    match group {
        "names" => named(&b, case)
            .or_else(|| windowed_names::named(&b, case))
            .or_else(|| cogroup::named(&b, case))
            .or_else(|| suppress::named(&b, case))?,
        "refused" => refused(&b, case)
            .or_else(|| windowed_names::refused(&b, case))
            .or_else(|| suppress::refused(&b, case))?,
        "join_names" => stream_join_names::named(&b, case)
            .or_else(|| table_join_names::named(&b, case))
            .or_else(|| foreign_key_names::named(&b, case))
            .or_else(|| global_tables::named(&b, case))
            .or_else(|| versioned_names::named(&b, case))?,
        "join_refused" => stream_join_names::refused(&b, case)
            .or_else(|| table_join_names::refused(&b, case))
            .or_else(|| foreign_key_names::refused(&b, case))
            .or_else(|| global_tables::refused(&b, case))
            .or_else(|| versioned_names::refused(&b, case))?,
        _ => return None,
    }
    Some(b.build())
}

/// Where the case differs from what comes here.
pub(crate) fn fault(case: &Case, built: Result<Topology, TopologyError>) -> Option<String> {
    let mut expected: Vec<String> = case.lines.iter().filter_map(|line| comparable(line)).collect();
    if table_join_names::BUILT_HERE.contains(&(&*case.group, &*case.name)) {
        expected = vec!["built".to_owned()];
    }
    if NOT_BUILT.contains(&(&*case.group, &*case.name)) {
        assert_eq!(expected, ["built"], "{}", case.name);
        expected = vec!["refused".to_owned()];
    }
    let actual = match built {
        Err(_) => vec!["refused".to_owned()],
        Ok(_) if expected.len() < 2 => vec!["built".to_owned()],
        Ok(topology) => {
            let text = topology.describe();
            let described = text.lines().filter(|line| !line.trim().is_empty());
            let described = described.map(|line| format!("describe\t{}", levelled(line)));
            described.chain(topic_lines(&topology)).collect()
        }
    };
    first_difference(case, &expected, &actual)
}

/// What of a golden line is compared.
fn comparable(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split('\t').collect();
    match fields[..] {
        ["describe", text] => Some(format!("describe\t{}", levelled(text))),
        ["topic", name, "changelog", settings] => {
            let kept = |name| settings.split(',').filter(|s| s.starts_with(name)).collect();
            let (retention, lag): (String, String) = (kept("retention.ms="), kept(LAG));
            // Only what expires is deleted by age.
            let policies = ["compact+delete", "cleanup.policy=delete"];
            let is_cut = policies.iter().any(|policy| settings.contains(policy));
            assert_eq!(is_cut, !retention.is_empty(), "{line}");
            Some(format!("topic\t{name}\tchangelog\t{retention}{lag}"))
        }
        ["topic", name, kind, _] => Some(format!("topic\t{name}\t{kind}")),
        [] | ["option", ..] => None,
        [kind, ..] => Some(kind.to_owned()),
    }
}

/// The internal topics in the order of their names.
fn topic_lines(topology: &Topology) -> Vec<String> {
    let graph = Graph::of(topology);
    let counts = graph.user_sources().into_iter().map(|topic| (topic, 1));
    let internal = graph.internal_topics("golden", &counts.collect()).unwrap();
    let repartitions =
        internal.repartitions.iter().map(|r| format!("topic\t{}\trepartition", r.topic));
    let changelogs = internal.changelogs.iter().map(|changelog| {
        // As the runtime makes them: a day more, unless the program has said.
        let kept = changelog.retention_ms.map(|kept| kept.saturating_add(DAY_MS).to_string());
        let kept = changelog.settings.get("retention.ms").cloned().or(kept);
        let retention = kept.map_or_else(String::new, |kept| format!("retention.ms={kept}"));
        let lag = changelog.settings.get("min.compaction.lag.ms");
        let lag = lag.map_or_else(String::new, |lag| format!("{LAG}{lag}"));
        format!("topic\t{}\tchangelog\t{retention}{lag}", changelog.topic)
    });
    let mut lines: Vec<String> = repartitions.chain(changelogs).collect();
    lines.sort_unstable();
    lines
}

fn levelled(line: &str) -> String {
    let sorted = |names: &str| {
        let mut names: Vec<&str> = names.split(", ").collect();
        names.sort_unstable();
        names.join(", ")
    };
    if let Some((before, stores)) = line.split_once("(stores: [") {
        return format!("{before}(stores: [{}", sorted(stores.trim_end_matches("])")));
    }
    let Some(at) = line.find("--> ").or_else(|| line.find("<-- ")) else {
        return line.to_owned();
    };
    let (arrow, names) = line.split_at(at + 4);
    format!("{arrow}{}", sorted(names))
}

/// `before` of `ConformanceNames.java`: what has no windows.
fn named(b: &StreamsBuilder, case: &str) -> Option<()> {
    match case {
        "count" => grouped(b).count(Materialized::new()).to_stream().to("out"),
        "count_store" => grouped(b).count("s").to_stream().to("out"),
        "count_after_repartition" => {
            let by_value = b.stream::<Text, Text>("in").group_by(|_, v| v.clone());
            by_value.count(Materialized::new()).to_stream().to("out");
        }
        "aggregate" => {
            let same = |_: &Text, _, all: String| all;
            let table = grouped(b).aggregate(String::new, same, Materialized::new());
            table.to_stream().to("out");
        }
        "reduce" => {
            grouped(b).reduce(|_, new| new, Materialized::new()).to_stream().to("out");
        }
        "table" => b.table::<String, String>("in").to_stream().to("out"),
        "table_store" => {
            b.table::<String, String>("in").materialized("s").to_stream().to("out");
        }
        "table_group_by" => {
            let by_value = b.table::<String, String>("in").group_by(|k, v| (v.clone(), k.clone()));
            by_value.count(Materialized::new()).to_stream().to("out");
        }
        "to_table" => b.stream::<Text, Text>("in").to_table::<String>().to_stream().to("out"),
        "repartition" => b.stream::<Text, Text>("in").repartition(Repartitioned::new()).to("out"),
        "repartition_named" => b.stream::<Text, Text>("in").repartition("r").to("out"),
        "print" => {
            b.stream::<Text, Text>("in").print(Printed::to_stdout());
            b.stream::<Text, Text>("in").named("p").print(Printed::to_stdout());
            b.stream::<Text, Text>("in").to("out");
        }
        "table_to_stream_with_key" => {
            let stream = b.table::<String, String>("in").to_stream_with_key(|_, v| v.cloned());
            stream.group_by_key().count(Materialized::new()).to_stream().to("out");
        }
        "table_to_stream_with_key_named" => {
            let table = b.table::<String, String>("in").named("n");
            let stream = table.to_stream_with_key(|_, v| v.cloned());
            stream.group_by_key().count(Materialized::new()).to_stream().to("out");
        }
        _ if case.starts_with("table_transform_values") => return tables::named(b, case),
        _ => return None,
    }
    Some(())
}

/// `ConformanceRefused.java`: what has no windows.
fn refused(b: &StreamsBuilder, case: &str) -> Option<()> {
    match case {
        "one_name_for_two_stores" => {
            b.stream::<Text, Text>("one").group_by_key().count("s");
            b.stream::<Text, Text>("two").group_by_key().count("s");
        }
        "a_name_with_a_slash" => {
            grouped(b).count("a/b");
        }
        _ => return None,
    }
    Some(())
}
