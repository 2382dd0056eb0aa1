//! Says what is wrong with a command of a page: a package, a target, a feature, a subcommand or a flag
//! that is not there.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// The packages of the workspace.
pub(crate) struct Workspace {
    packages: BTreeMap<String, Value>,
}

impl Workspace {
    pub(crate) fn load() -> Self {
        let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
        let output = Command::new(env!("CARGO")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let packages = metadata["packages"].as_array().unwrap().iter();
        let named =
            packages.map(|package| (package["name"].as_str().unwrap().to_owned(), package.clone()));
        Self { packages: named.collect() }
    }

    pub(crate) fn packages(&self) -> impl Iterator<Item = &Value> {
        self.packages.values()
    }

    /// What is wrong with a command for cargo.
    pub(crate) fn faults(&self, command: &str) -> Vec<String> {
        let words = command.split_whitespace().skip_while(|word| *word != "cargo").skip(1);
        let words: Vec<&str> = words.collect();
        let end = words.iter().position(|word| *word == "--").unwrap_or(words.len());
        let (cargo, program) = words.split_at(end);
        let value_of = |flags: &[&str]| {
            let at = cargo.iter().position(|word| flags.contains(word))?;
            Some(*cargo.get(at + 1).unwrap_or(&""))
        };

        let mut faults = Vec::new();
        let named = value_of(&["-p", "--package"]);
        let package = named.unwrap_or("oncestream");
        let Some(data) = self.packages.get(package) else {
            return vec![format!("no package `{package}`")];
        };
        // Without a package, cargo looks at the root's or, if told so, at all.
        let of_all = named.is_none() && cargo.contains(&"--workspace");
        let searched: Vec<&Value> =
            if of_all { self.packages.values().collect() } else { vec![data] };
        for kind in ["bin", "example", "test", "bench"] {
            let Some(name) = value_of(&[&format!("--{kind}")]) else { continue };
            if !searched.iter().any(|package| has_target(package, kind, name)) {
                faults.push(format!("no {kind} `{name}` in {package}"));
            }
        }
        for feature in value_of(&["--features"]).into_iter().flat_map(|list| list.split(',')) {
            let (owner, feature) = feature.split_once('/').unwrap_or((package, feature));
            let is_there =
                self.packages.get(owner).is_some_and(|p| !p["features"][feature].is_null());
            if !is_there {
                faults.push(format!("no feature `{feature}` in {owner}"));
            }
        }
        if package == "oncestream-cli" && cargo.first() == Some(&"run") {
            faults.extend(faults_of_subcommand(program.get(1..).unwrap_or_default()));
        }
        faults
    }
}

fn has_target(package: &Value, kind: &str, name: &str) -> bool {
    let targets = package["targets"].as_array().unwrap();
    targets.iter().any(|target| target["name"] == name && target["kind"][0] == kind)
}

fn help_of(subcommands: &[&str]) -> Option<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oncestream"));
    let output = command.args(subcommands).arg("--help").output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Held against what the program itself says in its help.
fn faults_of_subcommand(arguments: &[&str]) -> Vec<String> {
    let Some((subcommand, flags)) = arguments.split_first() else { return Vec::new() };
    let Some(mut help) = help_of(&[subcommand]) else {
        return vec![format!("no subcommand `{subcommand}`")];
    };
    // It may have subcommands of its own.
    if let Some(next) = flags.first().filter(|word| !word.starts_with('-')) {
        help.push_str(&help_of(&[subcommand, next]).unwrap_or_default());
    }
    let known: Vec<&str> = help.split(|c: char| c.is_whitespace() || "[],=".contains(c)).collect();
    let flags = flags.iter().filter(|word| word.starts_with("--"));
    let names = flags.map(|flag| flag.split('=').next().unwrap_or_default());
    names
        .filter(|name| !known.contains(name))
        .map(|name| format!("`{subcommand}` has no flag `{name}`"))
        .collect()
}
