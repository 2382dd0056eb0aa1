//! Compression: round trips, foreign frames, and bounds.

use super::compression::MAX_UNCOMPRESSED_BYTES;
use super::*;

const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

#[test]
fn every_codec_gives_back_what_it_took() {
    let body: Vec<u8> = (0..200_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    for codec in ALL {
        let compressed = codec.compress(&body).unwrap();
        assert_eq!(codec.decompress(&compressed).unwrap(), body, "{codec:?}");
        assert_eq!(Codec::of_id(codec as i16), Some(codec));
    }
}

#[test]
fn snappy_frames_of_java_and_bare_blocks_are_read() {
    let record = b"\x18\0\0\0\x01\x0csdfdsf\0";
    let java = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x0f\x0d0\x18\0\0\0\x01\x0csdfdsf\0";
    let bare = b"\r0\x18\0\0\0\x01\x0csdfdsf\0";
    assert_eq!(Codec::Snappy.decompress(java).unwrap(), record);
    assert_eq!(Codec::Snappy.decompress(bare).unwrap(), record);
}

#[test]
fn a_bomb_is_refused() {
    let zeros = vec![0_u8; MAX_UNCOMPRESSED_BYTES + 1];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let bomb = codec.compress(&zeros).unwrap();
        assert!(codec.decompress(&bomb).is_err(), "{codec:?}");
        let fits = codec.compress(&zeros[1..]).unwrap();
        assert_eq!(codec.decompress(&fits).unwrap().len(), MAX_UNCOMPRESSED_BYTES, "{codec:?}");
    }
}

#[test]
fn a_snappy_block_cannot_claim_what_it_does_not_hold() {
    // Claims 60 MiB in its length and holds nothing.
    let error = Codec::Snappy.decompress(b"\x80\x80\x80\x1e\0").unwrap_err();
    assert!(error.to_string().contains("claims"), "refused before 60 MiB are allocated: {error}");
}

#[test]
fn a_plain_topic_keeps_compressed_batches_without_looking_into_them() {
    let mut log = PartitionLog::new();
    let good = send([("a", "1")]).codec(Codec::Zstd).bytes();
    let header = Header::read(&good).unwrap();
    let garbage = header.write(b"this is no zstd frame");
    assert!(log.append(&garbage, &LogSettings::default(), NOW).is_ok());
    assert!(log.records().is_empty());
    assert_eq!(log.max_timestamp(), Some((0, NOW)), "told from the header");
    let mut compacted = PartitionLog::new();
    let error = compacted.append(&garbage, &compacting(), NOW);
    assert_eq!(error_of(error), ResponseError::CorruptMessage);
    log.clean(&compacting(), NOW);
    assert_eq!(log.high_watermark(), 1);
    assert!(log.size_bytes() > 61, "what cannot be looked into is not cleaned");
}
