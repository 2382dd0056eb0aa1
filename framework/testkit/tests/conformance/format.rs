//! Reads the golden files, whose format the head of `ConformanceCase.java` defines.
//!
//! Knows lines and fields, not topologies. Invariant: a line that the format does not have is refused, so
//! that nothing in a file is passed over.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// One case of a group and a seed.
#[derive(Clone)]
pub(crate) struct Case {
    /// The group: the file's name.
    pub(crate) group: String,
    /// The seed, or `fixed`.
    pub(crate) seed: String,
    /// The topology's name, and with it that of the inputs.
    pub(crate) name: String,
    /// Whether stores have a cache.
    pub(crate) cache: bool,
    /// The output topics, in the order in which they are read.
    pub(crate) outputs: Vec<OutputTopic>,
    /// What follows the line `case`.
    pub(crate) lines: Vec<String>,
}

/// A topic that is read, and how its records are printed.
#[derive(Clone)]
pub(crate) struct OutputTopic {
    /// Its name on the broker.
    pub(crate) name: String,
    /// The form of its keys and values.
    pub(crate) form: Form,
}

/// How keys and values are printed.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// Both as texts.
    Text,
    /// Both as their bytes.
    Hex,
    /// Keys as texts in windows, values as texts.
    Windowed(Windows),
}

/// The windows of a topic's or a store's keys.
#[derive(Clone, Copy)]
pub(crate) enum Windows {
    /// Of so many milliseconds, which the bytes of a key do not say.
    Time(i64),
    /// Sessions.
    Session,
}

impl Case {
    /// How a message names it.
    pub(crate) fn title(&self) -> String {
        let cache = if self.cache { "cache" } else { "no-cache" };
        format!("{}, {} ({cache}), seed {}", self.group, self.name, self.seed)
    }

    /// Whether it says when to commit, and so not after each record.
    pub(crate) fn says_commits(&self) -> bool {
        self.lines.iter().any(|line| line == "commit")
    }

    /// What a line `option` says of the topology.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        let mut options = self.lines.iter().filter_map(|line| line.strip_prefix("option\t"));
        options.find_map(|option| option.strip_prefix(name)?.strip_prefix('\t'))
    }

    /// The same, where it is a time in milliseconds.
    pub(crate) fn duration(&self, option: &str) -> Option<Duration> {
        self.option(option)?.parse().ok().map(Duration::from_millis)
    }

    /// The lines of these kinds, in their order.
    pub(crate) fn lines_of(&self, kinds: &[&str]) -> Vec<String> {
        let kind =
            |line: &&String| line.split('\t').next().is_some_and(|kind| kinds.contains(&kind));
        self.lines.iter().filter(kind).cloned().collect()
    }
}

/// Every case of every file.
pub(crate) fn golden() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/golden");
    ["1", "2", "3", "fixed"].iter().flat_map(|seed| read(&folder.join(seed))).collect()
}

/// The same of the folder of a seed, which has the seed's name.
pub(crate) fn read(folder: &Path) -> Vec<Case> {
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let seed = name(folder);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let of_file = parse(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert!(
            of_file.iter().all(|case| case.group == name(&file) && case.seed == seed),
            "{} holds the group and the seed that its name says",
            file.display()
        );
        cases.extend(of_file);
    }
    cases
}

/// Reads one file: a group.
pub(crate) fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut lines = text.lines().zip(1..);
    let head: Vec<&str> = lines.next().map_or("", |(head, _)| head).split('\t').collect();
    let ["conformance", "1", "4.3.1", group, seed] = head[..] else {
        return Err(format!("the first line is of another format or version: {head:?}"));
    };
    let mut cases: Vec<Case> = Vec::new();
    for (line, number) in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        if fields.len() != fields_of(fields[0]) {
            return Err(format!(
                "line {number} is of an unknown kind, or has other fields: {line}"
            ));
        }
        if fields[0] != "case" {
            let Some(case) = cases.last_mut() else {
                return Err(format!("line {number} stands before the first case: {line}"));
            };
            case.lines.push(line.to_owned());
            continue;
        }
        cases.push(Case {
            group: group.to_owned(),
            seed: seed.to_owned(),
            name: fields[1].to_owned(),
            cache: fields[2] == "cache",
            outputs: fields[3]
                .split(',')
                .filter(|field| !field.is_empty())
                .map(output)
                .collect::<Result<_, _>>()?,
            lines: Vec::new(),
        });
    }
    Ok(cases)
}

/// An output of a line `case`: TOPIC or TOPIC:FORM.
fn output(field: &str) -> Result<OutputTopic, String> {
    let (name, form) = match field.split_once(':') {
        None => (field, Some(Form::Text)),
        Some((name, "hex")) => (name, Some(Form::Hex)),
        Some((name, "session")) => (name, Some(Form::Windowed(Windows::Session))),
        Some((name, form)) => {
            let size_ms = form.strip_prefix("time=").and_then(|size| size.parse().ok());
            (name, size_ms.map(|size_ms| Form::Windowed(Windows::Time(size_ms))))
        }
    };
    let form = form.ok_or_else(|| format!("an output of an unknown form: {field}"))?;
    Ok(OutputTopic { name: name.to_owned(), form })
}

/// How many fields a line of this kind has, the kind included; 0 for a kind that is unknown.
fn fields_of(kind: &str) -> usize {
    match kind {
        "built" | "commit" => 1,
        "describe" | "dropped" | "wall" => 2,
        "error" | "option" | "refused" => 3,
        "case" | "topic" => 4,
        "store" => 5,
        "in" | "out" => 6,
        _ => 0,
    }
}

/// A field that may be null.
pub(crate) fn text(field: &str) -> Option<String> {
    (field != "\\N").then(|| field.to_owned())
}

/// How a text that may be null is printed.
pub(crate) fn untext(value: Option<&str>) -> &str {
    value.unwrap_or("\\N")
}

#[test]
fn a_line_that_the_format_does_not_have_is_refused() {
    let head = "conformance\t1\t4.3.1\tg\t1\ncase\tc\tcache\tout\n";
    assert_eq!(parse(&format!("{head}in\tin\ta\tb\t1\t\n")).unwrap()[0].lines.len(), 1);
    for line in ["in\tin\ta\tb\t1", "noticed\ta"] {
        assert!(parse(&format!("{head}{line}\n")).is_err(), "{line}");
    }
    assert!(parse("conformance\t2\t4.3.1\tg\t1\n").is_err());
    for output in ["out:time=x", "out:window"] {
        let head = head.replace("out", output);
        assert!(parse(&head).is_err(), "{output}");
    }
}
