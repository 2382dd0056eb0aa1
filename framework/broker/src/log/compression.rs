//! Compression of batch bodies, as Kafka's Java client frames them.
//!
//! It does not know records. Each codec is a feature of the crate; without it, its batches are
//! stored and served as they are, but not looked into.
//! Invariant: decompression never yields more than [`MAX_UNCOMPRESSED_BYTES`], and buffers grow
//! with what was really read, not with what a header claims.

use std::borrow::Cow;
use std::io::{self, Read};

use bytes::Bytes;

/// The most one batch may decompress to: 64 MiB.
pub(crate) const MAX_UNCOMPRESSED_BYTES: usize = 64 << 20;

/// How a batch's records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// The codec with this number in the attributes of a batch.
    pub(crate) fn of_id(id: i16) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// True if this build can look into such batches.
    pub(crate) fn supported(self) -> bool {
        match self {
            Self::None => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Snappy => cfg!(feature = "snappy"),
            Self::Lz4 => cfg!(feature = "lz4"),
            Self::Zstd => cfg!(feature = "zstd"),
        }
    }

    /// The uncompressed form of a stored body; without a copy if it is not compressed.
    ///
    /// # Errors
    /// The data is not of this codec, is too large, or the codec is not in this build.
    pub(crate) fn decompress_shared(self, body: &Bytes) -> io::Result<Bytes> {
        if self == Self::None { Ok(body.clone()) } else { self.decompress(body).map(Into::into) }
    }

    /// The uncompressed form of `body`.
    ///
    /// # Errors
    /// The data is not of this codec, is too large, or the codec is not in this build.
    pub(crate) fn decompress(self, body: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(body.to_vec()),
            #[cfg(feature = "gzip")]
            Self::Gzip => read_bounded(flate2::read::MultiGzDecoder::new(body)),
            #[cfg(feature = "snappy")]
            Self::Snappy => snappy::decompress(body),
            #[cfg(feature = "lz4")]
            Self::Lz4 => read_bounded(lz4::Decoder::new(body)?),
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
                // A frame header may ask for a larger window than all its data may be.
                decoder.window_log_max(MAX_UNCOMPRESSED_BYTES.ilog2())?;
                read_bounded(decoder)
            }
            #[allow(unreachable_patterns, reason = "reachable without all codec features")]
            codec => Err(not_in_this_build(codec)),
        }
    }

    /// The compressed form of `body`.
    ///
    /// # Errors
    /// The codec is not in this build.
    pub(crate) fn compress(self, body: &[u8]) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Self::None => Ok(Cow::Borrowed(body)),
            #[cfg(feature = "gzip")]
            Self::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                io::Write::write_all(&mut encoder, body)?;
                encoder.finish().map(Cow::Owned)
            }
            #[cfg(feature = "snappy")]
            Self::Snappy => snappy::compress(body).map(Cow::Owned),
            #[cfg(feature = "lz4")]
            Self::Lz4 => {
                // Java's reader takes independent blocks only.
                let mut encoder = lz4::EncoderBuilder::new()
                    .block_mode(lz4::BlockMode::Independent)
                    .block_size(lz4::BlockSize::Max64KB)
                    .checksum(lz4::ContentChecksum::NoChecksum)
                    .build(Vec::new())?;
                io::Write::write_all(&mut encoder, body)?;
                let (compressed, result) = encoder.finish();
                result.map(|()| Cow::Owned(compressed))
            }
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::stream::encode_all(body, 0).map(Cow::Owned),
            #[allow(unreachable_patterns, reason = "reachable without all codec features")]
            codec => Err(not_in_this_build(codec)),
        }
    }
}

#[allow(dead_code, reason = "used without all codec features")]
fn not_in_this_build(codec: Codec) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("{codec:?} is not in this build"))
}

#[allow(dead_code, reason = "used with one of the codec features")]
fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the batch decompresses to more than 64 MiB")
}

#[allow(dead_code, reason = "used with one of the codec features")]
fn read_bounded(decoder: impl Read) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    decoder.take(MAX_UNCOMPRESSED_BYTES as u64 + 1).read_to_end(&mut out)?;
    if out.len() > MAX_UNCOMPRESSED_BYTES { Err(too_large()) } else { Ok(out) }
}

/// snappy-java's stream: a header, then blocks with their lengths; or one bare block, as some
/// clients send it.
#[cfg(feature = "snappy")]
mod snappy {
    use super::{MAX_UNCOMPRESSED_BYTES, io, too_large};

    const MAGIC: &[u8] = b"\x82SNAPPY\0";
    const VERSIONS: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 1];
    const BLOCK_BYTES: usize = 32 * 1024;
    /// No snappy block grows by more than this: three bytes can copy 64.
    const MAX_RATIO: usize = 32;

    fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, reason)
    }

    fn block(data: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let len = snap::raw::decompress_len(data).map_err(invalid)?;
        if len > data.len().saturating_mul(MAX_RATIO) {
            return Err(invalid("a snappy block claims more than it can hold"));
        }
        let start = out.len();
        if start + len > MAX_UNCOMPRESSED_BYTES {
            return Err(too_large());
        }
        out.resize(start + len, 0);
        snap::raw::Decoder::new().decompress(data, &mut out[start..]).map_err(invalid)?;
        Ok(())
    }

    pub(super) fn decompress(data: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        if !data.starts_with(MAGIC) {
            block(data, &mut out)?;
            return Ok(out);
        }
        let mut rest = data.get(MAGIC.len() + VERSIONS.len()..).ok_or_else(|| invalid("short"))?;
        while !rest.is_empty() {
            let (len, after) = rest.split_first_chunk::<4>().ok_or_else(|| invalid("short"))?;
            let len = u32::from_be_bytes(*len) as usize;
            let (data, after) = after.split_at_checked(len).ok_or_else(|| invalid("short"))?;
            block(data, &mut out)?;
            rest = after;
        }
        Ok(out)
    }

    pub(super) fn compress(body: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = [MAGIC, VERSIONS].concat();
        let mut encoder = snap::raw::Encoder::new();
        for chunk in body.chunks(BLOCK_BYTES) {
            let compressed = encoder.compress_vec(chunk).map_err(invalid)?;
            out.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
            out.extend_from_slice(&compressed);
        }
        Ok(out)
    }
}
