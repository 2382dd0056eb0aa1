//! One instance.
fn main() {}
