//! Several audiences at once.

use crate::{Audience, Chapter, LabError, Scene};

/// Shows each scene to every one of them, in their order.
///
/// ```
/// use oncestream_lab::{Audiences, Lab, Language, Terminal};
///
/// # oncestream_lab::run_if_worker();
/// let mut english = Terminal::new(Vec::new(), Language::English);
/// let mut korean = Terminal::new(Vec::new(), Language::Korean);
/// let mut both = Audiences::new(vec![&mut english, &mut korean]);
/// Lab::default().run(oncestream_lab::find("at-least-once")?, &mut both)?;
/// # Ok::<(), oncestream_lab::LabError>(())
/// ```
pub struct Audiences<'a>(Vec<&'a mut dyn Audience>);

impl std::fmt::Debug for Audiences<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audiences").field("count", &self.0.len()).finish_non_exhaustive()
    }
}

impl<'a> Audiences<'a> {
    /// These.
    pub fn new(audiences: Vec<&'a mut dyn Audience>) -> Self {
        Self(audiences)
    }
}

impl Audience for Audiences<'_> {
    fn begin(&mut self, chapter: &'static Chapter) -> Result<(), LabError> {
        self.0.iter_mut().try_for_each(|audience| audience.begin(chapter))
    }

    fn show(&mut self, scene: &Scene) -> Result<(), LabError> {
        self.0.iter_mut().try_for_each(|audience| audience.show(scene))
    }

    fn broken_off(&mut self, error: &LabError) -> Result<(), LabError> {
        self.0.iter_mut().try_for_each(|audience| audience.broken_off(error))
    }
}
