//! The session kind by itself.

use super::*;

fn session(retention_ms: u64) -> Session {
    Session::new(Duration::from_millis(retention_ms))
}

fn row_key(session: &Session, key: &str, start: i64, end: i64) -> Vec<u8> {
    let mut bytes = key.as_bytes().to_vec();
    session.frame(&SessionKey { key: key.to_owned(), start, end }, &mut bytes);
    bytes
}

/// The methods of the kind that need no key, for one type of key.
impl Session {
    fn seen(&mut self, start: i64, end: i64) -> bool {
        self.admit(&SessionKey { key: String::new(), start, end })
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

/// What `SessionKeySchema.toBinary` of Kafka Streams 4.3.1 gives behind the key.
#[test]
fn the_changelog_key_is_kafka_streams_own() {
    let session = session(200_000);
    for (key, start, end, of_kafka) in [
        ("k", 240_000, 250_000, 0x0000_0000_0003_d090_0000_0000_0003_a980_u128),
        ("", 0, 0, 0),
        ("a\0", 1, i64::MAX, 0x7fff_ffff_ffff_ffff_0000_0000_0000_0001),
    ] {
        let row = row_key(&session, key, start, end);
        let changelog_key = Kind::<String>::changelog_key(&session, &row);
        assert_eq!(changelog_key, [key.as_bytes(), &of_kafka.to_be_bytes()].concat());
        assert_eq!(Kind::<String>::row_key(&session, changelog_key, 0).as_deref(), Some(&row[..]));
        assert_eq!(Kind::<String>::user_bytes(&session, &row), Some(key.as_bytes()));
        let found = session.key(key.to_owned(), &row);
        assert_eq!(found, Some(SessionKey { key: key.to_owned(), start, end }));
    }
}

#[test]
fn the_row_key_begins_with_the_segment_of_the_end() {
    let session = session(200_000);
    let row = row_key(&session, "k", 50_000, 250_000);
    assert_eq!(row[..8], 2_i64.to_be_bytes(), "of 100 s each");
    assert_eq!(Kind::<String>::row_key(&session, &row[8..], 0).as_deref(), Some(&row[..]));
    assert_eq!(Kind::<String>::row_key(&session, &row[10..], 0), None);
    assert_eq!(Kind::<String>::user_bytes(&session, &row[2..]), None);
    assert_eq!(Kind::<String>::user_bytes(&session, NOTE_KEY), None);
}

#[test]
fn segments_are_half_a_retention_and_a_minute_at_least() {
    let of = |retention| session(retention).segments.segment_ms();
    assert_eq!((of(200_000), of(120_001), of(1)), (100_000, 60_000, 60_000));
    assert_eq!(Session::new(Duration::MAX).retention_ms(), i64::MAX);
    assert_eq!(Session::new(Duration::ZERO).retention_ms(), 1);
}

#[test]
fn a_session_expires_exactly_a_retention_after_its_end() {
    let mut session = session(100);
    assert!(session.seen(0, 1_000));
    assert!(!session.seen(0, 900), "its time has come");
    assert!(session.seen(0, 901));
    let (late, live) = (row_key(&session, "k", 0, 900), row_key(&session, "k", 0, 901));
    assert!(!Kind::<String>::is_row_live(&session, &late));
    assert!(Kind::<String>::is_row_live(&session, &live));
    assert!(!Kind::<String>::is_row_live(&session, NOTE_KEY));
}

#[test]
fn a_session_that_cannot_be_is_neither_admitted_nor_shown_and_moves_no_time() {
    let mut session = session(100);
    for (start, end) in [(-1, 50), (51, 50), (-2, -1), (i64::MAX, i64::MIN), (i64::MIN, i64::MAX)] {
        let row = row_key(&session, "k", start, end);
        assert!(!session.seen(start, end), "{start} to {end}");
        assert!(!Kind::<String>::admit_row(&mut session, &row), "{start} to {end}");
        assert!(!Kind::<String>::is_row_live(&session, &row), "{start} to {end}");
        assert!(!session.is_live(&SessionKey { key: String::new(), start, end }));
    }
    assert_eq!(session.segments.stream_time(), -1);
    assert!(session.seen(0, 0), "the first that can be");
    assert!(session.is_live(&SessionKey { key: String::new(), start: 0, end: 0 }));
}

#[test]
fn whole_segments_expire_once_each() {
    let mut session = session(120_000);
    assert!(session.seen(0, 239_998));
    assert_eq!(session.expired(), Some((0, 1)), "up to 59,999");
    assert_eq!(session.expired(), None);
    session.seen(299_999, 299_999);
    assert_eq!(session.expired(), Some((1, 3)));
}

#[test]
fn a_note_is_taken_over_whole_and_another_form_is_refused() {
    let mut first = session(120_000);
    first.seen(0, 500_000);
    let note = first.tells();
    assert_eq!(note.len(), NOTE_LEN);
    let mut second = session(120_000);
    second.told(Some(&note)).unwrap();
    assert_eq!(second.segments.stream_time(), 500_000);
    assert_eq!(second.expired(), None, "that went with the note");
    let told = session(600_000).told(Some(&note)).unwrap_err().to_string();
    assert!(told.contains("60000 ms") && told.contains("300000"), "{told}");
    let mut other = note.clone();
    other[0] = 2;
    assert!(session(120_000).told(Some(&other)).is_err());
    assert!(session(120_000).told(Some(&note[..16])).is_err());
    let of_a_window_store = [&note[..], &[0; 4]].concat();
    assert!(session(120_000).told(Some(&of_a_window_store)).is_err());
    second.told(None).unwrap();
    assert_eq!(second.segments.stream_time(), -1);
}
