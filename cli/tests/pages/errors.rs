//! Compares docs/errors.md with the errors in the source: each public error of a published crate has a
//! row with its message. Knows Rust as rustfmt leaves it, and no more of it than that.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::commands::Workspace;

/// What stands in a row for an error that has the message of the one within.
const TRANSPARENT: &str = "the text of the error within";

/// Messages by the heading of their type and by the name of the error.
type Errors = BTreeMap<String, BTreeMap<String, String>>;

/// What is wrong with the page.
pub(crate) fn faults(page: &str, source: &Errors) -> Vec<String> {
    let page = of_page(page);
    let mut faults = Vec::new();
    for (heading, errors) in source {
        for (name, message) in errors {
            match page.get(heading).and_then(|rows| rows.get(name)) {
                Some(row) if row == message => {}
                Some(_) => faults.push(format!("{heading}: `{name}` says now: {message}")),
                None => faults.push(format!("{heading}: missing: | `{name}` | {message} | |")),
            }
        }
    }
    for (heading, rows) in &page {
        let is_there = |name: &&String| source.get(heading).is_some_and(|e| e.contains_key(*name));
        let gone = rows.keys().filter(|name| !is_there(name));
        faults.extend(gone.map(|name| format!("{heading}: there is no `{name}`")));
    }
    faults
}

/// The public errors of all crates that are published.
pub(crate) fn of_workspace(workspace: &Workspace) -> Errors {
    let mut errors = Errors::new();
    for package in workspace.packages().filter(|package| package["publish"].is_null()) {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let name = package["name"].as_str().unwrap();
        collect(&manifest.with_file_name("src"), name, &mut errors);
    }
    errors
}

fn collect(directory: &Path, of_crate: &str, errors: &mut Errors) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, of_crate, errors);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            read(&fs::read_to_string(&path).unwrap(), of_crate, errors);
        }
    }
}

/// Adds the public errors of one file.
pub(crate) fn read(source: &str, of_crate: &str, errors: &mut Errors) {
    let mut of_enum = None;
    let mut message = None;
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        if line.starts_with('}') {
            of_enum = None;
        } else if let Some(rest) = line.strip_prefix("pub enum ") {
            of_enum = Some(word(rest));
        } else if code.starts_with("#[error(") {
            let mut attribute = line.to_owned();
            while !attribute.ends_with(")]") {
                attribute.push('\n');
                attribute.push_str(lines.next().unwrap());
            }
            message = Some(message_of(&attribute));
        } else if !code.starts_with("//")
            && !code.starts_with('#')
            && let Some(message) = message.take()
        {
            let of_struct = line.strip_prefix("pub struct ").map(word);
            if let Some(owner) = of_struct.or(of_enum) {
                let rows = errors.entry(format!("`{owner}` of `{of_crate}`")).or_default();
                rows.insert(of_struct.unwrap_or(word(code)).to_owned(), message);
            }
        }
    }
}

fn word(code: &str) -> &str {
    code.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default()
}

/// The message of an attribute as a row shows it: `…` for a field without a name.
fn message_of(attribute: &str) -> String {
    let Some((_, literal)) = attribute.split_once('"') else { return TRANSPARENT.to_owned() };
    let mut text = String::new();
    let mut chars = literal.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('"', _) => break,
            ('\\', Some('n')) => {
                chars.next();
                text.push(' ');
            }
            ('\\', Some('\n')) => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some(_)) => text.extend(chars.next()),
            _ => text.push(c),
        }
    }
    let mut pieces = text.split('{');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        let (field, rest) = piece.split_once('}').unwrap();
        let name = field.split(':').next().unwrap_or_default();
        let is_name = name.starts_with(|c: char| c.is_alphabetic());
        let shown = if is_name { format!("{{{name}}}") } else { "…".to_owned() };
        text + &shown + rest
    })
}

fn of_page(page: &str) -> Errors {
    let mut errors = Errors::new();
    let mut heading = String::new();
    for line in page.lines() {
        if let Some(text) = line.strip_prefix("### ") {
            text.clone_into(&mut heading);
        } else if let Some((name, rest)) =
            line.strip_prefix("| `").and_then(|row| row.split_once("` | "))
        {
            let message = rest.split(" |").next().unwrap_or_default();
            let rows = errors.entry(heading.clone()).or_default();
            rows.insert(name.to_owned(), message.to_owned());
        }
    }
    errors
}
