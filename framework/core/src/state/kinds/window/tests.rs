//! The window kind by itself.

use super::*;

fn window(retention_ms: u64) -> Window {
    Window::new(Duration::from_millis(retention_ms))
}

fn row_key(window: &Window, key: &str, start: i64, sequence: u32) -> Vec<u8> {
    let mut bytes = key.as_bytes().to_vec();
    window.frame(&WindowKey { key: key.to_owned(), start, sequence }, &mut bytes);
    bytes
}

fn kind(window: &mut Window) -> &mut dyn AnyKey {
    window
}

/// The methods of the kind that need no key, for one type of key.
trait AnyKey {
    fn seen(&mut self, start: i64) -> bool;
    fn expired(&mut self) -> Option<(i64, i64)>;
    fn told(&mut self, note: Option<&[u8]>) -> Result<(), SerdeError>;
    fn tells(&self) -> Vec<u8>;
}

impl AnyKey for Window {
    fn seen(&mut self, start: i64) -> bool {
        self.admit(&WindowKey { key: String::new(), start, sequence: 0 })
    }

    fn expired(&mut self) -> Option<(i64, i64)> {
        let number = |bytes: Vec<u8>| i64::from_be_bytes(bytes.try_into().unwrap());
        let (from, to) = Kind::<String>::take_expired(self)?;
        Some((number(from), number(to)))
    }

    fn told(&mut self, note: Option<&[u8]>) -> Result<(), SerdeError> {
        Kind::<String>::read_note(self, note)
    }

    fn tells(&self) -> Vec<u8> {
        Kind::<String>::note(self)
    }
}

#[test]
fn the_changelog_key_is_kafka_streams_own_and_the_row_key_begins_with_the_segment() {
    let window = window(200_000);
    let row = row_key(&window, "k", 250_000, 3);
    assert_eq!(row[..8], 2_i64.to_be_bytes(), "of 100 s each");
    let of_kafka = [&b"k"[..], &250_000_i64.to_be_bytes(), &3_i32.to_be_bytes()].concat();
    assert_eq!(Kind::<String>::changelog_key(&window, &row), of_kafka);
    assert_eq!(Kind::<String>::row_key(&window, &of_kafka, 0).as_deref(), Some(&row[..]));
    assert_eq!(Kind::<String>::row_key(&window, &of_kafka[2..], 0), None);
    let key = window.key("k".to_owned(), &row).unwrap();
    assert_eq!(key, WindowKey { key: "k".to_owned(), start: 250_000, sequence: 3 });
}

#[test]
fn segments_are_half_a_retention_and_a_minute_at_least() {
    let of = |retention| window(retention).segments.segment_ms();
    assert_eq!((of(200_000), of(120_001), of(1)), (100_000, 60_000, 60_000));
    assert_eq!(Window::new(Duration::MAX).retention_ms(), i64::MAX);
}

#[test]
fn a_window_expires_exactly_a_retention_after_its_start() {
    let mut window = window(100);
    assert!(kind(&mut window).seen(1_000));
    assert!(!kind(&mut window).seen(900), "its time has come");
    assert!(kind(&mut window).seen(901));
    assert!(!kind(&mut window).seen(-1));
    let (late, live) = (row_key(&window, "k", 900, 0), row_key(&window, "k", 901, 0));
    assert!(!Kind::<String>::is_row_live(&window, &late));
    assert!(Kind::<String>::is_row_live(&window, &live));
    assert!(!Kind::<String>::is_row_live(&window, NOTE_KEY));
}

#[test]
fn whole_segments_expire_once_each() {
    let mut window = window(120_000);
    assert!(kind(&mut window).seen(239_998));
    assert_eq!(kind(&mut window).expired(), Some((0, 1)), "up to 59,999");
    assert_eq!(kind(&mut window).expired(), None);
    kind(&mut window).seen(239_999 + 60_000);
    assert_eq!(kind(&mut window).expired(), Some((1, 3)));
}

#[test]
fn a_note_is_taken_over_whole_and_another_form_is_refused() {
    let mut first = window(120_000);
    kind(&mut first).seen(500_000);
    first.sequence = 7;
    let note = kind(&mut first).tells();
    assert_eq!(note.len(), NOTE_LEN);
    let mut second = window(120_000);
    kind(&mut second).told(Some(&note)).unwrap();
    assert_eq!((second.segments.stream_time(), second.sequence), (500_000, 7));
    assert_eq!(kind(&mut second).expired(), None, "that went with the note");
    let told = kind(&mut window(600_000)).told(Some(&note)).unwrap_err().to_string();
    assert!(told.contains("60000 ms") && told.contains("300000"), "{told}");
    let mut other = note.clone();
    other[0] = 2;
    assert!(kind(&mut window(120_000)).told(Some(&other)).is_err());
    assert!(kind(&mut window(120_000)).told(Some(&note[..20])).is_err());
    kind(&mut second).told(None).unwrap();
    assert_eq!((second.segments.stream_time(), second.sequence), (-1, 0));
}
