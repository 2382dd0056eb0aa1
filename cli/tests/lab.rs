//! `oncestream lab` as a user meets it: a list, chapters on any terminal and in pipes, a page, errors
//! that say what to do, and an end on Ctrl-C that leaves nothing behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use oncestream_lab::chapters;

const FIRST: &str = "at-least-once";

fn oncestream(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oncestream"));
    command.arg("lab").args(arguments).stdin(Stdio::null());
    for variable in ["COLUMNS", "NO_COLOR", "TERM", "LC_ALL", "LC_MESSAGES", "LANG", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command
}

/// What a run that goes well prints.
fn done(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{stdout}\n{}", String::from_utf8_lossy(&stderr));
    stdout
}

/// The error of one that does not.
fn refused(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = oncestream(arguments).output().unwrap();
    assert_eq!(status.code(), Some(1), "{arguments:?}");
    assert!(stdout.is_empty(), "{arguments:?}: a chapter has run");
    String::from_utf8(stderr).unwrap()
}

fn signal(name: &str, target: &str) -> bool {
    let kill = Command::new("kill").args([name, "--", target]).stderr(Stdio::null()).status();
    kill.unwrap().success()
}

#[test]
fn it_lists_the_chapters_by_name_and_title() {
    let english = done(&mut oncestream(&[]));
    let korean = done(&mut oncestream(&["--lang", "ko"]));
    for chapter in chapters() {
        let title = (chapter.title)();
        let named = |line: &&str| line.split_whitespace().next() == Some(chapter.name);
        let line = english.lines().find(named).unwrap_or_default();
        assert!(line.contains(title.english.split(' ').next().unwrap()), "{english}");
        let line = korean.lines().find(named).unwrap_or_default();
        assert!(line.contains(title.korean.split(' ').next().unwrap()), "{korean}");
    }
}

#[test]
fn a_chapter_that_is_not_there_is_answered_with_the_nearest_name() {
    let error = refused(&["at-leest-once"]);
    assert!(
        error.contains("at-leest-once") && error.contains("did you mean at-least-once"),
        "{error}"
    );
    // Nothing is run if one of several is not there.
    let error = refused(&[FIRST, "xyzzy"]);
    assert!(error.contains("xyzzy") && error.contains("`oncestream lab` lists"), "{error}");
}

#[test]
fn what_cannot_be_is_refused_before_a_chapter_runs() {
    let error = refused(&[FIRST, "--step"]);
    assert!(error.contains("--step") && error.contains("no terminal"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing").join("page.html");
    for place in [missing.as_path(), folder.path(), Path::new("/dev/null")] {
        let place = place.to_str().unwrap();
        let error = refused(&[FIRST, "--html", place]);
        assert!(error.contains(place) && error.contains("cannot write the page"), "{error}");
    }
    for arguments in [&["--html", "page.html"][..], &["--step"], &[FIRST, "--lang", "tlh"]] {
        let Output { status, stderr, .. } = oncestream(arguments).output().unwrap();
        assert_eq!(status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    }
    assert!(!Path::new("page.html").exists());
}

#[test]
fn a_pipe_gets_no_colours_and_the_diagram() {
    let shown = done(&mut oncestream(&[FIRST]));
    assert!(!shown.contains('\x1b'), "{shown}");
    assert!(shown.contains("├─ Produce") && shown.contains("lost x"), "{shown}");
    assert!(shown.contains("×2 ") && shown.contains("✓ "), "{shown}");
}

#[test]
fn no_line_is_wider_than_the_terminal_says() {
    for columns in [24, 40, 60] {
        for language in ["en", "ko"] {
            let mut command = oncestream(&[FIRST, "--lang", language]);
            let shown = done(command.env("COLUMNS", columns.to_string()));
            for line in shown.lines() {
                let wide: usize =
                    line.chars().map(|c| if ('가'..='힣').contains(&c) { 2 } else { 1 }).sum();
                assert!(wide <= columns, "{columns}: {wide} in {line}");
            }
            assert_eq!(columns < 50, shown.contains("shop -> broker 1:"), "{shown}");
        }
    }
}

#[test]
fn a_plain_terminal_gets_nothing_but_ascii() {
    let shown = done(oncestream(&[FIRST]).env("TERM", "dumb"));
    assert!(shown.is_ascii(), "{shown}");
}

#[test]
fn it_speaks_the_language_that_it_is_told_or_else_that_of_the_environment() {
    let korean = |shown: &str| shown.contains("프로듀서");
    assert!(korean(&done(&mut oncestream(&[FIRST, "--lang", "ko"]))));
    assert!(korean(&done(oncestream(&[FIRST]).env("LANG", "ko_KR.UTF-8"))));
    assert!(!korean(&done(oncestream(&[FIRST, "--lang", "en"]).env("LANG", "ko_KR.UTF-8"))));
    assert!(!korean(&done(oncestream(&[FIRST]).env("LANG", "de_DE.UTF-8"))));
}

#[test]
fn chapters_are_shown_and_summed_up_and_a_page_has_each_with_its_diagrams() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("lab.html");
    // One with processes of its own is among them, and one is named twice. The crate's own tests run
    // all chapters.
    let names = [FIRST, "idempotent-producer", "crash-before-commit"];
    let arguments = ["--lang", "ko", "--html", place.to_str().unwrap(), FIRST];
    let shown = done(oncestream(&names).args(arguments));
    let page = std::fs::read_to_string(&place).unwrap();
    assert!(page.contains("<html lang=\"ko\">"));
    let sections: Vec<&str> = page.split("<section ").skip(1).collect();
    assert_eq!(sections.len(), names.len());
    let (_, summary) = shown.rsplit_once("요약\n").expect("a summary");
    for (name, section) in names.iter().zip(sections) {
        let chapter = oncestream_lab::find(name).unwrap();
        let title = (chapter.title)().korean;
        let escaped = title.replace('&', "&amp;").replace('\'', "&#39;").replace('"', "&quot;");
        assert!(section.contains(&escaped), "{title} is not in its section");
        assert!(section.contains("<svg "), "{title} has no diagram");
        let wires = section.matches("<figure class=\"wire\">").count();
        assert_eq!(section.matches("<svg ").count(), wires, "{title}");
        assert!(summary.contains(&format!("✓ {}:", chapter.name)), "{summary}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "only the page is there");
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("lab.html");
    let page = place.to_str().unwrap();
    for arguments in [&[FIRST][..], &[FIRST, "--html", page]] {
        let mut command = oncestream(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert!(status.success(), "{stderr}");
        let told = stderr.lines().filter(|line| !line.is_empty() && !line.starts_with("The page:"));
        assert_eq!(told.count(), 0, "{stderr}");
    }
    assert!(place.exists(), "the page does not need the reader of the text");
}

#[test]
fn a_signal_ends_it_and_nothing_is_left_behind() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("lab.html");
        let temporary = folder.path().join("temporary");
        std::fs::create_dir(&temporary).unwrap();
        let mut child = oncestream(&["all", "--html", page.to_str().unwrap()])
            .env("TMPDIR", &temporary)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let group = format!("-{}", child.id());
        // The title of the first chapter is there, and nothing more than that.
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while line.trim().is_empty() {
            assert_ne!(stdout.read_line(&mut line).unwrap(), 0);
        }
        // A terminal sends Ctrl-C to all processes of the group.
        assert!(signal(name, &group));
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(code), "{name}: {stderr}\n{rest}");
        assert!(!stderr.contains("Error") && !stderr.contains("panicked"), "{stderr}");
        assert!(!signal("-0", &group), "{name}: a process of it is still there");
        let left: Vec<_> = std::fs::read_dir(&temporary).unwrap().collect();
        assert!(left.is_empty(), "{name}: {left:?}");
        assert!(!page.exists(), "a page of what was broken off");
    }
}
