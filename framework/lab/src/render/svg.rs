//! A sequence diagram as SVG within a page; its colours are the page's.

use super::html::escaped;
use super::measure::{clean, width, wrap};
use super::sequence::Columns;
use super::words;
use crate::{Diagram, Fate, Language, Step};

/// How wide a cell of the columns is: a character of 13 px in a monospaced font.
const CELL: f64 = 7.85;
/// As many cells stand on a page side by side.
const CELLS: usize = 106;
/// The height of a line of text.
const LINE: f64 = 17.0;
/// From a label to its arrow, and from there to the next label.
const ABOVE: f64 = 6.0;
const BELOW: f64 = 11.0;
/// Around all of it.
const MARGIN: f64 = 12.0;
/// The boxes with the names.
const BOX: f64 = 28.0;
const BOX_SIDE: f64 = 10.0;
/// The head of an arrow, and half of the cross where a message is lost.
const HEAD: f64 = 8.0;
const CROSS: f64 = 5.0;

/// The diagram. Its size is that of its contents; the page lets it scroll where there is less room.
pub(super) fn draw(diagram: &Diagram, language: Language) -> String {
    let columns = Columns::within(diagram, language, CELLS)
        .unwrap_or_else(|| Columns::narrowest(diagram, language));
    let lines = columns.lines.iter().map(|cell| MARGIN + BOX_SIDE + *cell as f64 * CELL);
    let mut drawing =
        Drawing { lines: lines.collect(), y: MARGIN + BOX + BELOW, body: Vec::new(), language };
    for step in &diagram.steps {
        match step {
            Step::Message { from, to, label, bad, fate } => {
                drawing.message(*from, *to, label, *bad, *fate);
            }
            Step::Gap(count) => drawing.gap(*count),
        }
    }
    let wide = columns.width as f64 * CELL + 2.0 * (MARGIN + BOX_SIDE);
    let high = drawing.y + MARGIN;
    let heads = drawing.participants(diagram);
    let body = drawing.body.concat();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide:.0}\" height=\"{high:.0}\" \
         viewBox=\"0 0 {wide:.0} {high:.0}\">\n{heads}{body}</svg>\n"
    )
}

struct Drawing {
    /// Where each participant's line stands.
    lines: Vec<f64>,
    /// Down to here it is drawn.
    y: f64,
    body: Vec<String>,
    language: Language,
}

impl Drawing {
    fn participants(&self, diagram: &Diagram) -> String {
        let each = diagram.participants.iter().zip(&self.lines).map(|(name, x)| {
            let name = clean(name);
            let wide = width(&name) as f64 * CELL + 2.0 * BOX_SIDE;
            let (left, bottom, base) = (x - wide / 2.0, MARGIN + BOX, MARGIN + BOX / 2.0 + 4.5);
            let name = escaped(&name);
            format!(
                "<line class=\"life\" x1=\"{x:.1}\" y1=\"{bottom:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>\
                 <rect class=\"box\" x=\"{left:.1}\" y=\"{MARGIN:.1}\" width=\"{wide:.1}\" \
                 height=\"{BOX:.1}\" rx=\"5\"/>\
                 <text class=\"name\" x=\"{x:.1}\" y=\"{base:.1}\">{name}</text>\n",
                self.y
            )
        });
        each.collect::<Vec<_>>().concat()
    }

    fn message(&mut self, from: usize, to: usize, label: &str, bad: bool, fate: Fate) {
        let (Some(&source), Some(&target)) = (self.lines.get(from), self.lines.get(to)) else {
            return;
        };
        let room = ((target - source).abs() / CELL) as usize;
        let middle = f64::midpoint(source, target);
        let texts = wrap(label, room.saturating_sub(2));
        let texts: Vec<String> = texts
            .iter()
            .map(|text| {
                self.y += LINE;
                format!("<text x=\"{middle:.1}\" y=\"{:.1}\">{}</text>", self.y, escaped(text))
            })
            .collect();
        // The cross reaches up from its line.
        self.y += if fate == Fate::Lost { ABOVE + CROSS } else { ABOVE };
        let (texts, arrow) = (texts.concat(), self.arrow(source, target, fate));
        let kind = if from < to { "request" } else { "answer" };
        let bad = if bad { " bad" } else { "" };
        self.body.push(format!("<g class=\"{kind}{bad}\">{texts}{arrow}</g>\n"));
        self.y += BELOW;
    }

