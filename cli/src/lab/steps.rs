//! Waits for Enter between the pieces of a chapter.

use std::io::BufRead as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use oncestream_lab::{Audience, Chapter, Lab, LabError, Scene};

/// How often it looks whether the lab was stopped meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// Lets a scene through when Enter was pressed. After the end of the input it waits no more.
pub(super) struct Steps {
    lab: Lab,
    enters: Receiver<()>,
    /// Has anything been shown?
    begun: bool,
    /// Is the next scene the first of its chapter, which comes with the title?
    first: bool,
    prompt: fn(),
}

impl Steps {
    /// Takes each line of standard input as Enter.
    pub(super) fn new(lab: Lab) -> Self {
        let (enter, enters) = channel();
        // Nobody waits for this thread: it may be reading when all else has ended.
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                if line.is_err() || enter.send(()).is_err() {
                    break;
                }
            }
        });
        Self::told_by(lab, enters, || eprint!("\n[Enter] "))
    }

    fn told_by(lab: Lab, enters: Receiver<()>, prompt: fn()) -> Self {
        Self { lab, enters, begun: false, first: true, prompt }
    }

    fn wait(&self) -> Result<(), LabError> {
        (self.prompt)();
        loop {
            match self.enters.recv_timeout(LOOK) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) if self.lab.is_stopped() => {
                    return Err(LabError::Stopped);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Audience for Steps {
    fn begin(&mut self, _: &'static Chapter) -> Result<(), LabError> {
        self.first = true;
        if std::mem::replace(&mut self.begun, true) { self.wait() } else { Ok(()) }
    }

    fn show(&mut self, scene: &Scene) -> Result<(), LabError> {
        // Code and claims belong to what is before them.
        let belongs = matches!(scene, Scene::Code(_) | Scene::Claim(_));
        if std::mem::replace(&mut self.first, false) || belongs { Ok(()) } else { self.wait() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::TryRecvError;

    use super::*;

    fn code() -> Scene {
        Scene::Code("acks = all".to_owned())
    }

    #[test]
    fn a_stopped_lab_waits_for_no_key() {
        let lab = Lab::default();
        let (_enter, enters) = channel();
        let steps = Steps::told_by(lab.clone(), enters, || ());
        lab.stop();
        assert!(matches!(steps.wait(), Err(LabError::Stopped)));
    }

    #[test]
    fn chapters_but_the_first_wait_for_a_key_each_and_the_end_of_input_is_all_keys() {
        let chapter = oncestream_lab::chapters()[0];
        let (enter, enters) = channel();
        let mut steps = Steps::told_by(Lab::default(), enters, || ());
        steps.begin(chapter).unwrap();
        steps.show(&code()).unwrap();
        steps.show(&code()).unwrap();
        enter.send(()).unwrap();
        steps.begin(chapter).unwrap();
        assert_eq!(steps.enters.try_recv(), Err(TryRecvError::Empty), "the key is used up");
        drop(enter);
        steps.begin(chapter).unwrap();
    }
}
