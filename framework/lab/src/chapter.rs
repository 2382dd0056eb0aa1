//! Chapters: one question about delivery each, and how they are run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::chapters::ALL;
use crate::stage::Stage;
use crate::{Audience, LabError, Report, Run, Text};

/// One question about delivery, shown live.
#[derive(Debug)]
#[non_exhaustive]
pub struct Chapter {
    /// Its name, as it is typed.
    pub name: &'static str,
    /// Its title, in each language.
    pub title: fn() -> Text,
    /// How many nodes its cluster has.
    pub nodes: u16,
    /// What can be changed in it so that its claims do not hold any more.
    pub mutations: &'static [Mutation],
    pub(crate) play: fn(&mut Stage<'_>) -> Result<(), LabError>,
}

/// A change of one setting of a chapter, and the claims that must fail then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutation {
    /// The setting.
    pub setting: &'static str,
    /// Its value instead of the chapter's.
    pub value: &'static str,
    /// The names of claims that do not hold with it.
    pub breaks: &'static [&'static str],
}

/// All chapters, in the order to read them.
pub fn chapters() -> &'static [&'static Chapter] {
    ALL
}

/// The chapter with a name.
///
/// # Errors
///
/// [`LabError::Chapter`], with the nearest name, if there is none.
pub fn find(name: &str) -> Result<&'static Chapter, LabError> {
    let found = ALL.iter().find(|chapter| chapter.name == name);
    found.copied().ok_or_else(|| {
        let near =
            ALL.iter().map(|chapter| (strsim::jaro_winkler(name, chapter.name), chapter.name));
        let nearest = near.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(near, _)| *near > 0.7);
        LabError::Chapter { name: name.to_owned(), nearest: nearest.map(|(_, name)| name) }
    })
}

/// Runs chapters.
///
/// # Example
///
/// ```
/// use oncestream_lab::{Lab, Language, Terminal};
///
/// # oncestream_lab::run_if_worker();
/// let chapter = oncestream_lab::find("at-least-once")?;
/// let mut audience = Terminal::new(std::io::stdout(), Language::Korean);
/// let report = Lab::default().run(chapter, &mut audience)?;
/// println!("{} scenes", report.scenes.len());
/// # Ok::<(), oncestream_lab::LabError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Lab {
    settings: BTreeMap<&'static str, &'static str>,
    worker_arguments: Vec<String>,
    stopped: Arc<AtomicBool>,
}

impl Lab {
    /// Changes a setting of the chapters that have it: see [`Chapter::mutations`].
    #[must_use]
    pub fn with(mut self, setting: &'static str, value: &'static str) -> Self {
        self.settings.insert(setting, value);
        self
    }

    /// The arguments with which this program, started again, comes to
    /// [`run_if_worker`](crate::run_if_worker): none unless told otherwise.
    #[must_use]
    pub fn worker_arguments<S: Into<String>>(
        mut self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        self.worker_arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// Makes the chapter that runs end soon with [`LabError::Stopped`], and every later one at once.
    /// May be called from another thread, on a clone.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Was it [stopped](Self::stop)? An audience that waits asks this now and then.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(crate) fn setting(&self, name: &str) -> Option<&'static str> {
        self.settings.get(name).copied()
    }

    pub(crate) fn arguments(&self) -> &[String] {
        &self.worker_arguments
    }

    /// Runs a chapter. A claim that does not hold is told in the report, and no error.
    ///
    /// # Errors
    ///
    /// What kept the chapter from being shown to its end; [`LabError::Stopped`] after
    /// [`stop`](Self::stop).
    pub fn run(
        &self,
        chapter: &'static Chapter,
        audience: &mut dyn Audience,
    ) -> Result<Report, LabError> {
        audience.begin(chapter)?;
        let mut stage = Stage::set(self, chapter, audience)?;
        (chapter.play)(&mut stage)?;
        Ok(stage.report())
    }

    /// Runs chapters one after the other. One that cannot be shown to its end does not keep the next
    /// from being shown.
    ///
    /// # Errors
    ///
    /// [`LabError::Write`], or [`LabError::Stopped`] after [`stop`](Self::stop).
    pub fn run_all(
        &self,
        chapters: &[&'static Chapter],
        audience: &mut dyn Audience,
    ) -> Result<Vec<Run>, LabError> {
        let mut runs = Vec::new();
        for chapter in chapters {
            let begun = Instant::now();
            let result = self.run(chapter, audience);
            match &result {
                Err(LabError::Write(_)) => return result.map(|_| runs),
                // Its processes and clients may have ended before the chapter heard of it.
                Err(_) if self.is_stopped() => return Err(LabError::Stopped),
                Err(error) => audience.broken_off(error)?,
                Ok(_) => {}
            }
            runs.push(Run::new(chapter, result, begun.elapsed()));
        }
        Ok(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::text;
    use crate::{Claim, Scene};

    static BROKEN: Chapter = Chapter {
        name: "broken",
        title: || text!("Broken", "고장"),
        nodes: 1,
        mutations: &[],
        play: |_| Err(LabError::Streams("no".to_owned())),
    };
    static SOUND: Chapter = Chapter {
        name: "sound",
        title: || text!("Sound", "정상"),
        nodes: 1,
        mutations: &[],
        play: |stage| stage.claim("so", true, text!("It is so.", "그렇습니다.")),
    };

    #[derive(Default)]
    struct Notes(Vec<String>);

    impl Audience for Notes {
        fn begin(&mut self, chapter: &'static Chapter) -> Result<(), LabError> {
            self.0.push(format!("begin {}", chapter.name));
            Ok(())
        }

        fn show(&mut self, scene: &Scene) -> Result<(), LabError> {
            if let Scene::Claim(Claim { name, .. }) = scene {
                self.0.push(format!("claim {name}"));
            }
            Ok(())
        }

        fn broken_off(&mut self, error: &LabError) -> Result<(), LabError> {
            self.0.push(format!("broken off: {error}"));
            Ok(())
        }
    }

    #[test]
    fn a_chapter_that_cannot_be_shown_does_not_keep_the_next_from_it() {
        let (mut first, mut second) = (Notes::default(), Notes::default());
        let mut both = crate::Audiences::new(vec![&mut first, &mut second]);
        let runs = Lab::default().run_all(&[&BROKEN, &SOUND], &mut both).unwrap();
        assert_eq!(runs.iter().map(Run::held).collect::<Vec<_>>(), [false, true]);
        let told = [
            "begin broken",
            "broken off: the topology of this chapter failed: no",
            "begin sound",
            "claim so",
        ];
        assert_eq!(first.0, told);
        assert_eq!(second.0, told);
    }

    #[test]
    fn a_stopped_lab_runs_nothing_more() {
        let lab = Lab::default();
        lab.stop();
        for chapter in [&BROKEN, &SOUND] {
            let mut notes = Notes::default();
            let outcome = lab.run_all(&[chapter], &mut notes);
            assert!(matches!(outcome, Err(LabError::Stopped)), "{outcome:?}");
            assert!(!notes.0.iter().any(|note| note.starts_with("broken off")), "{:?}", notes.0);
        }
    }
}
