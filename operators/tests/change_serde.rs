//! The bytes of a [`Change`] against those of Kafka's `ChangedSerializer` (`data/Describe.java`).
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

use std::sync::Arc;

use oncestream_core::serde::{
    DeserializeContext, HasSerde, Part, Serde, SerializeContext, fn_serde_in,
};
use oncestream_operators::{Change, ChangeSerde};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat()
}

fn part(text: &str) -> Option<String> {
    (text != "-").then(|| text.trim_matches('\'').to_owned())
}

#[test]
fn changes_have_kafkas_bytes_and_read_back() {
    let serde = ChangeSerde::new(String::serde());
    let mut cases = 0;
    for line in include_str!("data/change_serde.txt").lines() {
        let columns: Vec<&str> = line.split(' ').collect();
        let change = Change::latest(part(columns[0]), part(columns[1]));
        let mut bytes = Vec::new();
        serde.serialize(&change, &mut bytes).unwrap();
        assert_eq!(hex(&bytes), columns[2], "{line}");
        assert_eq!(serde.deserialize(&bytes).unwrap(), change, "{line}");
        cases += 1;
    }
    assert_eq!(cases, 7);
}

#[test]
fn the_formats_with_the_latest_flag_are_read() {
    let serde = ChangeSerde::new(String::serde());
    let read = |bytes: &[u8]| serde.deserialize(bytes).unwrap();
    assert_eq!(read(b"old\x01\x03"), Change::latest(None, Some("old".into())));
    let older = Change { is_latest: false, ..Change::latest(Some("new".into()), None) };
    assert_eq!(read(b"new\x00\x04"), older);
    let both = Change::latest(Some("new".into()), Some("old".into()));
    assert_eq!(read(b"\x06newold\x01\x05"), both);
}

#[test]
fn what_is_no_change_is_refused() {
    let serde = ChangeSerde::new(String::serde());
    let mut out = Vec::new();
    assert!(serde.serialize(&Change::latest(None, None), &mut out).is_err());
    for bytes in [&b""[..], b"new\x07", b"new\x02\x04", b"\x08new\x02", b"\x80\x02", b"\x02"] {
        assert!(serde.deserialize(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn a_null_inside_the_change_is_an_absent_half() {
    let serde = ChangeSerde::new(Option::<String>::serde());
    let mut out = Vec::new();
    serde.serialize(&Change::latest(Some(None), Some(Some("a".into()))), &mut out).unwrap();
    assert_eq!(out, b"a\x00");
}

#[test]
fn both_values_are_told_where_the_change_is() {
    let serde = ChangeSerde::new(Arc::new(fn_serde_in(
        |ctx, _: &String, out| {
            out.extend_from_slice(ctx.topic().as_bytes());
            Ok(())
        },
        |ctx, _| Ok(format!("{} of {}", ctx.part(), ctx.topic())),
    )));
    let mut out = Vec::new();
    let change = Change::latest(Some("n".to_owned()), Some("o".to_owned()));
    let mut ctx = SerializeContext::new("changes", Part::Value);
    serde.serialize_in(&mut ctx, &change, &mut out).unwrap();
    assert_eq!(out, b"\x0echangeschanges\x02");
    for bytes in [&b"\x02no\x02"[..], b"n\x01", b"o\x00"] {
        let read = serde.deserialize_in(&DeserializeContext::new("changes", Part::Value), bytes);
        let Change { new, old, .. } = read.unwrap();
        for value in [new, old].into_iter().flatten() {
            assert_eq!(value, "value of changes");
        }
    }
}
