//! Tests of the protocol's edge: forms of requests, and bytes that are no requests.

mod bad_input;
mod frames;
mod shape;
mod starved;
