//! `oncestream lab`: the delivery lab on a terminal, and as a page.
//!
//! The chapters run on a thread of their own, because they block; signals are awaited beside it.

mod output;
mod signals;
mod steps;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use oncestream_lab::{
    Audience, Audiences, Chapter, Lab, LabError, Language, Page, Run, Style, Terminal, chapters,
};
use output::Output;
use signals::Signals;
use steps::Steps;

use crate::cost;

/// Shows what at most once, at least once and exactly once mean, live, on a broker that is broken on
/// purpose.
///
/// Without a chapter it lists them.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Flags {
    #[command(subcommand)]
    question: Option<Question>,
    /// The chapters to run, one after the other, or `all`.
    #[arg(value_name = "CHAPTER")]
    chapters: Vec<String>,
    /// Wait for Enter before each part of a chapter.
    #[arg(long, requires = "chapters")]
    step: bool,
    /// Also write the output as one HTML page that needs no other file.
    #[arg(long, value_name = "FILE", requires = "chapters")]
    html: Option<PathBuf>,
    /// The language, en or ko [default: ko if the environment's language is Korean, else en].
    #[arg(long, value_name = "LANGUAGE")]
    lang: Option<Language>,
}

/// What the lab answers beside its chapters.
#[derive(Subcommand)]
enum Question {
    Cost(Box<cost::Flags>),
}

/// Lists chapters, or runs them until they end or a signal comes.
///
/// A claim that does not hold is a failure.
pub(crate) async fn run(flags: Flags) -> anyhow::Result<ExitCode> {
    if let Some(Question::Cost(flags)) = flags.question {
        return cost::run(*flags).await.map(|()| ExitCode::SUCCESS);
    }
    let language = flags.lang.unwrap_or_else(Language::of_environment);
    if flags.chapters.is_empty() {
        quietly(list(language))?;
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = chosen(&flags.chapters).map_err(told)?;
    if flags.step && !std::io::stdin().is_terminal() {
        bail!("--step waits for Enter, but standard input is no terminal");
    }
    let page = flags.html.clone().map(|place| Page::at(place, language)).transpose();
    let page = page.map_err(told)?;
    let mut signals = Signals::new()?;
    let lab = Lab::default();
    let show = Show { lab: lab.clone(), chosen, language, step: flags.step, page };
    let mut shown = tokio::task::spawn_blocking(move || show.run());
    let mut ending = None;
    let shown = loop {
        tokio::select! {
            shown = &mut shown => break shown?,
            code = signals.next() => {
                if let Some(code) = ending {
                    std::process::exit(code);
                }
                ending = Some(code);
                lab.stop();
                eprintln!("\nStopping. Ctrl-C again ends at once.");
            }
        }
    };
    if let Some(code) = ending {
        return Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from));
    }
    if let (Ok(_), Some(place)) = (&shown, flags.html) {
        eprintln!("\nThe page: {}", place.display());
    }
    verdict(&quietly(shown)?)
}

/// A reader who has seen enough, as `head` has, is no failure.
fn quietly<T: Default>(outcome: Result<T, LabError>) -> anyhow::Result<T> {
    match outcome {
        Err(LabError::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            Ok(T::default())
        }
        other => other.map_err(told),
    }
}

fn list(language: Language) -> Result<(), LabError> {
    let style = Style::of_stdout();
    Terminal::new(std::io::stdout(), language).style(style).list(chapters())?;
    eprintln!("\noncestream lab CHAPTER    oncestream lab all    oncestream lab --help");
    Ok(())
}

/// The chapters with these names, in this order, each once.
fn chosen(names: &[String]) -> Result<Vec<&'static Chapter>, LabError> {
    let mut chosen: Vec<&'static Chapter> = Vec::new();
    for name in names {
        let found =
            if name == "all" { chapters().to_vec() } else { vec![oncestream_lab::find(name)?] };
        for chapter in found {
            if !chosen.iter().any(|there| there.name == chapter.name) {
                chosen.push(chapter);
            }
        }
    }
    Ok(chosen)
}

/// The error as it says itself what caused it.
fn told(error: LabError) -> anyhow::Error {
    match error {
        LabError::Chapter { nearest: None, .. } => anyhow!("{error}: `oncestream lab` lists them"),
        other => anyhow!("{other}"),
    }
}

/// What is to be shown, and how.
struct Show {
    lab: Lab,
    chosen: Vec<&'static Chapter>,
    language: Language,
    step: bool,
    page: Option<Page>,
}

impl Show {
    fn run(mut self) -> Result<Vec<Run>, LabError> {
        let output = Output::new(self.page.is_some());
        let mut terminal = Terminal::new(output, self.language).style(Style::of_stdout());
        let mut steps = self.step.then(|| Steps::new(self.lab.clone()));
        let mut audiences: Vec<&mut dyn Audience> = Vec::new();
        audiences.extend(steps.as_mut().map(|steps| steps as &mut dyn Audience));
        audiences.push(&mut terminal);
        audiences.extend(self.page.as_mut().map(|page| page as &mut dyn Audience));
        let runs = self.lab.run_all(&self.chosen, &mut Audiences::new(audiences))?;
        if runs.len() > 1 {
            terminal.summary(&runs)?;
        }
        if let Some(page) = self.page {
            page.write()?;
        }
        Ok(runs)
    }
}

fn verdict(runs: &[Run]) -> anyhow::Result<ExitCode> {
    let failed: Vec<&str> =
        runs.iter().filter(|run| !run.held()).map(|run| run.chapter.name).collect();
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("some claims of these chapters did not hold: {}", failed.join(", "))
}
