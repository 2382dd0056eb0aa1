//! The delivery lab: what at most once, at least once and exactly once mean, on a broker you can
//! break.
//!
//! A [`Chapter`] is one question about delivery. It runs live: real clients (librdkafka's) talk to an
//! embedded broker, a fault is put in their way, and what went over the wire, what is in the log and
//! what a reader sees is shown as it is. Nothing that is shown comes from a script, and each chapter
//! ends with [claims](Claim) that were compared with what happened.
//!
//! [`cost`] measures what guarantees of delivery cost, on any Kafka.
//!
//! The crate knows no command line. An [`Audience`] takes the scenes of a chapter as they happen.
//!
//! ```
//! use oncestream_lab::{Lab, Language, Terminal};
//!
//! // A program that runs chapters is also the program of the processes that they kill.
//! oncestream_lab::run_if_worker();
//! let lab = Lab::default();
//! let chapter = oncestream_lab::find("idempotent-producer")?;
//! let mut audience = Terminal::new(std::io::stdout(), Language::English);
//! let report = lab.run(chapter, &mut audience)?;
//! assert!(report.claims.iter().all(|claim| claim.holds));
//! # Ok::<(), oncestream_lab::LabError>(())
//! ```

mod chapter;
mod chapters;
mod clients;
pub mod cost;
mod diagram;
mod error;
mod excerpt;
mod outcome;
mod raw;
mod receiver;
mod render;
mod scene;
mod stage;
mod table;
mod text;
mod transactions;
mod worker;
mod workers;

pub use chapter::{Chapter, Lab, Mutation, chapters, find};
pub use diagram::{Diagram, Fate, Step};
pub use error::LabError;
pub use outcome::{Outcome, Verdict};
pub use render::{Audiences, Page, Run, Style, Terminal};
pub use scene::{Audience, Claim, Report, Scene};
pub use table::Table;
pub use text::{Language, Text};
pub use worker::run_if_worker;
