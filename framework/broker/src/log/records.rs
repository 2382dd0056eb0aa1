//! The records inside a batch's uncompressed body: walking over them and writing them.
//!
//! It does not know offsets or timestamps, only their deltas; the header makes them absolute.
//! Invariant: whatever the bytes are, walking ends in a record, the end, or [`Malformed`]; nothing
//! is allocated for a count that the bytes do not bear out.

/// The body of a batch is not what its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Malformed {
    pub(crate) reason: &'static str,
}

const fn malformed(reason: &'static str) -> Malformed {
    Malformed { reason }
}

const SHORT: Malformed = malformed("Found invalid record structure");

/// One record, borrowed from the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    /// The headers in their encoded form, their count first.
    pub(crate) headers: &'a [u8],
}

impl<'a> Record<'a> {
    /// The headers, one by one.
    ///
    /// # Errors
    /// [`Malformed`], if the record was not made by [`Records`].
    pub(crate) fn headers(&self) -> Result<Vec<(&'a [u8], Option<&'a [u8]>)>, Malformed> {
        let mut reader = Reader { rest: self.headers };
        let mut headers = Vec::new();
        for _ in 0..reader.varint()? {
            let name = reader.nullable()?.ok_or(SHORT)?;
            headers.push((name, reader.nullable()?));
        }
        Ok(headers)
    }

    /// Writes the record behind others, with this timestamp delta.
    pub(crate) fn write(&self, timestamp_delta: i64, body: &mut Vec<u8>) {
        let mut inner = Vec::with_capacity(32);
        inner.push(0);
        put_varlong(&mut inner, timestamp_delta);
        put_varlong(&mut inner, self.offset_delta.into());
        put_nullable(&mut inner, self.key);
        put_nullable(&mut inner, self.value);
        inner.extend_from_slice(self.headers);
        put_varlong(body, inner.len() as i64);
        body.extend_from_slice(&inner);
    }
}

/// Walks over the records of a body.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    reader: Reader<'a>,
    left: i32,
}

impl<'a> Records<'a> {
    /// The `count` records that `body` must consist of.
    pub(crate) fn new(body: &'a [u8], count: i32) -> Self {
        Self { reader: Reader { rest: body }, left: count }
    }

    fn record(&mut self) -> Result<Record<'a>, Malformed> {
        let size = usize::try_from(self.reader.varint()?).map_err(|_| SHORT)?;
        let mut reader = Reader { rest: self.reader.take(size)? };
        reader.byte()?;
        let timestamp_delta = reader.varlong()?;
        let offset_delta = reader.varint()?;
        let key = reader.nullable()?;
        let value = reader.nullable()?;
        let headers = reader.rest;
        let header_count = reader.varint()?;
        if header_count < 0 {
            return Err(malformed("Found invalid number of record headers"));
        }
        for _ in 0..header_count {
            reader.nullable()?.ok_or(malformed("Invalid null header key"))?;
            reader.nullable()?;
        }
        if !reader.rest.is_empty() {
            return Err(malformed("Invalid record size: the record ends before its size"));
        }
        Ok(Record { timestamp_delta, offset_delta, key, value, headers })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        let mut record = self.record();
        if self.left == 0 && record.is_ok() && !self.reader.rest.is_empty() {
            record = Err(malformed("Incorrect declared batch size, records still remaining"));
        }
        if record.is_err() {
            self.left = 0;
        }
        Some(record)
    }
}

#[derive(Debug)]
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*first)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varlong(&mut self) -> Result<i64, Malformed> {
        let mut raw = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            raw |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((raw >> 1) as i64 ^ -((raw & 1) as i64));
            }
        }
        Err(malformed("Found a number that is too long"))
    }

    fn varint(&mut self) -> Result<i32, Malformed> {
        i32::try_from(self.varlong()?).map_err(|_| malformed("Found a number that is too large"))
    }

    /// Bytes with their length; a negative length is null.
    fn nullable(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match usize::try_from(self.varint()?) {
            Ok(len) => self.take(len).map(Some),
            Err(_) => Ok(None),
        }
    }
}

pub(super) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)) as u64;
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

pub(super) fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_varlong(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => put_varlong(out, -1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_at_their_limits() {
        for value in [0, -1, 63, 64, -65, i64::from(i32::MAX), i64::MIN, i64::MAX] {
            let mut out = Vec::new();
            put_varlong(&mut out, value);
            assert_eq!(Reader { rest: &out }.varlong(), Ok(value));
        }
        assert!(Reader { rest: &[0x80; 11] }.varlong().is_err());
    }

    #[test]
    fn a_count_the_bytes_do_not_bear_out_is_an_error() {
        let record = Record {
            timestamp_delta: 5,
            offset_delta: 0,
            key: None,
            value: Some(b"v"),
            headers: &[0],
        };
        let mut body = Vec::new();
        record.write(5, &mut body);
        assert_eq!(Records::new(&body, 1).collect::<Vec<_>>(), [Ok(record)]);
        assert!(Records::new(&body, i32::MAX).any(|record| record.is_err()));
        body.push(0);
        assert!(Records::new(&body, 1).any(|record| record.is_err()));
    }
}
