//! What a chapter shows, piece by piece, and who takes it.

use crate::{Chapter, Diagram, LabError, Outcome, Table, Text};

/// A piece of what a chapter shows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scene {
    /// A heading between two parts of a chapter.
    Part(Text),
    /// A few sentences.
    Told(Text),
    /// A piece of code or configuration, in no language but its own.
    Code(String),
    /// The requests and answers that went over the wire.
    Wire(Diagram),
    /// What lies in a log, or what a broker knows.
    Table(Table),
    /// What came out in the end, of what was sent.
    Outcome(Outcome),
    /// A claim, and whether it held.
    Claim(Claim),
}

/// A sentence that was compared with what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// Its name within the chapter.
    pub name: &'static str,
    /// The sentence.
    pub text: Text,
    /// Did it hold?
    pub holds: bool,
}

/// What a chapter showed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The chapter.
    pub chapter: &'static Chapter,
    /// All its scenes, in order.
    pub scenes: Vec<Scene>,
    /// Its claims, in order; they are among the scenes, too.
    pub claims: Vec<Claim>,
}

/// Takes the scenes of a chapter while they happen.
pub trait Audience {
    /// A chapter begins.
    ///
    /// # Errors
    ///
    /// What keeps it from being shown; the chapter then does not run.
    fn begin(&mut self, chapter: &'static Chapter) -> Result<(), LabError>;

    /// The next scene. It may wait here, as for a key.
    ///
    /// # Errors
    ///
    /// What keeps it from being shown; the chapter then ends.
    fn show(&mut self, scene: &Scene) -> Result<(), LabError>;

    /// The chapter could not be shown to its end, for this reason.
    ///
    /// # Errors
    ///
    /// What keeps that from being shown.
    fn broken_off(&mut self, error: &LabError) -> Result<(), LabError> {
        let _ = error;
        Ok(())
    }
}
