//! How scenes look: on a terminal, and as a page.

mod audiences;
mod grid;
mod html;
mod measure;
mod sequence;
mod style;
mod summary;
mod svg;
mod terminal;
mod words;

pub use audiences::Audiences;
pub use html::Page;
pub use style::Style;
pub use summary::Run;
pub use terminal::Terminal;
