//! The list of chapters in docs/delivery-lab.md is the list of chapters.

#![allow(clippy::unwrap_used, reason = "tests")]

use oncestream_lab::chapters;

#[test]
fn the_page_in_docs_lists_the_chapters_in_their_order_with_their_titles() {
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/delivery-lab.md");
    let page = std::fs::read_to_string(place).unwrap();
    // A row of the table of chapters: | `name` | title |
    let rows = page.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        Some((name, rest.strip_suffix(" |")?))
    });
    let told: Vec<_> = rows.map(|(name, title)| format!("| `{name}` | {title} |")).collect();
    let chapters = chapters().iter();
    let there: Vec<_> = chapters
        .map(|chapter| format!("| `{}` | {} |", chapter.name, (chapter.title)().english))
        .collect();
    assert_eq!(told, there, "docs/delivery-lab.md and chapters() are not the same");
}
