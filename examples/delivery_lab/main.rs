//! The delivery lab: what at most once, at least once and exactly once mean, on a broker that can be
//! broken.
//!
//!     cargo run --example delivery_lab                      # all chapters
//!     cargo run --example delivery_lab -- at-least-once     # one
//!
//! `oncestream lab` does the same and more: see docs/delivery-lab.md.

use oncestream_lab::{Lab, Language, Style, Terminal};

fn main() -> anyhow::Result<()> {
    // The processes that some chapters kill are this program, started again.
    oncestream_lab::run_if_worker();
    let chapters = match std::env::args().nth(1) {
        None => oncestream_lab::chapters().to_vec(),
        Some(name) => vec![oncestream_lab::find(&name)?],
    };
    let language = Language::of_environment();
    let mut terminal = Terminal::new(std::io::stdout(), language).style(Style::of_stdout());
    let runs = Lab::default().run_all(&chapters, &mut terminal)?;
    terminal.summary(&runs)?;
    anyhow::ensure!(runs.iter().all(oncestream_lab::Run::held), "a chapter did not hold");
    Ok(())
}
