//! Random histories against a naive model: what committed readers see, and what survives cleaning.

use std::collections::{BTreeMap, HashMap};

use super::*;

/// A small generator (xorshift), so that a seed names a history.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[derive(Default)]
struct Producer {
    epoch: i16,
    sequence: i32,
    /// Records of the open transaction.
    open: Option<Vec<(i64, String, Option<String>)>>,
}

#[derive(Default)]
struct Model {
    producers: HashMap<i64, Producer>,
    /// Committed records by offset, whether or not they may be read yet.
    committed: BTreeMap<i64, (String, Option<String>)>,
    next_value: u32,
}

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

impl Model {
    fn write(&mut self, random: &mut Random, log: &mut PartitionLog, now_ms: i64) {
        let id = random.below(5) as i64 - 1;
        let transactional = id >= 2;
        let mut batch = send([]).codec(CODECS[random.below(8) as usize % 5]);
        for _ in 0..=random.below(3) {
            self.next_value += 1;
            let value = (random.below(6) > 0).then(|| format!("v{}", self.next_value));
            batch.records.push((Some(format!("k{}", random.below(7))), value, now_ms));
        }
        if id >= 0 {
            let producer = self.producers.entry(id).or_default();
            batch = batch.by(id, producer.epoch, producer.sequence);
            producer.sequence += batch.records.len() as i32;
        }
        if transactional {
            batch = batch.transactional();
        }
        let bytes = batch.clone().bytes();
        let base = log.high_watermark();
        let appended = log.append(&bytes, &compacting(), now_ms).unwrap();
        assert_eq!((appended.base_offset, appended.duplicate), (base, false));
        if id >= 0 && random.below(4) == 0 {
            let again = log.append(&bytes, &compacting(), now_ms).unwrap();
            assert_eq!((again.base_offset, again.duplicate), (base, true));
        }
        for (offset, (key, value, _)) in (base..).zip(batch.records) {
            let key = key.unwrap();
            if transactional {
                let producer = self.producers.get_mut(&id).unwrap();
                producer.open.get_or_insert_default().push((offset, key, value));
            } else {
                self.committed.insert(offset, (key, value));
            }
        }
    }

    fn end(&mut self, random: &mut Random, log: &mut PartitionLog, now_ms: i64) {
        let id = 2 + random.below(2) as i64;
        let producer = self.producers.entry(id).or_default();
        let commit = random.below(2) == 0;
        if !commit && random.below(2) == 0 {
            producer.epoch += 1;
            producer.sequence = 0;
        }
        log.append_marker(id, producer.epoch, 0, commit, now_ms).unwrap();
        let records = producer.open.take().unwrap_or_default();
        if commit {
            let entries = records.into_iter().map(|(offset, key, value)| (offset, (key, value)));
            self.committed.extend(entries);
        }
    }

    fn stable(&self, log: &PartitionLog) -> i64 {
        let open = self.producers.values().filter_map(|producer| producer.open.as_ref());
        let first = open.filter_map(|records| records.first()).map(|record| record.0).min();
        first.unwrap_or(log.high_watermark()).max(log.start_offset())
    }

    /// What was compacted away may be missing, but nothing else; nothing may be there that is not
    /// committed; and the latest value of each key is there.
    fn check(&self, random: &mut Random, log: &PartitionLog, cleaned: bool) {
        let stable = self.stable(log);
        assert_eq!(log.last_stable_offset(), stable);
        assert!(log.start_offset() <= stable && stable <= log.high_watermark());
        let visible = || self.committed.range(log.start_offset()..stable);
        let size = 1 + random.below(600) as usize;
        let text = |bytes: Option<Bytes>| bytes.map(|b| String::from_utf8(b.to_vec()).unwrap());
        let seen: Vec<_> = read_committed(log, size)
            .into_iter()
            .map(|(offset, key, value)| (offset, (text(key).unwrap(), text(value))))
            .collect();
        assert!(seen.is_sorted_by(|a, b| a.0 < b.0), "offsets strictly increase");
        for (offset, record) in &seen {
            assert_eq!(self.committed.get(offset), Some(record), "offset {offset}");
        }
        if !cleaned {
            assert_eq!(seen.len(), visible().count());
        }
        let mut latest = HashMap::new();
        for (_, (key, value)) in visible() {
            latest.insert(key.clone(), value.clone());
        }
        let mut seen_latest: HashMap<_, _> = seen.into_iter().map(|(_, record)| record).collect();
        // A tombstone may be gone, but only together with all that it deletes.
        latest.retain(|key, value| value.is_some() || seen_latest.contains_key(key));
        seen_latest.retain(|key, value| value.is_some() || latest.contains_key(key));
        assert_eq!(seen_latest, latest);
    }
}

fn history(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut model = Model::default();
    let mut log = PartitionLog::new();
    let settings = LogSettings { delete_retention_ms: 50, ..compacting() };
    let cleans = !seed.is_multiple_of(3);
    let mut now_ms = NOW;
    let mut cleaned = false;
    for _ in 0..120 {
        now_ms += random.below(20) as i64;
        match random.below(20) {
            0..=10 => model.write(&mut random, &mut log, now_ms),
            11..=15 => model.end(&mut random, &mut log, now_ms),
            16..=17 if cleans => {
                let end = log.high_watermark();
                log.clean(&settings, now_ms);
                assert_eq!(log.high_watermark(), end);
                cleaned = true;
            }
            18 if random.below(6) == 0 => {
                let span = log.last_stable_offset() - log.start_offset();
                let offset = log.start_offset() + random.below(span as u64 + 1) as i64;
                log.delete_before(offset).unwrap();
            }
            _ => {
                log.bump_leader_epoch();
            }
        }
        if random.below(3) == 0 {
            model.check(&mut random, &log, cleaned);
        }
    }
    model.check(&mut random, &log, cleaned);
}

#[test]
fn committed_content_equals_the_model_in_random_histories() {
    let start = std::env::var("LOG_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = start.map_or(0..100, |seed: u64| seed..seed + 1);
    for seed in seeds {
        println!("LOG_SEED={seed}");
        history(seed);
    }
}
