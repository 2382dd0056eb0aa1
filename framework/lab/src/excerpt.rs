//! Pieces of the lab's own source, shown as the code that runs.

/// The lines of `source` between `// [name]` and the next `// [end]`, moved to the left. Empty if
/// there is no such piece.
pub(crate) fn excerpt(source: &str, name: &str) -> String {
    let begin = format!("// [{name}]");
    let lines = source.lines().skip_while(|line| line.trim() != begin).skip(1);
    let lines: Vec<_> = lines.take_while(|line| line.trim() != "// [end]").collect();
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let least = lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    let moved = lines.iter().map(|line| line.get(least..).unwrap_or_default());
    moved.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workers::{topology, transfer};

    #[test]
    fn a_piece_is_what_stands_between_its_markers() {
        let source = "a\n    // [one]\n    b {\n\n        c\n    }\n    // [end]\nd\n// [end]";
        assert_eq!(excerpt(source, "one"), "b {\n\n    c\n}");
        assert_eq!(excerpt(source, "two"), "");
    }

    #[test]
    fn the_loop_and_the_five_lines_of_the_topology_are_there() {
        assert!(excerpt(transfer::SOURCE, "loop").contains("commit_transaction"));
        assert_eq!(excerpt(topology::SOURCE, "topology").lines().count(), 5);
    }
}
