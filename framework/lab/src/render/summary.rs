//! What is left to say when chapters have been shown.

use std::time::Duration;

use crate::{Chapter, Claim, LabError, Outcome, Report, Scene};

/// A chapter that was run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Run {
    /// The chapter.
    pub chapter: &'static Chapter,
    /// What it showed, or what kept it from being shown to its end.
    pub result: Result<Report, LabError>,
    /// How long it took.
    pub took: Duration,
}

impl Run {
    pub(crate) fn new(
        chapter: &'static Chapter,
        result: Result<Report, LabError>,
        took: Duration,
    ) -> Self {
        Self { chapter, result, took }
    }

    /// Was it shown to its end, and did all its claims hold?
    pub fn held(&self) -> bool {
        self.result.as_ref().is_ok_and(|report| report.claims.iter().all(|claim| claim.holds))
    }

    pub(super) fn claims(&self) -> &[Claim] {
        self.result.as_ref().map_or(&[], |report| &report.claims)
    }

    pub(super) fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        let scenes = self.result.as_ref().map_or(&[][..], |report| &report.scenes);
        scenes.iter().filter_map(|scene| match scene {
            Scene::Outcome(outcome) => Some(outcome),
            _ => None,
        })
    }
}
