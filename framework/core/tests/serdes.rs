//! What the serdes promise: Kafka's own bytes, everything written can be read back, and bytes
//! that are malformed give an error. Owns `data/kafka_serializers.txt`, printed by Apache Kafka.
#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use oncestream_core::serde::{
    DynSerde, HasSerde, JsonSerde, OptionSerde, PairSerde, Serde, SerdeError, U16Serde, U32Serde,
    U64Serde, UnitSerde, fn_serde,
};
use proptest::prelude::*;
use uuid::Uuid;

const GOLDEN: &str = include_str!("data/kafka_serializers.txt");

/// What Kafka reads and we refuse, as the serdes' documentation says: text that is not UTF-8,
/// and UUIDs with leading zeros left out.
const REFUSED_HERE_ALONE: [(&str, &str); 9] = [
    ("string", "0xff"),
    ("string", "0x618062"),
    ("string", "0xe282"),
    ("string", "0xf09f98"),
    ("string", "0xc0af"),
    ("string", "0xeda080"),
    ("string", "0xf4908080"),
    ("uuid", "0x31323365343536372d653839622d313264332d613435362d3432363631343137343030"),
    ("uuid", "0x312d312d312d312d31"),
];

fn to_bytes<T>(serde: &dyn Serde<T>, value: &T) -> Result<Vec<u8>, SerdeError> {
    let mut out = b"kept".to_vec();
    serde.serialize(value, &mut out)?;
    Ok(out.strip_prefix(b"kept").unwrap().to_vec())
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("0x").unwrap();
    (0..digits.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
        .collect()
}

/// A type in the golden table: how its values are spelt there, and when two are the same.
trait Golden: HasSerde + Debug + PartialEq + 'static {
    fn parse(text: &str) -> Self;
    fn same(&self, other: &Self) -> bool {
        self == other
    }
    /// What is read back after Kafka wrote this value.
    fn written_by_kafka(self) -> Self {
        self
    }
}

macro_rules! golden_by_from_str {
    ($($t:ty)*) => {$(impl Golden for $t {
        fn parse(text: &str) -> Self { text.parse().unwrap() }
    })*};
}
golden_by_from_str!(i16 i32 i64 bool);

impl Golden for f32 {
    fn parse(text: &str) -> Self {
        let bits = text.strip_prefix("bits:").map(|b| u32::from_str_radix(b, 16).unwrap());
        bits.map_or_else(|| text.parse().unwrap(), f32::from_bits)
    }
    fn same(&self, other: &Self) -> bool {
        self.to_bits() == other.to_bits()
    }
}

impl Golden for f64 {
    fn parse(text: &str) -> Self {
        let bits = text.strip_prefix("bits:").map(|b| u64::from_str_radix(b, 16).unwrap());
        bits.map_or_else(|| text.parse().unwrap(), f64::from_bits)
    }
    fn same(&self, other: &Self) -> bool {
        self.to_bits() == other.to_bits()
    }
    fn written_by_kafka(self) -> Self {
        if self.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { self }
    }
}

impl Golden for String {
    fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap()
    }
}

impl Golden for Arc<str> {
    fn parse(text: &str) -> Self {
        String::parse(text).into()
    }
}

impl Golden for Vec<u8> {
    fn parse(text: &str) -> Self {
        let signed: Vec<i8> = serde_json::from_str(text).unwrap();
        signed.into_iter().map(i8::cast_unsigned).collect()
    }
}

impl Golden for () {
    fn parse(text: &str) -> Self {
        panic!("Kafka has no void value {text}");
    }
}

impl Golden for Uuid {
    fn parse(text: &str) -> Self {
        let (most, least) = text.split_once(',').unwrap();
        let long = |text: &str| text.parse::<i64>().unwrap().cast_unsigned();
        Uuid::from_u64_pair(long(most), long(least))
    }
}

