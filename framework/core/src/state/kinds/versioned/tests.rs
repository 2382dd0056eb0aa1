//! The versioned kind by itself.

use super::*;

fn row_key(kind: &Versioned, key: &str, from: TimestampMs) -> Vec<u8> {
    let mut bytes = key.as_bytes().to_vec();
    kind.frame(&VersionKey { key: key.to_owned(), from }, &mut bytes);
    bytes
}

fn versioned(retention_ms: u64) -> Versioned {
    Versioned::new(Duration::from_millis(retention_ms))
}

#[test]
fn the_changelog_key_is_the_users_and_the_time_is_the_records() {
    let kind = versioned(100);
    for (key, from) in [("", 0), ("k", 7), ("a\0", i64::MAX)] {
        let row = row_key(&kind, key, from);
        let changelog_key = Kind::<String>::changelog_key(&kind, &row);
        assert_eq!(changelog_key, key.as_bytes());
        let again = Kind::<String>::row_key(&kind, changelog_key, from);
        assert_eq!(again.as_deref(), Some(&row[..]));
        assert_eq!(Kind::<String>::user_bytes(&kind, &row), Some(key.as_bytes()));
        let found = kind.key(key.to_owned(), &row);
        assert_eq!(found, Some(VersionKey { key: key.to_owned(), from }));
    }
    assert_eq!(Kind::<String>::user_bytes(&kind, b"no row"), None);
}

#[test]
fn no_row_of_another_key_lies_between_the_versions_of_one() {
    let kind = versioned(100);
    let mut rows = Vec::new();
    for key in ["", "\0", "a", "a\0", "ab", "b", "\0\0\0\0\0\0\0\0\0"] {
        rows.extend([0, 1, i64::MAX].map(|from| (row_key(&kind, key, from), key, from)));
    }
    rows.sort();
    for versions in rows.chunks(3) {
        assert!(versions.iter().all(|(_, key, _)| *key == versions[0].1), "{versions:?}");
        assert_eq!(versions.iter().map(|v| v.2).collect::<Vec<_>>(), [0, 1, i64::MAX]);
    }
    let last = row_key(&kind, &"k".repeat(crate::state::MAX_KEY_BYTES - FRAME_LEN), i64::MAX);
    assert!(last[..] < *NOTE_KEY);
}

#[test]
fn a_version_may_be_as_late_as_the_history_is_long() {
    let mut kind = versioned(100);
    let mut put = |from| kind.admit(&VersionKey { key: (), from });
    assert!(put(1_000) && put(900) && !put(899) && put(1_001) && !put(900));
    let mut none = versioned(0);
    let mut put = |from| none.admit(&VersionKey { key: (), from });
    assert!(put(5) && put(5) && !put(4), "without a history the newest may be replaced");
}

#[test]
fn the_note_has_the_time_and_is_refused_in_another_version() {
    let mut kind = versioned(100);
    kind.admit(&VersionKey { key: (), from: 1_000 });
    let note = Kind::<()>::note(&kind);
    assert_eq!(note, [&[1][..], &1_000_i64.to_be_bytes()].concat());
    let mut other = versioned(50);
    Kind::<()>::read_note(&mut other, Some(&note)).unwrap();
    assert_eq!((other.first_shown(), other.history_retention_ms()), (950, 50));
    Kind::<()>::read_note(&mut other, None).unwrap();
    assert_eq!(other.first_shown(), 0);
    let refused = Kind::<()>::read_note(&mut other, Some(&[2; 9])).unwrap_err().to_string();
    assert!(refused.contains("a versioned store"), "{refused}");
}
