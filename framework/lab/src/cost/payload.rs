//! The values of records: a number, and bytes that do not compress. Pure.

/// Where the noise of a value begins differs from record to record, within so many bytes.
const NOISE: usize = 1 << 16;

/// Makes the values of records.
pub(super) struct Payload {
    noise: Vec<u8>,
    value: Vec<u8>,
}

impl Payload {
    /// Values of so many bytes, 8 at least.
    pub(super) fn new(bytes: usize) -> Self {
        let bytes = bytes.max(size_of::<u64>());
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let noise = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        });
        Self { noise: noise.take(NOISE + bytes).collect(), value: vec![0; bytes] }
    }

    /// The value of a record.
    pub(super) fn numbered(&mut self, number: u64) -> &[u8] {
        let begin = (number as usize).wrapping_mul(61) % NOISE;
        let length = self.value.len();
        self.value.copy_from_slice(&self.noise[begin..begin + length]);
        self.value[..size_of::<u64>()].copy_from_slice(&number.to_be_bytes());
        &self.value
    }
}

/// The number of the record with this value.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    value.first_chunk().map(|number| u64::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_value_has_its_size_and_tells_its_number() {
        for bytes in [8, 9, 100, 200_000] {
            let mut payload = Payload::new(bytes);
            for n in [0, 1, 77_777, u64::MAX] {
                let value = payload.numbered(n);
                assert_eq!((value.len(), number(value)), (bytes, Some(n)));
            }
        }
        assert_eq!(number(&[1, 2]), None);
    }
}