fn check_write<T: Golden>(value: &str, bytes: &str) {
    assert_eq!(value == "null", bytes == "null", "only a null is written as null");
    if value == "null" {
        let nullable = Option::<T>::serde();
        assert!(nullable.is_null(&None));
        assert!(nullable.serialize(&None, &mut Vec::new()).is_err());
        assert_eq!(nullable.from_null().unwrap(), None);
        return;
    }
    let value = T::parse(value);
    let bytes = unhex(bytes);
    assert_eq!(to_bytes(&*T::serde(), &value).unwrap(), bytes, "{value:?}");
    let read = T::serde().deserialize(&bytes).unwrap();
    let expected = value.written_by_kafka();
    assert!(read.same(&expected), "{read:?} is not {expected:?}");
    let nullable = Option::<T>::serde();
    assert!(nullable.deserialize(&bytes).unwrap().unwrap().same(&expected));
    assert!(!T::serde().is_null(&expected));
    assert_eq!(to_bytes(&*nullable, &Some(expected)).unwrap(), bytes);
}

fn check_read<T: Golden>(bytes: &str, value: &str, refused_here: bool) {
    let read = T::serde().deserialize(&unhex(bytes));
    match (value, refused_here) {
        ("refused", _) | (_, true) => assert!(read.is_err(), "{bytes} was read as {read:?}"),
        (value, false) => {
            let read = read.unwrap();
            assert!(read.same(&T::parse(value)), "{read:?} is not {value}");
        }
    }
}

fn check_line<T: Golden>(fields: &[&str]) -> bool {
    let refused_here = REFUSED_HERE_ALONE.contains(&(fields[1], fields[2]));
    match fields[0] {
        "write" => check_write::<T>(fields[2], fields[3]),
        "read" => check_read::<T>(fields[2], fields[3], refused_here),
        other => panic!("unknown line {other}"),
    }
    refused_here
}

fn golden_lines() -> impl Iterator<Item = Vec<&'static str>> {
    GOLDEN.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
}

#[test]
fn bytes_are_those_of_kafkas_serializers_both_ways() {
    let mut types = BTreeSet::new();
    let mut differences = 0;
    for fields in golden_lines() {
        println!("{fields:?}"); // shown only when the test fails
        types.insert(fields[1]);
        differences += usize::from(match fields[1] {
            "short" => check_line::<i16>(&fields),
            "integer" => check_line::<i32>(&fields),
            "long" => check_line::<i64>(&fields),
            "float" => check_line::<f32>(&fields),
            "double" => check_line::<f64>(&fields),
            "boolean" => check_line::<bool>(&fields),
            "string" => check_line::<Arc<str>>(&fields) & check_line::<String>(&fields),
            "bytes" => check_line::<Vec<u8>>(&fields),
            "void" => check_line::<()>(&fields),
            "uuid" => check_line::<Uuid>(&fields),
            other => panic!("unknown type {other}"),
        });
    }
    assert_eq!(types.len(), 10, "the table lacks a type: {types:?}");
    assert_eq!(differences, REFUSED_HERE_ALONE.len(), "the table lacks a known difference");
}

#[test]
fn unsigned_numbers_have_the_bits_of_kafkas_signed_ones() {
    let mut checked = 0;
    for fields in golden_lines().filter(|fields| fields[0] == "write" && fields[2] != "null") {
        let number = || fields[2].parse::<i64>().unwrap();
        let written = match fields[1] {
            "short" => to_bytes(&U16Serde, &(number() as u16)),
            "integer" => to_bytes(&U32Serde, &(number() as u32)),
            "long" => to_bytes(&U64Serde, &number().cast_unsigned()),
            _ => continue,
        };
        assert_eq!(written.unwrap(), unhex(fields[3]), "{fields:?}");
        checked += 1;
    }
    assert_eq!(checked, 22);
}

#[test]
fn only_an_option_and_unit_accept_a_null() {
    let refused = |result: Result<String, SerdeError>| {
        assert!(matches!(result, Err(SerdeError::Null { .. })), "{result:?}");
    };
    refused(String::serde().from_null());
    refused(JsonSerde::<String>::new().from_null());
    refused(fn_serde(|_: &String, _| Ok(()), |_| Ok(String::new())).from_null());
    assert!(matches!(i64::serde().from_null(), Err(SerdeError::Null { .. })));
    assert!(matches!(<(i64, i64)>::serde().from_null(), Err(SerdeError::Null { .. })));
    assert!(UnitSerde.is_null(&()) && UnitSerde.from_null().is_ok());
    assert!(UnitSerde.serialize(&(), &mut Vec::new()).is_err());
}

