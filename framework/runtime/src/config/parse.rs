//! From texts to keys and values: Java `.properties`, TOML, environment variables.
//!
//! Knows the three syntaxes and no key. Pure: files and the environment are read by the builder.
//! Invariant: an error names a line or a key, never a value, since any value may be a secret.

use std::iter::Peekable;

/// Keys and values in the order they were given.
pub(super) type Pairs = Vec<Pair>;

/// A key and its value.
pub(super) struct Pair {
    /// The first line of it, counted from 1, where the format has lines.
    pub(super) line: Option<usize>,
    pub(super) key: String,
    pub(super) value: String,
}

/// What some editors begin a file with.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of a file: UTF-8, or else ISO 8859-1, which every sequence of bytes is.
pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect())
}

/// Reads Java `.properties` syntax, as `java.util.Properties.load` does: comments begin with
/// `#` or `!`; a key ends at `=`, `:` or white space; a backslash continues a line, escapes a
/// character, or begins `\uXXXX`.
///
/// # Errors
/// A malformed `\uXXXX`.
pub(super) fn properties(text: &str) -> Result<Pairs, ConfigError> {
    let text = text.trim_start_matches(BYTE_ORDER_MARK).replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = text.lines().zip(1..).peekable();
    let mut pairs = Pairs::new();
    while let Some((first, line)) = lines.next() {
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let logical = join_continued(first, &mut lines);
        let (key, value) = split_pair(&logical);
        let unescaped = |part| {
            unescape(part).ok_or_else(|| ConfigError::Syntax {
                format: "properties",
                line,
                reason: "`\\u` needs four hexadecimal digits that make a character".to_owned(),
            })
        };
        pairs.push(Pair { line: Some(line), key: unescaped(key)?, value: unescaped(value)? });
    }
    Ok(pairs)
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// The line with those that continue it.
fn join_continued<'a>(
    first: &'a str,
    rest: &mut Peekable<impl Iterator<Item = (&'a str, usize)>>,
) -> String {
    let mut joined = first.to_owned();
    // An even number of backslashes at the end are escaped backslashes.
    while joined.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1 {
        joined.pop();
        let Some((next, _)) = rest.next() else { break };
        joined.push_str(next.trim_start_matches(is_blank));
    }
    joined
}

/// Splits at the first unescaped `=`, `:` or white space; one `=` or `:` may stand within the
/// white space.
fn split_pair(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (matches!(c, '=' | ':') || is_blank(c));
        escaped = c == '\\' && !escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(is_blank))
}

/// Resolves escapes; `None` for a malformed `\uXXXX`. Characters beyond 16 bits are two escapes,
/// as Java writes them.
fn unescape(part: &str) -> Option<String> {
    let mut out = String::with_capacity(part.len());
    let mut units: Vec<u16> = Vec::new();
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        let escape = if c == '\\' { chars.next() } else { None };
        if escape == Some('u') {
            units.push(unicode_unit(&mut chars)?);
            continue;
        }
        out.push_str(&String::from_utf16(&units).ok()?);
        units.clear();
        match (c, escape) {
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('f')) => out.push('\u{c}'),
            ('\\', Some(other)) => out.push(other),
            ('\\', None) => {}
            (plain, _) => out.push(plain),
        }
    }
    out.push_str(&String::from_utf16(&units).ok()?);
    Some(out)
}

fn unicode_unit(chars: &mut impl Iterator<Item = char>) -> Option<u16> {
    let digits: String = chars.take(4).collect();
    let complete = digits.len() == 4 && digits.chars().all(|c| c.is_ascii_hexdigit());
    complete.then(|| u16::from_str_radix(&digits, 16).ok()).flatten()
}

/// Reads TOML: keys may be quoted (`"commit.interval.ms" = 100`), dotted or nested tables. An
/// array of texts is a list with commas.
///
/// # Errors
/// Text that is not TOML, a value that no key takes, a key given twice in two forms.
pub(super) fn toml(text: &str) -> Result<Pairs, ConfigError> {
    let text = text.trim_start_matches(BYTE_ORDER_MARK);
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or_default();
        ConfigError::Syntax {
            format: "TOML",
            line: before.matches('\n').count() + 1,
            // The message alone: its `Display` would quote the line, and with it a secret.
            reason: error.message().to_owned(),
        }
    })?;
    let mut pairs = Pairs::new();
    flatten("", &table, &mut pairs)?;
    Ok(pairs)
}

fn flatten(prefix: &str, table: &toml::Table, pairs: &mut Pairs) -> Result<(), ConfigError> {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if let toml::Value::Table(inner) = value {
            flatten(&key, inner, pairs)?;
            continue;
        }
        let Some(value) = scalar(value) else {
            return Err(ConfigError::Invalid {
                key,
                value: value.type_str().to_owned(),
                allowed: "a string, a number, a boolean or an array of these".to_owned(),
            });
        };
        if pairs.iter().any(|earlier| earlier.key == key) {
            return Err(ConfigError::Duplicate { key });
        }
        pairs.push(Pair { line: None, key, value });
    }
    Ok(())
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            items.map(|items| items.join(","))
        }
        toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// The key an environment variable stands for: `ONCESTREAM_STATE_DIR` for `state.dir`; `None`
/// for variables of others.
pub(super) fn variable(name: &str) -> Option<String> {
    let key = name.strip_prefix("ONCESTREAM_")?;
    Some(key.to_ascii_lowercase().replace('_', "."))
}

/// Whether the key is how an orchestrator tells where a service is, in variables that begin with the
/// service's name: `..._SERVICE_HOST`, `..._PORT`, `..._PORT_8080_TCP_ADDR`. No key looks like it.
pub(super) fn is_of_a_service(key: &str) -> bool {
    let parts: Vec<&str> = key.split('.').collect();
    let is_number = |part: &str| part.parse::<u16>().is_ok();
    match parts.as_slice() {
        [.., "service", "host"] | [.., "port"] => true,
        [.., "port", number, "tcp" | "udp" | "sctp"]
        | [.., "port", number, "tcp" | "udp" | "sctp", "addr" | "proto"] => is_number(number),
        // A port with a name.
        parts => parts.windows(2).any(|two| two == ["service", "port"]),
    }
}
use oncestream_engine::ConfigError;
