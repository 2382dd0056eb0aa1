//! The README and the other pages say what is there: links lead somewhere, commands name targets and
//! flags that exist, configurations are taken. Pages about the code name files and tests that exist.
//! What the manifests of published crates say is held here too. Blocks of Rust are compiled as tests of
//! `oncestream`'s documentation (`src/pages.rs`).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod commands;
mod errors;
mod page;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use oncestream_runtime::config::{ConfigError, StreamsConfigBuilder};

use commands::Workspace;
use page::{Block, Page};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What is wrong with all pages, each fault with its page.
fn faults(faults_of: impl Fn(&Page) -> Vec<String>) -> String {
    let pages = Page::all(&root());
    assert!(pages.len() > 10, "the pages are not found");
    let of_page = |page: &Page| -> Vec<String> {
        let name = page.path.strip_prefix(root()).unwrap_or(&page.path).display().to_string();
        faults_of(page).iter().map(|fault| format!("{name}: {fault}\n")).collect()
    };
    pages.iter().flat_map(of_page).collect()
}

fn faults_of_links(page: &Page) -> Vec<String> {
    let mut faults = Vec::new();
    for link in page.links().iter().filter(|link| !link.contains("://")) {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let path = page.path.parent().unwrap().join(file);
        if !path.exists() {
            faults.push(format!("the link `{link}` leads nowhere"));
            continue;
        }
        let anchors = match file {
            "" => page.anchors(),
            _ => Page::new(&path, &fs::read_to_string(&path).unwrap_or_default()).anchors(),
        };
        if !anchor.is_empty() && !anchors.iter().any(|known| known == anchor) {
            faults.push(format!("the link `{link}` has no such heading"));
        }
    }
    faults
}

fn faults_of_commands(page: &Page, workspace: &Workspace) -> Vec<String> {
    let faults = |command: &String| {
        let faults = workspace.faults(command).into_iter();
        faults.map(|fault| format!("`{command}`: {fault}")).collect::<Vec<_>>()
    };
    page.commands().iter().flat_map(faults).collect()
}

/// What is wrong with a block of settings; a build without TLS has no fault in that.
fn faults_of_settings(block: &Block) -> Vec<String> {
    let builder = StreamsConfigBuilder::new();
    let read = match block.language.as_str() {
        "properties" => builder.properties(&block.text),
        "toml" if !block.text.contains("version =") => builder.toml(&block.text),
        _ => return Vec::new(),
    };
    let errors = match read.and_then(StreamsConfigBuilder::build) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Several(errors)) => errors,
        Err(error) => vec![error],
    };
    // A block need not be all of a configuration.
    let is_fault = |error: &ConfigError| {
        let text = error.to_string();
        !matches!(error, ConfigError::Missing { .. }) && !text.contains("was built without it")
    };
    errors.into_iter().filter(is_fault).map(|error| error.to_string()).collect()
}

/// The pages about the code.
const OF_THE_CODE: [&str; 4] =
    ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/formats.md", "docs/invariants.md"];

fn faults_of_places(page: &Page) -> Vec<String> {
    let mut faults = Vec::new();
    for place in page.places() {
        let (file, test) = place.split_once("::").unwrap_or((&place, ""));
        match source(file) {
            None => faults.push(format!("there is no file `{file}`")),
            Some(source) if !test.is_empty() && !source.contains(&format!("fn {test}(")) => {
                faults.push(format!("there is no test `{test}` in `{file}`"));
            }
            Some(_) => {}
        }
    }
    faults
}

/// The text of a file, named from the root, or by its crate if that is below `framework`.
fn source(file: &str) -> Option<String> {
    let (folder, rest) = file.split_once('/')?;
    let short = Path::new("framework").join(folder).join("src").join(rest);
    let paths = [root().join(file), root().join(short)];
    paths.iter().find_map(|path| fs::read_to_string(path).ok())
}

#[test]
fn files_and_tests_that_pages_about_the_code_name_exist() {
    let of_page = |page: &Page| {
        let name = page.path.strip_prefix(root()).unwrap().display().to_string();
        if OF_THE_CODE.contains(&name.as_str()) { faults_of_places(page) } else { Vec::new() }
    };
    assert_eq!(faults(of_page), "");
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    assert_eq!(faults(faults_of_links), "");
}

#[test]
fn commands_name_targets_features_and_flags_that_exist() {
    let workspace = Workspace::load();
    assert_eq!(faults(|page| faults_of_commands(page, &workspace)), "");
}

#[test]
fn settings_on_pages_are_taken() {
    let of_page = |page: &Page| page.blocks().iter().flat_map(faults_of_settings).collect();
    assert_eq!(faults(of_page), "");
}

#[test]
fn blocks_of_rust_are_compiled() {
    let compiled = fs::read_to_string(root().join("src/pages.rs")).unwrap();
    let of_page = |page: &Page| {
        let has_rust = page.blocks().iter().any(|block| block.language.starts_with("rust"));
        let name = page.path.strip_prefix(root()).unwrap().display().to_string();
        let is_compiled = compiled.contains(&format!("\"../{name}\""));
        let fault = "has Rust, and is not in src/pages.rs".to_owned();
        (has_rust && !is_compiled).then_some(fault).into_iter().collect()
    };
    assert_eq!(faults(of_page), "");
}