#[test]
fn some_of_a_null_is_a_null_and_has_no_bytes() {
    let nested = OptionSerde::new(Option::<i32>::serde());
    assert!(nested.is_null(&Some(None)) && nested.is_null(&None));
    assert!(!nested.is_null(&Some(Some(0))));
    assert!(to_bytes(&nested, &Some(None)).is_err());
    assert!(Option::<()>::serde().is_null(&Some(())));
    assert!(<Arc<Option<i32>>>::serde().is_null(&Arc::new(None)));
    assert_eq!(*<Arc<Option<i32>>>::serde().from_null().unwrap(), None);
    assert!(to_bytes(&*Option::<()>::serde(), &Some(())).is_err());
}

#[test]
fn a_pair_keeps_a_null_part_apart_from_an_empty_one() {
    let serde = PairSerde::new(Option::<String>::serde(), <()>::serde());
    let null = to_bytes(&serde, &(None, ())).unwrap();
    let empty = to_bytes(&serde, &(Some(String::new()), ())).unwrap();
    assert_eq!(null, [0xff; 8]);
    assert_eq!(empty, [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(serde.deserialize(&null).unwrap(), (None, ()));
    assert_eq!(serde.deserialize(&empty).unwrap(), (Some(String::new()), ()));
    // A null where the part has none, and a length that is negative but no null.
    assert!(<(String, String)>::serde().deserialize(&null).is_err());
    assert!(serde.deserialize(&[0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff]).is_err());
}

#[test]
fn json_refuses_what_it_cannot_express_and_what_follows_a_value() {
    let map = JsonSerde::<BTreeMap<(u8, u8), u8>>::new();
    assert!(to_bytes(&map, &BTreeMap::from([((1, 2), 3)])).is_err());
    assert!(JsonSerde::<u8>::new().deserialize(b"1 2").is_err());
    let deep = "[".repeat(1_000_000);
    assert!(JsonSerde::<serde_json::Value>::new().deserialize(deep.as_bytes()).is_err());
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
enum Event {
    Opened,
    Named(String),
    Paid { id: u64, cents: i64, notes: Vec<Option<String>> },
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Opened),
        any::<String>().prop_map(Event::Named),
        (any::<u64>(), any::<i64>(), any::<Vec<Option<String>>>())
            .prop_map(|(id, cents, notes)| Event::Paid { id, cents, notes }),
    ]
}

fn hex_serde() -> DynSerde<u32> {
    Arc::new(fn_serde(
        |value: &u32, out| {
            out.extend_from_slice(format!("{value:08x}").as_bytes());
            Ok(())
        },
        |bytes| {
            let text = std::str::from_utf8(bytes).map_err(SerdeError::format::<u32>)?;
            u32::from_str_radix(text, 16).map_err(SerdeError::format::<u32>)
        },
    ))
}

/// Writes and reads back, and then reads every proper prefix: none of them is a value.
fn whole_or_refused<T: Debug + PartialEq>(
    serde: &dyn Serde<T>,
    value: &T,
) -> Result<(), TestCaseError> {
    let bytes = to_bytes(serde, value).unwrap();
    prop_assert_eq!(&serde.deserialize(&bytes).unwrap(), value);
    for end in 0..bytes.len() {
        let read = serde.deserialize(&bytes[..end]);
        prop_assert!(read.is_err(), "{} of {} bytes: {:?}", end, bytes.len(), read);
    }
    Ok(())
}

/// Bytes of a format with one spelling per value: refused, or written back just as they were.
fn refused_or_exact<T: Debug>(serde: &dyn Serde<T>, bytes: &[u8]) -> Result<bool, TestCaseError> {
    let Ok(value) = serde.deserialize(bytes) else { return Ok(false) };
    prop_assert_eq!(to_bytes(serde, &value).unwrap(), bytes, "{:?}", value);
    Ok(true)
}

proptest! {
    #[test]
    fn numbers_are_read_back_and_never_cut(
        a: (i8, i16, i32, i64), b: (u8, u16, u32, u64), c: (f32, f64, bool),
    ) {
        whole_or_refused(&*i8::serde(), &a.0)?;
        whole_or_refused(&*i16::serde(), &a.1)?;
        whole_or_refused(&*i32::serde(), &a.2)?;
        whole_or_refused(&*i64::serde(), &a.3)?;
        whole_or_refused(&*u8::serde(), &b.0)?;
        whole_or_refused(&*u16::serde(), &b.1)?;
        whole_or_refused(&*u32::serde(), &b.2)?;
        whole_or_refused(&*u64::serde(), &b.3)?;
        whole_or_refused(&*f32::serde(), &c.0)?;
        whole_or_refused(&*f64::serde(), &c.1)?;
        whole_or_refused(&*bool::serde(), &c.2)?;
    }

    #[test]
    fn wide_and_sized_numbers_are_read_back_and_never_cut(
        a: (i128, u128), b: (isize, usize), hash: [u8; 20],
    ) {
        whole_or_refused(&*i128::serde(), &a.0)?;
        whole_or_refused(&*u128::serde(), &a.1)?;
        whole_or_refused(&*isize::serde(), &b.0)?;
        whole_or_refused(&*usize::serde(), &b.1)?;
        whole_or_refused(&*<[u8; 20]>::serde(), &hash)?;
        // The same on every machine.
        prop_assert_eq!(to_bytes(&*usize::serde(), &b.1).unwrap(), (b.1 as u64).to_be_bytes());
        prop_assert_eq!(to_bytes(&*isize::serde(), &b.0).unwrap(), (b.0 as i64).to_be_bytes());
    }

    #[test]
    fn text_and_bytes_are_read_back(text: String, bytes: Vec<u8>) {
        let written = to_bytes(&*String::serde(), &text).unwrap();
        prop_assert_eq!(String::serde().deserialize(&written).unwrap(), text.clone());
        let shared: Arc<str> = text.as_str().into();
        prop_assert_eq!(to_bytes(&*<Arc<str>>::serde(), &shared).unwrap(), written.clone());
        prop_assert_eq!(<Arc<str>>::serde().deserialize(&written).unwrap(), shared);
        let boxed: Box<str> = text.as_str().into();
        prop_assert_eq!(to_bytes(&*<Box<str>>::serde(), &boxed).unwrap(), written.clone());
        prop_assert_eq!(<Box<str>>::serde().deserialize(&written).unwrap(), boxed);
        let written = to_bytes(&*<Vec<u8>>::serde(), &bytes).unwrap();
        prop_assert_eq!(<Vec<u8>>::serde().deserialize(&written).unwrap(), bytes);
        let shared: Arc<[u8]> = written.as_slice().into();
        prop_assert_eq!(to_bytes(&*<Arc<[u8]>>::serde(), &shared).unwrap(), written.clone());
        prop_assert_eq!(<Arc<[u8]>>::serde().deserialize(&written).unwrap(), shared);
    }

    #[test]
    fn compound_formats_are_read_back_and_never_cut(
        id: u128, number: u32, pair: (Option<String>, i64), nested: ((String, Vec<u8>), bool),
        event in any_event(),
    ) {
        whole_or_refused(&*Uuid::serde(), &Uuid::from_u128(id))?;
        whole_or_refused(&*<(Option<String>, i64)>::serde(), &pair)?;
        whole_or_refused(&*<((String, Vec<u8>), bool)>::serde(), &nested)?;
        whole_or_refused(&*<(u32, Option<String>, i64)>::serde(), &(number, pair.0.clone(), pair.1))?;
        whole_or_refused(&*<Arc<(Option<String>, i64)>>::serde(), &Arc::new(pair))?;
        whole_or_refused(&*JsonSerde::dynamic(), &event)?;
        let written = to_bytes(&*hex_serde(), &number).unwrap();
        prop_assert_eq!(hex_serde().deserialize(&written).unwrap(), number);
    }

    #[test]
    fn any_bytes_are_refused_or_are_a_value(bytes in malformed()) {
        refused_or_exact(&*i8::serde(), &bytes)?;
        refused_or_exact(&*i16::serde(), &bytes)?;
        refused_or_exact(&*i32::serde(), &bytes)?;
        refused_or_exact(&*i64::serde(), &bytes)?;
        refused_or_exact(&*u8::serde(), &bytes)?;
        refused_or_exact(&*u16::serde(), &bytes)?;
        refused_or_exact(&*u32::serde(), &bytes)?;
        refused_or_exact(&*u64::serde(), &bytes)?;
        refused_or_exact(&*f32::serde(), &bytes)?;
        prop_assert_eq!(f64::serde().deserialize(&bytes).is_ok(), bytes.len() == 8);
        refused_or_exact(&*bool::serde(), &bytes)?;
        let text = refused_or_exact(&*String::serde(), &bytes)?;
        prop_assert_eq!(text, std::str::from_utf8(&bytes).is_ok());
        refused_or_exact(&*<Arc<str>>::serde(), &bytes)?;
        prop_assert!(refused_or_exact(&*<Vec<u8>>::serde(), &bytes)?);
        prop_assert!(<()>::serde().deserialize(&bytes).is_err());
        refused_or_exact(&*Option::<i32>::serde(), &bytes)?;
        refused_or_exact(&*<(Vec<u8>, Option<Vec<u8>>)>::serde(), &bytes)?;
        refused_or_exact(&*<(Vec<u8>, u8, Option<Vec<u8>>)>::serde(), &bytes)?;
        refused_or_exact(&*<[u8; 4]>::serde(), &bytes)?;
        refused_or_exact(&*i128::serde(), &bytes)?;
        let _ = Uuid::serde().deserialize(&bytes); // letters may be of either case
        let _ = JsonSerde::<Event>::new().deserialize(&bytes); // spaces may be anywhere
        let _ = JsonSerde::<serde_json::Value>::new().deserialize(&bytes);
        let _ = hex_serde().deserialize(&bytes);
    }
}

/// Bytes at random; bytes near to a UUID, to a pair and to JSON; and huge lengths for bincode.
fn malformed() -> impl Strategy<Value = Vec<u8>> {
    let noise = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        noise(),
        noise().prop_map(|tail| [&[0, 0, 0, 2, 7, 7, 0, 0, 0][..], &tail].concat()),
        noise().prop_map(|tail| [&[0, 0, 0, 3][..], &tail].concat()),
        noise().prop_map(|tail| [&[1, 253][..], &tail].concat()),
        noise().prop_map(|tail| [&[2, 1, 2, 250][..], &tail].concat()),
        "[0-9a-fA-F-]{36}".prop_map(String::into_bytes),
        "[\\[\\]{}:,\"a-f0-9 \\\\.-]{0,40}".prop_map(String::into_bytes),
        "\\{\"(Named|Paid)\": ?[\\[\\]{}:,\"a-z0-9\\\\]{0,30}".prop_map(String::into_bytes),
    ]
}

