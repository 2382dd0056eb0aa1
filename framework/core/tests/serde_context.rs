//! A serde that is made of others passes on where it is: topic, part and headers.
#![allow(clippy::unwrap_used)] // A test may panic.

use std::fmt::Debug;
use std::sync::Arc;

use oncestream_core::serde::{
    ArcSerde, DeserializeContext, DynSerde, OptionSerde, PairSerde, Part, Serde, SerdeError,
    SerializeContext, TripleSerde, fn_serde, fn_serde_in, nullable,
};
use oncestream_core::{Header, Headers};

/// Writes where it is, and reads where it is.
struct Place;

impl Serde<String> for Place {
    fn serialize(&self, value: &String, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.serialize_in(&mut SerializeContext::nowhere(), value, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<String, SerdeError> {
        self.deserialize_in(&DeserializeContext::nowhere(), bytes)
    }

    fn serialize_in(
        &self,
        ctx: &mut SerializeContext<'_>,
        _value: &String,
        out: &mut Vec<u8>,
    ) -> Result<(), SerdeError> {
        let told = format!("<{}|{}|{:?}>", ctx.topic(), ctx.part(), ctx.headers());
        out.extend_from_slice(told.as_bytes());
        if let Some(headers) = ctx.headers_mut() {
            headers.add("seen", None);
        }
        Ok(())
    }

    fn deserialize_in(&self, ctx: &DeserializeContext<'_>, _: &[u8]) -> Result<String, SerdeError> {
        Ok(format!("<{}|{}|{:?}>", ctx.topic(), ctx.part(), ctx.headers()))
    }
}

fn place() -> DynSerde<String> {
    Arc::new(Place)
}

/// How many of its parts a serde has told where they are: when they were written, and when read.
fn told<T: Debug>(serde: &dyn Serde<T>, value: &T) -> (usize, usize) {
    let mut headers = Headers::from([Header::new("first", None)]);
    let mut out = Vec::new();
    let mut ctx = SerializeContext::new("orders", Part::Key).with_headers(&mut headers);
    assert!(nullable::write(serde, &mut ctx, value, &mut out).unwrap());
    let written = String::from_utf8_lossy(&out).matches("<orders|key|[first=null").count();
    assert_eq!(headers.all("seen").count(), written, "each has added to the same headers");
    let headers = Headers::from([Header::new("second", None)]);
    let ctx = DeserializeContext::new("refunds", Part::Value).with_headers(&headers);
    let read = format!("{:?}", nullable::read(serde, &ctx, Some(&out)).unwrap());
    (written, read.matches("<refunds|value|[second=null]>").count())
}

#[test]
fn every_serde_that_is_made_of_others_passes_the_context_on() {
    let x = || "x".to_owned();
    assert_eq!(told(&Place, &x()), (1, 1));
    assert_eq!(told(&OptionSerde::new(place()), &Some(x())), (1, 1));
    assert_eq!(told(&ArcSerde::new(place()), &Arc::new(x())), (1, 1));
    assert_eq!(told(&PairSerde::new(place(), place()), &(x(), x())), (2, 2));
    assert_eq!(told(&TripleSerde::new(place(), place(), place()), &(x(), x(), x())), (3, 3));
    let function = fn_serde_in(
        |ctx: &mut SerializeContext<'_>, value: &String, out: &mut Vec<u8>| {
            Place.serialize_in(ctx, value, out)
        },
        |ctx, bytes| Place.deserialize_in(ctx, bytes),
    );
    assert_eq!(told(&function, &x()), (1, 1));
    let nested = OptionSerde::new(Arc::new(PairSerde::new(
        place(),
        Arc::new(ArcSerde::new(Arc::new(OptionSerde::new(place())))),
    )));
    assert_eq!(told(&nested, &Some((x(), Arc::new(Some(x()))))), (2, 2));
}

/// The control: a serde that forgets where it is, is found out by the test above.
#[test]
fn a_serde_that_forgets_the_context_tells_nothing() {
    let forgets = fn_serde(
        |value: &String, out: &mut Vec<u8>| Place.serialize(value, out),
        |bytes| Place.deserialize(bytes),
    );
    assert_eq!(told(&forgets, &"x".to_owned()), (0, 0));
}

#[test]
fn without_a_context_there_is_no_topic_and_there_are_no_headers() {
    let mut out = Vec::new();
    PairSerde::new(place(), place()).serialize(&("x".into(), "x".into()), &mut out).unwrap();
    assert_eq!(String::from_utf8_lossy(&out).matches("<|value|[]>").count(), 2);
    assert_eq!(OptionSerde::new(place()).deserialize(b"").unwrap().unwrap(), "<|value|[]>");
    assert!(SerializeContext::new("a store's changelog", Part::Value).headers_mut().is_none());
}
