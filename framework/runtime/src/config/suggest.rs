//! The nearest known name to one that was mistyped. Pure; knows nothing of what the names mean.

/// The candidate nearest to `given`, if any is near enough to be what was meant: at most
/// `limit` edits away. The first of equals wins.
pub(super) fn nearest<'a>(
    given: &str,
    candidates: impl Iterator<Item = &'a str>,
    limit: usize,
) -> Option<&'a str> {
    candidates
        .map(|candidate| (distance(given, candidate), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Damerau-Levenshtein distance (optimal string alignment): insertions, deletions,
/// substitutions and swaps of neighbours, one edit each.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let substituted = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substituted.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_each_kind_of_edit_once() {
        for (a, b, edits) in [
            ("poll.ms", "poll.ms", 0),
            ("poll.ms", "pol.ms", 1),
            ("poll.ms", "polll.ms", 1),
            ("poll.ms", "pull.ms", 1),
            ("poll.ms", "plol.ms", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} -> {b}");
            assert_eq!(distance(b, a), edits, "{b} -> {a}");
        }
    }

    #[test]
    fn nearest_is_none_when_nothing_is_near() {
        assert_eq!(nearest("abc", ["abd", "abc"].into_iter(), 2), Some("abc"));
        assert_eq!(nearest("abc", ["vwxyz"].into_iter(), 2), None);
    }
}
