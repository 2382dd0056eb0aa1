//! The derives of serdes, on the shapes that types have.
#![allow(clippy::unwrap_used)] // A test may panic.

extern crate oncestream_core as oncestream;

use std::fmt::Debug;

use oncestream::serde::{HasSerde, Json, JsonSerde};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

fn written<T: HasSerde>(value: &T) -> String {
    let mut out = Vec::new();
    T::serde().serialize(value, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn reads_back<T: HasSerde + Debug + PartialEq>(value: &T) {
    assert_eq!(T::serde().deserialize(written(value).as_bytes()).unwrap(), *value);
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSerde)]
struct Order {
    id: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSerde)]
enum Event {
    Opened,
    Paid { cents: i64 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSerde)]
struct Name(String);

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSerde)]
struct Page<T = u8, const N: usize = 0> {
    items: Vec<T>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSerde)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: DeserializeOwned"))]
struct Bound<T>
where
    T: Clone,
{
    first: T,
}

#[test]
fn structs_enums_and_generic_types_have_a_serde() {
    assert_eq!(written(&Order { id: 7 }), r#"{"id":7}"#);
    assert_eq!(written(&Event::Opened), r#""Opened""#);
    reads_back(&Order { id: 7 });
    reads_back(&Event::Paid { cents: 1 });
    reads_back(&Name("Ada".into()));
    reads_back(&Page::<Order, 3> { items: vec![Order { id: 1 }] });
    reads_back(&Bound { first: "a".to_owned() });
}

#[test]
fn a_type_of_another_crate_travels_in_a_wrapper() {
    let value = Json(serde_json::json!({ "a": [1, null] }));
    assert_eq!(written(&value), r#"{"a":[1,null]}"#);
    assert!(value.is_object());
    reads_back(&value);
    let versions = Json::from(vec![(1, "a".to_owned())]);
    reads_back(&versions);
    assert_eq!((versions < Json(Vec::new()), versions.len()), (false, 1));
}

#[cfg(feature = "bincode")]
#[test]
fn bincode_is_derived_and_wrapped_alike() {
    use oncestream::serde::{Bincode, BincodeSerde};

    #[derive(Debug, PartialEq, Serialize, Deserialize, BincodeSerde)]
    struct Pair<T> {
        left: T,
        right: u8,
    }
    let pair = Pair { left: 1_u16, right: 2 };
    reads_back(&pair);
    assert_eq!(written(&pair).as_bytes(), [1, 2]);
    assert_eq!(written(&Bincode((1_u16, 2_u8))).as_bytes(), [1, 2]);
}
