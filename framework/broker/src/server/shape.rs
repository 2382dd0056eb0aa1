//! Checks the form of a request before it is decoded.
//!
//! The decoder reserves memory for as many elements as an array claims to have. So every length
//! is compared with the bytes that are there first: a request that passes is decoded without a
//! panic, and in memory that is proportional to its size.

/// So many array elements may a request have in all; each costs about 100 bytes when decoded.
const MAX_ELEMENTS: usize = 1_000_000;

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShapeError {
    #[error("it ends too early")]
    Truncated,
    #[error("a length is negative or longer than the request")]
    Length,
    #[error("it has more than {MAX_ELEMENTS} elements")]
    TooMany,
}

/// Walks through the bytes of a request as its form tells.
struct Walker<'a> {
    bytes: &'a [u8],
    flexible: bool,
    elements: usize,
}

/// Checks the body of a request against its form. Bytes after its end are let through, as Kafka
/// does.
pub(crate) fn check(shape: &str, flexible: bool, bytes: &[u8]) -> Result<(), ShapeError> {
    let mut walker = Walker { bytes, flexible, elements: 0 };
    walker.fields(shape.as_bytes())?;
    walker.tags()
}

/// Checks the end of a request header: the client id, and tags in flexible versions.
/// Returns how many bytes it takes.
pub(crate) fn check_header(flexible: bool, bytes: &[u8]) -> Result<usize, ShapeError> {
    // The client id is never compact.
    let mut walker = Walker { bytes, flexible: false, elements: 0 };
    walker.fields(b"s")?;
    walker.flexible = flexible;
    walker.tags()?;
    Ok(bytes.len() - walker.bytes.len())
}

impl Walker<'_> {
    fn skip(&mut self, count: usize) -> Result<(), ShapeError> {
        self.bytes = self.bytes.get(count..).ok_or(ShapeError::Truncated)?;
        Ok(())
    }

    fn big_endian<const N: usize>(&mut self) -> Result<[u8; N], ShapeError> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or(ShapeError::Truncated)?;
        self.bytes = rest;
        Ok(*head)
    }

    fn unsigned_varint(&mut self) -> Result<usize, ShapeError> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.big_endian::<1>()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).map_err(|_| ShapeError::Length);
            }
        }
        Err(ShapeError::Length)
    }

    /// A length; `None` is null. `short` is a string's.
    fn length(&mut self, short: bool) -> Result<Option<usize>, ShapeError> {
        if self.flexible {
            return Ok(self.unsigned_varint()?.checked_sub(1));
        }
        let length = if short {
            i32::from(i16::from_be_bytes(self.big_endian()?))
        } else {
            i32::from_be_bytes(self.big_endian()?)
        };
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| ShapeError::Length),
        }
    }

    fn tags(&mut self) -> Result<(), ShapeError> {
        if !self.flexible {
            return Ok(());
        }
        let count = self.unsigned_varint()?;
        self.count(count)?;
        for _ in 0..count {
            self.unsigned_varint()?;
            let length = self.unsigned_varint()?;
            self.skip(length)?;
        }
        Ok(())
    }

    fn count(&mut self, more: usize) -> Result<(), ShapeError> {
        // Each element takes a byte at least.
        if more > self.bytes.len() {
            return Err(ShapeError::Length);
        }
        self.elements += more;
        if self.elements > MAX_ELEMENTS { Err(ShapeError::TooMany) } else { Ok(()) }
    }

    fn fields(&mut self, mut shape: &[u8]) -> Result<(), ShapeError> {
        while let Some((&field, rest)) = shape.split_first() {
            shape = rest;
            match field {
                b'1' | b'2' | b'4' | b'8' => self.skip(usize::from(field - b'0'))?,
                b'u' => self.skip(16)?,
                b's' | b'b' => {
                    let length = self.length(field == b's')?.unwrap_or(0);
                    self.skip(length)?;
                }
                open => {
                    let (element, after) = shape.split_at(closing(shape));
                    shape = &after[1..];
                    let count = self.length(false)?.unwrap_or(0);
                    self.count(count)?;
                    for _ in 0..count {
                        self.fields(element)?;
                        if open == b'(' {
                            self.tags()?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where the array ends whose opening was just read.
fn closing(shape: &[u8]) -> usize {
    let mut depth = 0;
    for (at, field) in shape.iter().enumerate() {
        match field {
            b'(' | b'[' => depth += 1,
            b')' | b']' if depth == 0 => return at,
            b')' | b']' => depth -= 1,
            _ => {}
        }
    }
    unreachable!("forms are constants with balanced brackets, which a test checks")
}
