//! Requests made from their forms: random, but understandable.

use crate::server::apis::Api;

/// Random numbers by a seed, so that a run can be repeated.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// xorshift64* (Vigna, 2016).
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound.max(1)
    }

    fn bytes(&mut self, count: usize, out: &mut Vec<u8>) {
        out.extend((0..count).map(|_| (self.next() >> 24) as u8));
    }
}

/// A whole request without the length in front: header and body.
pub(super) fn request(random: &mut Random, api: &Api, version: i16) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend((api.key as i16).to_be_bytes());
    out.extend(version.to_be_bytes());
    out.extend(7_i32.to_be_bytes());
    out.extend(4_i16.to_be_bytes());
    out.extend(b"fuzz");
    let flexible = version >= api.flexible;
    if flexible {
        out.push(0);
    }
    body(random, api.shape(version), flexible, &mut out);
    out
}

/// A body by its form.
pub(super) fn body(random: &mut Random, shape: &str, flexible: bool, out: &mut Vec<u8>) {
    fields(random, shape.as_bytes(), flexible, out);
    if flexible {
        out.push(0);
    }
}

fn varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn length(length: usize, short: bool, flexible: bool, out: &mut Vec<u8>) {
    if flexible {
        varint(length + 1, out);
    } else if short {
        out.extend((length as i16).to_be_bytes());
    } else {
        out.extend((length as i32).to_be_bytes());
    }
}

fn fields(random: &mut Random, mut shape: &[u8], flexible: bool, out: &mut Vec<u8>) {
    while let Some((&field, rest)) = shape.split_first() {
        shape = rest;
        match field {
            b'1' => out.push(random.below(3) as u8),
            // Small numbers reach further than large ones.
            b'2' | b'4' | b'8' => {
                let value = random.below(5) as i64 - 1;
                out.extend(&value.to_be_bytes()[8 - usize::from(field - b'0')..]);
            }
            b'u' => random.bytes(16, out),
            b's' => {
                let text = ["", "a", "topic", "group-1"][random.below(4)];
                length(text.len(), true, flexible, out);
                out.extend(text.as_bytes());
            }
            b'b' => {
                let count = random.below(80);
                length(count, false, flexible, out);
                random.bytes(count, out);
            }
            open => {
                let mut depth = 1;
                let end = shape.iter().position(|c| {
                    depth += i32::from(b"([".contains(c)) - i32::from(b")]".contains(c));
                    depth == 0
                });
                let end = end.expect("brackets are balanced");
                let count = random.below(3);
                length(count, false, flexible, out);
                for _ in 0..count {
                    fields(random, &shape[..end], flexible, out);
                    if open == b'(' && flexible {
                        out.push(0);
                    }
                }
                shape = &shape[end + 1..];
            }
        }
    }
}
