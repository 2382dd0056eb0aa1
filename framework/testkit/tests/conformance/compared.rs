//! How the lines of a case are compared with those that come here.
//!
//! Knows lines; neither topologies nor the driver. Invariant: what no exception names is compared as it is,
//! with its order.

use std::collections::BTreeSet;

use crate::format::Case;

/// What is not compared.
#[derive(Clone, Copy)]
pub(crate) enum Except {
    /// The answers to this command.
    AnswersTo(&'static str),
    /// What stores hold.
    Stores,
    /// In this topic, times, and what is overwritten at once: of the records of a key that one input leads
    /// to, all but the last.
    OverwrittenIn(&'static str),
    /// How many records were dropped.
    Dropped,
    /// What comes out in the topic of this name, and what the store of this name holds.
    About(&'static str),
    /// In this topic, the records of this key.
    KeyIn(&'static str, &'static str),
    /// In this topic, since when a session lasts, and its value.
    BeginningsIn(&'static str),
    /// In this topic, deletions of keys that it does not have.
    DeletedUnseen(&'static str),
    /// In this topic, times, and the order of what one input leads to.
    OrderIn(&'static str),
    /// Headers that come here where none are expected.
    LostHeaders,
    /// In this topic, headers.
    HeadersIn(&'static str),
    /// The same output a second time, one behind the other.
    Repeated,
    /// What stores hold, and what comes out here beside what is expected.
    More,
    /// Results of a join without a partner, and what waits for one.
    Alone,
}

impl Except {
    /// What is left of the lines that are expected, and of those that come.
    pub(crate) fn apply(
        self,
        mut expected: Vec<String>,
        mut actual: Vec<String>,
    ) -> (Vec<String>, Vec<String>) {
        let is_of_no_store = |line: &String| !line.starts_with("store\t");
        match self {
            Self::AnswersTo(command) => {
                let is_another = |line: &String| {
                    let value = line.strip_prefix("out\t").and_then(|rest| rest.split('\t').nth(2));
                    !value.is_some_and(|value| value.starts_with(command))
                };
                expected.retain(is_another);
                actual.retain(is_another);
            }
            Self::Stores => {
                expected.retain(is_of_no_store);
                actual.retain(is_of_no_store);
            }
            Self::Dropped => {
                let is_another = |line: &String| !line.starts_with("dropped\t");
                expected.retain(is_another);
                actual.retain(is_another);
            }
            Self::About(name) => {
                let is_another = |line: &String| {
                    let mut fields = line.split('\t');
                    let is_told = matches!(fields.next(), Some("out" | "store"));
                    !(is_told && fields.next() == Some(name))
                };
                expected.retain(is_another);
                actual.retain(is_another);
            }
            Self::KeyIn(topic, key) => {
                let output = format!("out\t{topic}\t{key}\t");
                expected.retain(|line| !line.starts_with(&output));
                actual.retain(|line| !line.starts_with(&output));
            }
            Self::BeginningsIn(topic) => {
                expected = without_beginnings(&expected, topic);
                actual = without_beginnings(&actual, topic);
            }
            Self::DeletedUnseen(topic) => expected = without_unseen(expected, topic),
            Self::OrderIn(topic) => {
                expected = in_any_order(&expected, topic);
                actual = in_any_order(&actual, topic);
            }
            Self::LostHeaders => {
                for (expected, actual) in expected.iter().zip(&mut actual) {
                    if expected.starts_with("out\t") && expected.ends_with('\t') {
                        actual.truncate(actual.rfind('\t').map_or(0, |at| at + 1));
                    }
                }
            }
            Self::HeadersIn(topic) => {
                let begin = format!("out\t{topic}\t");
                let lines = expected.iter_mut().chain(&mut actual);
                for line in lines.filter(|line| line.starts_with(&begin)) {
                    line.truncate(line.rfind('\t').map_or(0, |at| at + 1));
                }
            }
            Self::Repeated => expected.dedup_by(|a, b| a == b && a.starts_with("out\t")),
            Self::OverwrittenIn(topic) => {
                expected = last_of_each_key(&expected, topic);
                actual = last_of_each_key(&actual, topic);
            }
            Self::Alone => {
                expected.retain(|line| !is_alone(line));
                actual.retain(|line| !is_alone(line));
            }
            Self::More => {
                expected.retain(is_of_no_store);
                actual.retain(is_of_no_store);
                let mut next = expected.iter().peekable();
                actual.retain(|line| {
                    next.next_if(|next| *next == line).is_some() || !line.starts_with("out\t")
                });
            }
        }
        (expected, actual)
    }
}

/// Whether a line tells of a result with one side, `left+-` or `-+right`, or of a record that waits. A null
/// does not tell its sides: it may be either.
fn is_alone(line: &str) -> bool {
    let mut fields = line.split('\t');
    match (fields.next(), fields.next(), fields.nth(1)) {
        (Some("out"), _, Some(value)) => {
            value.ends_with("+-") || value.starts_with("-+") || value == "\\N"
        }
        (Some("store"), Some(store), _) => store.contains("-shared-join-store"),
        _ => false,
    }
}

fn without_beginnings(lines: &[String], topic: &str) -> Vec<String> {
    let line = |line: &String| {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["out", of, session, _, time, headers] if of == topic => {
                let (key, end) = (session.split('@').next(), session.split('/').next_back());
                format!("out\t{of}\t{key:?} {end:?}\t\t{time}\t{headers}")
            }
            _ => line.clone(),
        }
    };
    lines.iter().map(line).collect()
}

fn without_unseen(mut lines: Vec<String>, topic: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    lines.retain(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["out", of, key, "\\N", ..] if of == topic => seen.remove(key),
            ["out", of, key, ..] if of == topic => {
                seen.insert(key.to_owned());
                true
            }
            _ => true,
        }
    });
    lines
}

fn in_any_order(lines: &[String], topic: &str) -> Vec<String> {
    let mut lines = last_of_each_key(lines, topic);
    for outputs in lines.chunk_by_mut(|one, two| is_in(topic, one) && is_in(topic, two)) {
        outputs.sort();
    }
    lines
}

/// Whether a line is an output in this topic.
fn is_in(topic: &str, line: &str) -> bool {
    line.strip_prefix("out\t").is_some_and(|rest| rest.split('\t').next() == Some(topic))
}

fn last_of_each_key(lines: &[String], topic: &str) -> Vec<String> {
    let (mut later, mut kept) = (BTreeSet::new(), Vec::new());
    for line in lines.iter().rev() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["out", of, key, value, _, headers] if of == topic => {
                if later.insert(key) {
                    kept.push(format!("out\t{of}\t{key}\t{value}\t\t{headers}"));
                }
            }
            ["out", ..] => kept.push(line.clone()),
            _ => {
                later.clear();
                kept.push(line.clone());
            }
        }
    }
    kept.reverse();
    kept
}

/// The first line that differs, with the input before it.
pub(crate) fn first_difference(
    case: &Case,
    expected: &[String],
    actual: &[String],
) -> Option<String> {
    let longer = expected.len().max(actual.len());
    let at = (0..longer).find(|at| expected.get(*at) != actual.get(*at))?;
    let input = expected.iter().take(at).rfind(|line| line.starts_with("in\t"));
    let (expected, actual) = (expected.get(at), actual.get(at));
    Some(format!("{}: after {input:?} expected {expected:?}, got {actual:?}", case.title()))
}

#[test]
fn an_exception_leaves_out_what_it_names_and_nothing_else() {
    fn is_same(except: Except, expected: &[&str], actual: &[&str]) -> bool {
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let (expected, actual) = except.apply(owned(expected), owned(actual));
        expected == actual
    }
    let (one, two) = ("out\tt\ta\t1\t7\t", "out\tt\ta\t2\t7\t");
    let (later, other) = ("out\tt\ta\t2\t8\t", "out\tu\ta\t1\t7\t");
    let (input, row) = ("in\ti\ta\tv\t7\t", "store\ts\ta\t1\t7");

    let overwritten = Except::OverwrittenIn("t");
    assert!(is_same(overwritten, &[input, one, other, two], &[input, other, two]));
    assert!(is_same(overwritten, &[input, two], &[input, later]), "a time there");
    assert!(!is_same(overwritten, &[input, one, two], &[input, one]), "the last one counts");
    assert!(!is_same(overwritten, &[one, input, two], &[input, two]), "another input");
    assert!(!is_same(overwritten, &[other, other], &[other]), "another topic");

    assert!(is_same(Except::More, &[input, two], &[input, one, two, other, row]));
    assert!(!is_same(Except::More, &[input, one, two], &[input, two]), "one is missing");
    assert!(!is_same(Except::More, &[input, one, input], &[input, input, one]), "a later input");
    assert!(!is_same(Except::More, &[one, two], &[two, one]), "another order");

    let with_headers = "out\tt\ta\t1\t7\th=1";
    assert!(is_same(Except::LostHeaders, &[one], &[with_headers]));
    assert!(is_same(Except::HeadersIn("t"), &[with_headers, other], &[one, other]));
    assert!(!is_same(Except::HeadersIn("t"), &[with_headers], &[two]), "another value");
    assert!(!is_same(Except::HeadersIn("o"), &[with_headers], &[one]), "another topic");
    assert!(is_same(Except::About("t"), &[one, other], &[other, two]));
    assert!(!is_same(Except::About("t"), &[one, other], &[one, row]));
    let (joined, alone) = ("out\tt\t[a@1/5]\tvw\t5\t", "out\tt\t[a@5/5]\tw\t5\t");
    assert!(is_same(Except::BeginningsIn("t"), &[joined], &[alone]));
    assert!(!is_same(Except::BeginningsIn("t"), &[joined], &["out\tt\t[a@5/6]\tw\t6\t"]));
    let (unseen, gone) = ("out\tt\tb\t\\N\t7\t", "out\tt\ta\t\\N\t7\t");
    assert!(is_same(Except::DeletedUnseen("t"), &[unseen, one, gone, gone], &[one, gone]));
    assert!(!is_same(Except::DeletedUnseen("t"), &[one, gone], &[one]));
    let (key, next) = ("out\tt\tb\t1\t7\t", "out\tt\tb\t1\t9\t");
    assert!(is_same(Except::OrderIn("t"), &[input, one, key], &[input, next, one]));
    assert!(!is_same(Except::OrderIn("t"), &[one, input, key], &[key, input, one]));
    assert!(!is_same(Except::OrderIn("t"), &[one, key], &[two, key]));
    assert!(!is_same(Except::LostHeaders, &[with_headers], &[one]));
    assert!(!is_same(Except::LostHeaders, &[two], &[with_headers]), "another value");
    assert!(is_same(Except::Repeated, &[input, one, one, two], &[input, one, two]));
    assert!(!is_same(Except::Repeated, &[input, input], &[input]));
    assert!(!is_same(Except::Repeated, &[one, two, one], &[one, two]));
    assert!(is_same(Except::Dropped, &[one, "dropped\t1"], &[one, "dropped\t2"]));
    assert!(!is_same(Except::Dropped, &[one, "dropped\t1"], &[two, "dropped\t1"]));

    let (alone, both) = ("out\tt\ta\tb+-\t7\t", "out\tt\ta\tb+c\t7\t");
    assert!(is_same(Except::Alone, &[alone, both], &[both]));
    assert!(is_same(Except::Alone, &[both], &["out\tt\ta\t-+c\t7\t", both]));
    assert!(is_same(Except::Alone, &[both], &["out\tt\ta\t\\N\t7\t", both]));
    assert!(is_same(Except::Alone, &[], &["store\tj-left-shared-join-store\ta\tb\t7"]));
    assert!(!is_same(Except::Alone, &[both], &[]) && !is_same(Except::Alone, &[row], &[]));

    assert!(is_same(Except::Stores, &[one, row], &[one]));
    assert!(!is_same(Except::Stores, &[one, row], &[two, row]));
    assert!(is_same(Except::AnswersTo("1"), &[one, input], &[input]));
    assert!(!is_same(Except::AnswersTo("1"), &[two, input], &[input]));
}