#[cfg(feature = "bincode")]
mod bincode {
    use oncestream_core::serde::BincodeSerde;

    use super::*;

    proptest! {
        #[test]
        fn bincode_is_read_back_and_never_cut(event in any_event()) {
            whole_or_refused(&*BincodeSerde::dynamic(), &event)?;
        }

        #[test]
        fn bincode_survives_any_bytes(bytes in malformed()) {
            let _ = BincodeSerde::<Event>::new().deserialize(&bytes);
            let _ = BincodeSerde::<Vec<String>>::new().deserialize(&bytes);
            let _ = BincodeSerde::<(String, Vec<u8>)>::new().deserialize(&bytes);
        }
    }

    #[test]
    fn bincode_survives_a_length_that_no_memory_could_hold() {
        // 253 announces a length of eight bytes.
        let mut bytes = vec![0xff; 9];
        bytes[0] = 253;
        assert!(BincodeSerde::<String>::new().deserialize(&bytes).is_err());
        assert!(BincodeSerde::<Vec<u64>>::new().deserialize(&bytes).is_err());
    }

    #[test]
    fn bincode_reads_back_what_it_wrote_at_every_limit_of_size() {
        let serde = BincodeSerde::<Vec<u128>>::new();
        for limit in [4 << 10, 1 << 20] {
            // The length itself takes 3 or 5 bytes: just at the limit, and just over it.
            for length in [limit - 5, limit - 3, limit - 2] {
                // The worst case: each element takes 16 bytes in memory and one when written.
                let value = vec![1_u128; length];
                let bytes = to_bytes(&serde, &value).unwrap();
                assert_eq!(serde.deserialize(&bytes).unwrap(), value);
            }
        }
        let bytes = BincodeSerde::<Vec<u8>>::new();
        assert!(to_bytes(&bytes, &vec![0; 64 << 20]).is_err());
        assert!(bytes.deserialize(&vec![0; (64 << 20) + 1]).is_err());
    }

    #[test]
    fn bincode_refuses_bytes_after_the_value() {
        assert!(BincodeSerde::<u8>::new().deserialize(&[1, 2]).is_err());
    }
}