    /// To the target's line with a head; a lost one ends in a cross on its way.
    fn arrow(&self, source: f64, target: f64, fate: Fate) -> String {
        let y = self.y;
        let ahead = if target >= source { 1.0 } else { -1.0 };
        if fate == Fate::Lost {
            let end = source + (target - source) * 0.72;
            let (left, right, top, bottom) = (end - CROSS, end + CROSS, y - CROSS, y + CROSS);
            let word = words::lost();
            let word = escaped(word.in_language(self.language));
            let beside = end + ahead * (CROSS + 4.0);
            let anchor = if ahead > 0.0 { "start" } else { "end" };
            return format!(
                "<line x1=\"{source:.1}\" y1=\"{y:.1}\" x2=\"{end:.1}\" y2=\"{y:.1}\"/>\
                 <path class=\"cross\" d=\"M{left:.1} {top:.1}L{right:.1} {bottom:.1}\
                 M{left:.1} {bottom:.1}L{right:.1} {top:.1}\"/>\
                 <text class=\"lost\" text-anchor=\"{anchor}\" x=\"{beside:.1}\" y=\"{:.1}\">{word}\
                 </text>",
                y + 4.0
            );
        }
        let end = target - ahead;
        let neck = end - ahead * HEAD;
        let (top, bottom) = (y - HEAD / 2.0, y + HEAD / 2.0);
        format!(
            "<line x1=\"{source:.1}\" y1=\"{y:.1}\" x2=\"{neck:.1}\" y2=\"{y:.1}\"/>\
             <path class=\"head\" d=\"M{end:.1} {y:.1}L{neck:.1} {top:.1}L{neck:.1} {bottom:.1}Z\"/>"
        )
    }

    fn gap(&mut self, count: usize) {
        self.y += LINE;
        let first = self.lines.first().copied().unwrap_or_default();
        let last = self.lines.last().copied().unwrap_or_default();
        let middle = f64::midpoint(first, last);
        let text = words::left_out(count);
        let text = escaped(text.in_language(self.language));
        let y = self.y;
        self.body.push(format!(
            "<text class=\"gap\" x=\"{middle:.1}\" y=\"{y:.1}\">⋯ {text} ⋯</text>\n"
        ));
        self.y += BELOW;
    }
}

#[cfg(test)]
mod tests {
    use super::super::sequence::tests::{diagram, message};
    use super::*;

    #[test]
    fn names_and_labels_cannot_leave_their_place() {
        let hostile = "</text></svg><script>alert('\"1\"')</script>&\u{0}";
        let steps = vec![message((0, 1), hostile, true, Fate::Lost)];
        let drawn = draw(&diagram(&[hostile, "broker 1"], steps), Language::English);
        assert!(!drawn.contains("<script>"), "{drawn}");
        assert_eq!(drawn.matches("</svg>").count(), 1, "{drawn}");
        assert!(!drawn.contains('\u{0}'), "{drawn}");
    }

    #[test]
    fn what_is_lost_has_a_cross_and_no_head() {
        let lost = draw(
            &diagram(&["a", "b"], vec![message((1, 0), "offset 1", true, Fate::Lost)]),
            Language::Korean,
        );
        assert!(lost.contains("class=\"cross\"") && lost.contains(">유실<"), "{lost}");
        assert!(!lost.contains("class=\"head\""), "{lost}");
        let arrived = draw(
            &diagram(&["a", "b"], vec![message((1, 0), "offset 1", false, Fate::Arrived)]),
            Language::Korean,
        );
        assert!(arrived.contains("class=\"head\"") && arrived.contains("\"answer\""), "{arrived}");
    }

    #[test]
    fn a_diagram_with_too_many_for_a_page_is_wider_than_a_page() {
        let names: Vec<String> = (0..20).map(|number| format!("client-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let steps = vec![message((0, 19), "hello", false, Fate::Arrived), Step::Gap(1)];
        let drawn = draw(&diagram(&names, steps), Language::English);
        assert_eq!(drawn.matches("class=\"box\"").count(), 20);
    }
}
