//! Where the parts of a sequence diagram stand, in cells; the terminal and the page share it.

use crate::{Diagram, Fate, Language, Step};

use super::measure::{clean, width};
use super::words;

/// What an arrow has besides its label: the ends, and a bit of line on both sides.
const AROUND: usize = 6;
/// Labels are not broken into lines that are shorter than this.
const SHORTEST: usize = 16;
/// The space between two names, at least.
const BETWEEN: usize = 4;
/// The space between two lines, at least.
const NEAREST: usize = 8;

/// The columns of a diagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    /// The cell of each participant's line.
    pub(super) lines: Vec<usize>,
    /// How many cells all of it takes.
    pub(super) width: usize,
}

impl Columns {
    /// Columns with labels on one line if there is room, or else on as few as there can be. `None` if
    /// the diagram does not fit at all.
    pub(super) fn within(diagram: &Diagram, language: Language, limit: usize) -> Option<Self> {
        let longest = labels(diagram).max().unwrap_or(0).min(limit).max(SHORTEST);
        let tries = (SHORTEST..=longest).rev();
        tries.map(|label| place(diagram, language, label)).find(|found| found.width <= limit)
    }

    /// The narrowest.
    pub(super) fn narrowest(diagram: &Diagram, language: Language) -> Self {
        place(diagram, language, SHORTEST)
    }
}

/// The cells beside an arrow that say that it is lost.
pub(super) fn lost_mark(language: Language) -> String {
    format!(" {} ", words::lost().in_language(language))
}

fn labels(diagram: &Diagram) -> impl Iterator<Item = usize> + '_ {
    diagram.steps.iter().filter_map(|step| match step {
        Step::Message { label, .. } => Some(width(label)),
        Step::Gap(_) => None,
    })
}

/// Places the lines so that labels of up to `longest` cells fit between them.
fn place(diagram: &Diagram, language: Language, longest: usize) -> Columns {
    let names: Vec<usize> = diagram.participants.iter().map(|name| width(&clean(name))).collect();
    let mut gaps: Vec<usize> = names
        .windows(2)
        .map(|pair| ((pair[0] + pair[1]).div_ceil(2) + BETWEEN).max(NEAREST))
        .collect();
    let mut wanted: Vec<(usize, usize, usize)> = Vec::new();
    for step in &diagram.steps {
        let Step::Message { from, to, label, fate, .. } = step else { continue };
        let lost = if *fate == Fate::Lost { width(&lost_mark(language)) } else { 0 };
        let cells = width(label).min(longest) + AROUND + lost;
        wanted.push(((*from).min(*to), (*from).max(*to), cells));
    }
    // What spans less is placed first: what spans more then finds most of its room there.
    wanted.sort_by_key(|(low, high, _)| high - low);
    for (low, high, cells) in wanted {
        let Some(span) = gaps.get_mut(low..high).filter(|span| !span.is_empty()) else { continue };
        let there: usize = span.iter().sum();
        let share = cells.saturating_sub(there).div_ceil(span.len());
        for gap in span {
            *gap += share;
        }
    }
    let first = names.first().map_or(0, |name| name / 2);
    let mut lines = vec![first];
    for gap in gaps {
        lines.push(lines[lines.len() - 1] + gap);
    }
    let last = names.last().map_or(0, |name| name.div_ceil(2));
    let width = lines[lines.len() - 1] + last + 1;
    Columns { lines, width }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::text::text;

    pub(in super::super) fn message(
        (from, to): (usize, usize),
        label: &str,
        bad: bool,
        fate: Fate,
    ) -> Step {
        Step::Message { from, to, label: label.to_owned(), bad, fate }
    }

    pub(in super::super) fn diagram(participants: &[&str], steps: Vec<Step>) -> Diagram {
        let participants = participants.iter().map(|name| (*name).to_owned()).collect();
        Diagram { caption: text!("On the wire", "주고받은 요청"), participants, steps }
    }

    fn three(label: &str) -> Diagram {
        let steps = vec![
            message((0, 1), "short", false, Fate::Arrived),
            message((2, 0), label, false, Fate::Lost),
        ];
        diagram(&["shop", "broker 1", "broker 2"], steps)
    }

    #[test]
    fn a_label_finds_room_over_all_that_it_spans() {
        let label = "l".repeat(40);
        let found = Columns::within(&three(&label), Language::English, 80).unwrap();
        let span = found.lines[2] - found.lines[0];
        assert!(span >= 40 + AROUND + width(" lost "), "{found:?}");
        assert!(found.lines[1] - found.lines[0] < 40, "{found:?}");
    }

    #[test]
    fn it_shrinks_until_it_fits_and_says_so_when_it_cannot() {
        let diagram = three(&"l".repeat(70));
        for limit in 0..120 {
            match Columns::within(&diagram, Language::Korean, limit) {
                Some(found) => assert!(found.width <= limit, "{limit}: {found:?}"),
                None => assert!(limit < Columns::narrowest(&diagram, Language::Korean).width),
            }
        }
    }

    #[test]
    fn a_diagram_of_nothing_has_a_place_too() {
        assert!(Columns::within(&diagram(&[], vec![]), Language::English, 40).is_some());
        assert!(Columns::within(&diagram(&["shop"], vec![]), Language::English, 40).is_some());
    }
}
