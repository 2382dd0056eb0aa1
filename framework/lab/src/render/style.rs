//! How much a terminal can do: its width, colours, and which characters.

use std::ffi::OsString;
use std::io::IsTerminal as _;

/// The width where nothing says how wide it is.
const WIDTH: usize = 80;
/// Lines are not made longer than this.
const WIDEST: usize = 120;
/// Nor shorter.
const NARROWEST: usize = 20;

/// How text is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    width: usize,
    colour: bool,
    ascii: bool,
}

impl Default for Style {
    /// 80 columns, no colours.
    fn default() -> Self {
        Self { width: WIDTH, colour: false, ascii: false }
    }
}

impl Style {
    /// What suits standard output: `COLUMNS` or the terminal's own width, colours on a terminal unless
    /// `NO_COLOR` is set, and plain ASCII for lines and marks where `TERM` is `dumb`.
    pub fn of_stdout() -> Self {
        let size = terminal_size::terminal_size_of(std::io::stdout());
        let terminal = std::io::stdout().is_terminal();
        Self::told(terminal, size.map(|(width, _)| width.0.into()), |name| std::env::var_os(name))
    }

    /// Decides by what is known of the output and the environment.
    fn told(
        terminal: bool,
        size: Option<usize>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let columns = variable("COLUMNS").and_then(|told| told.to_str()?.parse().ok());
        let width = columns.filter(|columns| *columns > 0).or(size).unwrap_or(WIDTH);
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let unwanted = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self::default().width(width).colour(terminal && !dumb && !unwanted).ascii(dumb)
    }

    /// With lines of at most so many cells, within reason.
    #[must_use]
    pub fn width(self, width: usize) -> Self {
        Self { width: width.clamp(NARROWEST, WIDEST), ..self }
    }

    /// With colours, or without.
    #[must_use]
    pub fn colour(self, colour: bool) -> Self {
        Self { colour, ..self }
    }

    /// With lines and marks in ASCII, or in Unicode.
    #[must_use]
    pub fn ascii(self, ascii: bool) -> Self {
        Self { ascii, ..self }
    }

    pub(super) fn cells(self) -> usize {
        self.width
    }

    pub(super) fn glyphs(self) -> &'static Glyphs {
        if self.ascii { &ASCII } else { &UNICODE }
    }

    /// The text in a paint.
    pub(super) fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Plain => "",
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Red => "31",
            Paint::Green => "32",
            Paint::Yellow => "33",
        };
        if self.colour && !code.is_empty() && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The paints in use. What they mean is always said in words or marks too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

/// The characters of lines and marks.
#[derive(Debug)]
pub(super) struct Glyphs {
    /// A participant's line.
    pub(super) life: char,
    /// The same, where something is left out.
    pub(super) gap: char,
    /// An arrow of a request, and of an answer.
    pub(super) request: char,
    pub(super) answer: char,
    /// Where an arrow leaves to the right, and to the left.
    pub(super) from_left: char,
    pub(super) from_right: char,
    /// Below a title.
    pub(super) rule: char,
    /// Below the head of a table.
    pub(super) line: char,
    pub(super) held: &'static str,
    pub(super) lost: &'static str,
    pub(super) doubled: &'static str,
}

static UNICODE: Glyphs = Glyphs {
    life: '│',
    gap: '┊',
    request: '─',
    answer: '╌',
    from_left: '├',
    from_right: '┤',
    rule: '═',
    line: '─',
    held: "✓",
    lost: "✗",
    doubled: "×2",
};

static ASCII: Glyphs = Glyphs {
    life: '|',
    gap: ':',
    request: '-',
    answer: '.',
    from_left: '|',
    from_right: '|',
    rule: '=',
    line: '-',
    held: "+",
    lost: "x",
    doubled: "x2",
};

#[cfg(test)]
mod tests {
    use super::*;

    fn told(terminal: bool, size: Option<usize>, variables: &[(&str, &str)]) -> Style {
        Style::told(terminal, size, |name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_pipe_has_80_columns_and_no_colours() {
        assert_eq!(told(false, None, &[("TERM", "xterm")]), Style::default());
    }

    #[test]
    fn a_terminal_has_its_own_width_and_colours() {
        assert_eq!(told(true, Some(60), &[]), Style::default().width(60).colour(true));
        assert_eq!(told(true, Some(60), &[("NO_COLOR", "")]), told(true, Some(60), &[]));
    }

    #[test]
    fn what_the_environment_says_goes_before() {
        assert_eq!(told(true, Some(60), &[("COLUMNS", "40")]).cells(), 40);
        assert_eq!(told(true, Some(60), &[("COLUMNS", "many")]).cells(), 60);
        assert_eq!(told(true, Some(60), &[("COLUMNS", "0")]).cells(), 60);
        assert_eq!(told(true, None, &[("NO_COLOR", "1")]), Style::default());
        assert_eq!(told(true, None, &[("TERM", "dumb")]), Style::default().ascii(true));
    }

    #[test]
    fn no_width_is_absurd() {
        assert_eq!(told(true, Some(3), &[]).cells(), NARROWEST);
        assert_eq!(told(true, Some(60_000), &[]).cells(), WIDEST);
    }
}
