//! A pattern of topics, from Rust's syntax to the POSIX syntax that librdkafka's subscriptions
//! take. The two would read `\d` or `(?:..)` differently, and one of them silently.
//!
//! Invariant: for every legal topic name both patterns give the same answer. That is why a class
//! becomes the list of the characters in it that a topic name can have.

use oncestream_core::error::TopologyError;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// What topic names are made of; `-` stands last, as a bracket wants it.
const LEGAL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
/// Stands for everything that no topic name contains.
const NEVER: char = '/';

/// The pattern as an extended POSIX regular expression that matches whole names.
///
/// # Errors
/// [`TopologyError::InvalidPattern`] for what POSIX cannot say: word boundaries.
pub(crate) fn to_posix(pattern: &str) -> Result<String, TopologyError> {
    let invalid =
        |message: String| TopologyError::InvalidPattern { pattern: pattern.to_owned(), message };
    let hir = regex_syntax::parse(pattern).map_err(|e| invalid(e.to_string()))?;
    let mut out = String::from("^(");
    write(&hir, &mut out)
        .map_err(|look| invalid(format!("{look:?} is not supported in a pattern of topics")))?;
    out.push_str(")$");
    Ok(out)
}

fn write(hir: &Hir, out: &mut String) -> Result<(), Look> {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => {
            for byte in &literal.0 {
                write_any_of(|c| c == char::from(*byte), out);
            }
        }
        HirKind::Class(Class::Unicode(class)) => {
            write_any_of(|c| class.iter().any(|r| (r.start()..=r.end()).contains(&c)), out);
        }
        HirKind::Class(Class::Bytes(class)) => {
            let within = |c: char| class.iter().any(|r| (r.start()..=r.end()).contains(&(c as u8)));
            write_any_of(within, out);
        }
        HirKind::Look(Look::Start | Look::StartLF | Look::StartCRLF) => out.push('^'),
        HirKind::Look(Look::End | Look::EndLF | Look::EndCRLF) => out.push('$'),
        HirKind::Look(look) => return Err(*look),
        HirKind::Repetition(repetition) => {
            write_group(std::slice::from_ref(&*repetition.sub), out)?;
            out.push_str(&count(repetition));
        }
        HirKind::Capture(capture) => write_group(std::slice::from_ref(&*capture.sub), out)?,
        HirKind::Concat(parts) => {
            for part in parts {
                write(part, out)?;
            }
        }
        HirKind::Alternation(branches) => write_group(branches, out)?,
    }
    Ok(())
}

fn write_group(branches: &[Hir], out: &mut String) -> Result<(), Look> {
    out.push('(');
    for (at, branch) in branches.iter().enumerate() {
        if at > 0 {
            out.push('|');
        }
        write(branch, out)?;
    }
    out.push(')');
    Ok(())
}

fn write_any_of(wanted: impl Fn(char) -> bool, out: &mut String) {
    let chars: String = LEGAL.chars().filter(|c| wanted(*c)).collect();
    match chars.as_str() {
        "" => out.push(NEVER),
        one if one.len() == 1 && one != "." => out.push_str(one),
        several => {
            out.push('[');
            out.push_str(several);
            out.push(']');
        }
    }
}

fn count(repetition: &Repetition) -> String {
    match (repetition.min, repetition.max) {
        (0, None) => "*".to_owned(),
        (1, None) => "+".to_owned(),
        (0, Some(1)) => "?".to_owned(),
        (min, None) => format!("{{{min},}}"),
        (min, Some(max)) => format!("{{{min},{max}}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What POSIX allows of the output means the same in Rust's syntax, which judges both here.
    #[test]
    fn both_syntaxes_match_the_same_names() {
        let patterns = [
            r"in-\d+",
            r"(?:a|b)+",
            r".*",
            r"a.c",
            r"a\.c",
            r"[^a]*",
            r"(?i)ABC",
            r"\w{2,3}",
            r"(a|)",
            r"^x-.*$",
            r"a{3}",
            r"b{2,}",
            r"a?b*?",
            r"\p{Greek}|z",
            r"[[:alpha:]]-",
            "é",
        ];
        let names = [
            "in-1", "in-22", "in-x", "in-", "a", "b", "ab", "abc", "ABC", "a.c", "a-c", "aaa",
            "bb", "bbb", "x-", "x-y", "z", "_", "-", ".", "d", "q-", "9-",
        ];
        for pattern in patterns {
            let posix = to_posix(pattern).unwrap();
            assert!(!posix.contains('\\') && !posix.contains("(?"), "{posix}");
            let whole = |p: &str| regex::Regex::new(p).unwrap();
            let (ours, theirs) = (whole(&format!("^(?:{pattern})$")), whole(&posix));
            for name in names {
                assert_eq!(ours.is_match(name), theirs.is_match(name), "{pattern} {posix} {name}");
            }
        }
    }

    #[test]
    fn a_word_boundary_is_refused_by_name() {
        let error = to_posix(r"\bin").unwrap_err().to_string();
        assert!(error.contains(r"`\bin`") && error.contains("Word"), "{error}");
    }
}
