//! Which cases are run, and in which order, by a seed.

use std::collections::BTreeMap;

use oncestream_broker::Api;

use super::plan::Case;

/// At most `count` of the cases, chosen by the seed and in its order: kinds of requests that are
/// rare are as likely as frequent ones.
pub(super) fn sample(cases: Vec<Case>, count: usize, seed: u64) -> Vec<Case> {
    let mut groups: BTreeMap<(Api, String), Vec<Case>> = BTreeMap::new();
    for case in shuffled(cases, seed) {
        let kind = (case.at.api, case.what());
        groups.entry(kind).or_default().push(case);
    }
    let mut groups = shuffled(groups.into_values().collect(), seed);
    let mut chosen = Vec::new();
    while chosen.len() < count && !groups.is_empty() {
        groups.retain_mut(|group| {
            if chosen.len() < count {
                chosen.extend(group.pop());
            }
            !group.is_empty()
        });
    }
    chosen
}

/// Fisher and Yates, with numbers of a linear congruential generator (Knuth's MMIX).
pub(super) fn shuffled<T>(mut items: Vec<T>, seed: u64) -> Vec<T> {
    let mut state = seed;
    for at in (1..items.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let chosen = (state >> 33) % (at as u64 + 1);
        items.swap(at, usize::try_from(chosen).unwrap_or(0));
    }
    items
}
