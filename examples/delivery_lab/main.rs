//! The delivery lab: what at most once, at least once and exactly once mean, on a broker that can be
//! broken.
//!
//!     cargo run --example delivery_lab                      # all chapters
//!     cargo run --example delivery_lab -- at-least-once     # one
//!
//! `oncestream lab` does the same and more: see docs/delivery-lab.md.

use std::io::ErrorKind;
use std::process::ExitCode;

use oncestream_lab::{Lab, LabError, Language, Run, Style, Terminal};

fn main() -> ExitCode {
    // The processes that some chapters kill are this program, started again.
    oncestream_lab::run_if_worker();
    match run() {
        Ok(runs) if runs.iter().all(Run::held) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        // The reader has seen enough.
        Err(LabError::Write(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Vec<Run>, LabError> {
    let chapters = match std::env::args().nth(1).as_deref() {
        None | Some("all") => oncestream_lab::chapters().to_vec(),
        Some(name) => vec![oncestream_lab::find(name)?],
    };
    let language = Language::of_environment();
    let mut terminal = Terminal::new(std::io::stdout(), language).style(Style::of_stdout());
    let runs = Lab::default().run_all(&chapters, &mut terminal)?;
    terminal.summary(&runs)?;
    Ok(runs)
}
