use super::*;
use crate::diagram::{Fate, Step};
use crate::text::text;

const HOSTILE: &str = "</p></figure></html><script>alert(\"1\" & '2')</script>\u{1b}[31m\u{202e}";

fn all_scenes() -> Vec<Scene> {
    let hostile = || text!("{HOSTILE}", "{HOSTILE}");
    let message =
        |from, to, fate| Step::Message { from, to, label: HOSTILE.to_owned(), bad: true, fate };
    vec![
        Scene::Part(hostile()),
        Scene::Told(hostile()),
        Scene::Code(HOSTILE.to_owned()),
        Scene::Wire(Diagram {
            caption: hostile(),
            participants: vec![HOSTILE.to_owned(), "broker 1".to_owned()],
            steps: vec![message(0, 1, Fate::Lost), Step::Gap(2), message(1, 0, Fate::Arrived)],
        }),
        Scene::Table(Table::new(hostile(), &["<td>"], vec![vec![HOSTILE.to_owned()]])),
        Scene::Table(Table::new(hostile(), &["offset"], vec![])),
        Scene::Outcome(Outcome::compare(hostile(), &[HOSTILE.to_owned()], &[])),
        Scene::Claim(Claim { name: "one", text: hostile(), holds: true }),
        Scene::Claim(Claim { name: "two", text: hostile(), holds: false }),
    ]
}

fn page(language: Language) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut page = Page::at(folder.path().join("page.html"), language).unwrap();
    for chapter in crate::chapters() {
        page.begin(chapter).unwrap();
        for scene in all_scenes() {
            page.show(&scene).unwrap();
        }
        page.broken_off(&LabError::Streams(HOSTILE.to_owned())).unwrap();
    }
    page.text()
}

/// Reads the page as a browser would where all tags are closed; gives the names of elements.
fn elements(page: &str) -> Vec<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut seen = Vec::new();
    let mut rest = page.split_once("<html").map(|(_, rest)| format!("<html{rest}")).unwrap();
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, after) = after.split_once('>').unwrap();
        let name = tag.split_whitespace().next().unwrap().trim_end_matches('/').to_owned();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "in {page}");
        } else {
            let alone = tag.ends_with('/') || name == "meta";
            if !alone {
                open.push(Box::leak(name.clone().into_boxed_str()));
            }
            seen.push(name);
        }
        rest = after.to_owned();
    }
    assert!(open.is_empty(), "{open:?}");
    seen
}

#[test]
fn hostile_words_are_text_everywhere_and_every_tag_is_closed() {
    for language in Language::ALL {
        let page = page(language);
        let seen = elements(&page);
        assert!(!seen.iter().any(|name| name == "script" || name == "td>"), "{seen:?}");
        assert!(!page.contains(['\u{1b}', '\u{202e}']), "what steers is kept");
        assert!(page.contains("&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)"), "{page}");
        let count = |wanted: &str| seen.iter().filter(|name| *name == wanted).count();
        assert_eq!(count("svg"), crate::chapters().len());
        assert_eq!(count("table"), 2 * crate::chapters().len());
        assert_eq!(count("section"), crate::chapters().len());
    }
}

#[test]
fn the_page_is_in_its_language_and_needs_nothing_from_elsewhere() {
    let english = page(Language::English);
    let korean = page(Language::Korean);
    assert!(english.contains("<html lang=\"en\">") && korean.contains("<html lang=\"ko\">"));
    for chapter in crate::chapters() {
        let title = (chapter.title)();
        assert!(english.contains(&escaped(&title.english)), "{}", chapter.name);
        assert!(korean.contains(&escaped(&title.korean)), "{}", chapter.name);
        assert!(english.contains(&format!("href=\"#{}\"", chapter.name)), "{}", chapter.name);
    }
    for page in [english, korean] {
        let page = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for from_elsewhere in ["http:", "https:", "url(", "@import", "src=", "<link"] {
            assert!(!page.contains(from_elsewhere), "{from_elsewhere}");
        }
    }
}

#[test]
fn a_place_that_cannot_be_written_is_named_before_a_chapter_runs() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing/page.html");
    for place in [missing.as_path(), folder.path(), std::path::Path::new("/dev/null"), "".as_ref()]
    {
        match Page::at(place, Language::English) {
            Err(LabError::Page { place: named, .. }) => assert_eq!(named, place),
            other => panic!("{}: {other:?}", place.display()),
        }
    }
    let fine = folder.path().join("page.html");
    Page::at(&fine, Language::English).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left there");
}

#[test]
fn a_page_replaces_the_one_before_it_and_leaves_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("page.html");
    std::fs::write(&place, "before").unwrap();
    let page = Page::at(&place, Language::Korean).unwrap();
    assert_eq!(std::fs::read_to_string(&place).unwrap(), "before");
    page.write().unwrap();
    assert!(std::fs::read_to_string(&place).unwrap().ends_with("</html>\n"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