#[test]
fn every_error_has_a_row_with_its_message() {
    let page = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let source = errors::of_workspace(&Workspace::load());
    assert!(source.len() > 15 && source.contains_key("`StreamsError` of `oncestream-engine`"));
    assert_eq!(errors::faults(&page, &source).join("\n"), "");
}

/// The control of the above: errors of each form, and a page that lacks one, has another's words and one
/// that is gone.
#[test]
fn a_row_that_is_missing_stale_or_too_many_is_found_out() {
    let source = r#"
/// What may fail.
#[derive(Debug, thiserror::Error)]
pub enum AnError {
    /// With fields.
    #[error("cannot read {path:?}: {}; \
             try \"again\"", reason)]
    Read {
        path: PathBuf,
    },
    #[error("it changed")]
    Changed,
    #[error(transparent)]
    Inner(#[from] Other),
    #[error(
        "a {word}"
    )]
    Missing { word: String },
}

#[error("alone")]
pub struct Alone;

#[error("nobody outside sees it")]
struct Private;
"#;
    let page = "\
### `AnError` of `a-crate`
| error | message | more |
|---|---|---|
| `Read` | cannot read {path}: …; try \"again\" | |
| `Changed` | it was | Why. |
| `Inner` | the text of the error within | |
| `Gone` | gone | |
";
    let mut errors = BTreeMap::new();
    errors::read(source, "a-crate", &mut errors);
    let expected = [
        "`Alone` of `a-crate`: missing: | `Alone` | alone | |",
        "`AnError` of `a-crate`: `Changed` says now: it changed",
        "`AnError` of `a-crate`: missing: | `Missing` | a {word} | |",
        "`AnError` of `a-crate`: there is no `Gone`",
    ];
    assert_eq!(errors::faults(page, &errors), expected);
}

#[test]
fn every_block_says_its_language() {
    let of_page = |page: &Page| {
        let blocks = page.blocks();
        let unnamed = blocks.iter().filter(|block| block.language.is_empty());
        unnamed.map(|block| format!("a block without a language: {}", block.text)).collect()
    };
    assert_eq!(faults(of_page), "");
}

/// The control of the above: a page with a fault of each kind beside healthy ones.
#[test]
fn a_page_with_faults_is_found_out() {
    let text = "\
# A page's heading
[good](README.md) [good](#a-pages-heading) `[no](link)` [bad](gone.md) [bad](README.md#gone)
`cargo run --release --example word_count` `cargo run --example gone` `cargo test -p gone`
`core/ids.rs` `cli/tests/pages/main.rs::every_block_says_its_language` `core/gone.rs` `core/ids.rs::gone`
```sh
cargo run -p oncestream-cli -- reset --application-id a --to-gone  # --nothing
cargo run -p oncestream-cli -- \\
    gone
A=b cargo test --workspace --test pages
cargo test --test pages
cargo build --features ssl,gone
```
```properties
commit.interval.ms = 100
commit.intervall.ms = 100
```
";
    let page = Page::new(&root().join("page.md"), text);
    let links = faults_of_links(&Page::new(&root().join("README.md"), text));
    assert_eq!(
        links,
        ["the link `gone.md` leads nowhere", "the link `README.md#gone` has no such heading"]
    );
    let told: Vec<String> = faults_of_commands(&page, &Workspace::load());
    let told: Vec<&str> =
        told.iter().filter_map(|fault| Some(fault.split_once("`: ")?.1)).collect();
    let expected = [
        "no example `gone` in oncestream",
        "no package `gone`",
        "`reset` has no flag `--to-gone`",
        "no subcommand `gone`",
        "no test `pages` in oncestream",
        "no feature `gone` in oncestream",
    ];
    assert_eq!(told, expected);
    let places = faults_of_places(&page);
    assert_eq!(
        places,
        ["there is no file `core/gone.rs`", "there is no test `gone` in `core/ids.rs`"]
    );
    let settings: Vec<String> = page.blocks().iter().flat_map(faults_of_settings).collect();
    assert!(settings.len() == 1 && settings[0].contains("commit.intervall.ms"), "{settings:?}");
}

#[test]
fn a_crate_to_be_published_says_what_it_is() {
    let workspace = Workspace::load();
    let mut faults = BTreeMap::<&str, Vec<&str>>::new();
    for package in workspace.packages().filter(|package| package["publish"].is_null()) {
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        let said = [
            ("description", package["description"].is_string()),
            ("license", package["license"].is_string()),
            ("keywords", package["keywords"].as_array().is_some_and(|list| !list.is_empty())),
            ("categories", package["categories"].as_array().is_some_and(|list| !list.is_empty())),
            ("rust-version", package["rust_version"].is_string()),
            ("a README.md", folder.join("README.md").is_file()),
            ("LICENSE-MIT", folder.join("LICENSE-MIT").is_file()),
            ("LICENSE-APACHE", folder.join("LICENSE-APACHE").is_file()),
        ];
        let missing = said.into_iter().filter(|(_, is_there)| !is_there).map(|(name, _)| name);
        let missing: Vec<&str> = missing.collect();
        if !missing.is_empty() {
            faults.insert(package["name"].as_str().unwrap(), missing);
        }
    }
    assert!(faults.is_empty(), "missing: {faults:#?}");
}
