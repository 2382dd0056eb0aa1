//! How scenes look: on a terminal, and as a page.

mod terminal;

pub use terminal::Terminal;
