//! The 128-bit hash of Murmur3 (the variant `x64_128`) with the seed of Kafka Streams, by which a response
//! of a foreign-key join knows the value that it answers. Source: `Murmur3.hash128` in Kafka Streams 4.3.1,
//! which has it from Apache Hive; the algorithm is in the public domain.

const SEED: u64 = 104_729;
const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

/// Both halves of a hash.
pub(super) type Hash = [u64; 2];

/// The hash of some bytes.
pub(super) fn hash128(data: &[u8]) -> Hash {
    let [mut h1, mut h2] = [SEED; 2];
    let mut blocks = data.chunks_exact(16);
    for block in &mut blocks {
        let [k1, k2] = words(block);
        h1 = (h1 ^ mixed1(k1)).rotate_left(27).wrapping_add(h2);
        h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 = (h2 ^ mixed2(k2)).rotate_left(31).wrapping_add(h1);
        h2 = h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    // Zeros mix to zero, so missing bytes change nothing.
    let [k1, k2] = words(blocks.remainder());
    h1 ^= mixed1(k1);
    h2 ^= mixed2(k2);
    h1 ^= data.len() as u64;
    h2 ^= data.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    [h1, h2] = [finished(h1), finished(h2)];
    h1 = h1.wrapping_add(h2);
    [h1, h2.wrapping_add(h1)]
}

/// Up to 16 bytes as two numbers, lowest byte first.
fn words(bytes: &[u8]) -> [u64; 2] {
    let mut both = [0; 2];
    for (at, byte) in bytes.iter().enumerate().take(16) {
        both[at / 8] |= u64::from(*byte) << (8 * (at % 8));
    }
    both
}

fn mixed1(k: u64) -> u64 {
    k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn mixed2(k: u64) -> u64 {
    k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

fn finished(mut h: u64) -> u64 {
    h ^= h >> 33;
    h = h.wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^= h >> 33;
    h = h.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}
