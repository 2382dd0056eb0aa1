//! Checks the form of an answer before it is decoded. Pure.
//!
//! The decoder reserves memory for as many elements as an array claims to have, so each length is
//! compared with the bytes that are there first. In a form `1`, `2`, `4` and `8` are numbers of so many
//! bytes, `u` a UUID, `s` a string, `b` bytes, `[x]` an array of such, `(...)` an array of structs.

/// Walks through the bytes of an answer as its form tells.
struct Walker<'a> {
    bytes: &'a [u8],
    flexible: bool,
}

/// Whether the bytes have the form. Bytes after its end are let through.
pub(super) fn fits(shape: &str, flexible: bool, bytes: &[u8]) -> bool {
    let mut walker = Walker { bytes, flexible };
    walker.fields(shape.as_bytes()).and_then(|()| walker.tags()).is_some()
}

impl Walker<'_> {
    fn skip(&mut self, count: usize) -> Option<()> {
        self.bytes = self.bytes.get(count..)?;
        Some(())
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*head)
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take::<1>()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).ok();
            }
        }
        None
    }

    /// A length, where null is 0. A string's is short.
    fn length(&mut self, is_short: bool) -> Option<usize> {
        if self.flexible {
            return Some(self.varint()?.saturating_sub(1));
        }
        let length = if is_short {
            i32::from(i16::from_be_bytes(self.take()?))
        } else {
            i32::from_be_bytes(self.take()?)
        };
        if length == -1 { Some(0) } else { usize::try_from(length).ok() }
    }

    fn tags(&mut self) -> Option<()> {
        let count = if self.flexible { self.varint()? } else { 0 };
        for _ in 0..count {
            self.varint()?;
            let length = self.varint()?;
            self.skip(length)?;
        }
        Some(())
    }

    fn fields(&mut self, mut shape: &[u8]) -> Option<()> {
        while let Some((&field, rest)) = shape.split_first() {
            shape = rest;
            match field {
                b'1' | b'2' | b'4' | b'8' => self.skip(usize::from(field - b'0'))?,
                b'u' => self.skip(16)?,
                b's' | b'b' => {
                    let length = self.length(field == b's')?;
                    self.skip(length)?;
                }
                open => {
                    let (element, after) = shape.split_at_checked(closing(shape)?)?;
                    shape = after.get(1..)?;
                    let count = self.length(false)?;
                    // Each element takes a byte at least.
                    if count > self.bytes.len() {
                        return None;
                    }
                    for _ in 0..count {
                        self.fields(element)?;
                        if open == b'(' {
                            self.tags()?;
                        }
                    }
                }
            }
        }
        Some(())
    }
}

/// Where the array ends whose opening was just read.
fn closing(shape: &[u8]) -> Option<usize> {
    let mut depth = 0;
    shape.iter().position(|field| {
        match field {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            _ => {}
        }
        depth < 0
    })
}
