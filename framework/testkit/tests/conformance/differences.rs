//! Where Oncestream differs from Kafka Streams on purpose, and what is compared instead.
//!
//! Invariant: a test holds that each still differs, so a difference that has gone leaves this list.

use crate::format::Case;
use crate::play::{Setup, Variant, fault};

/// What is compared instead of all lines.
#[derive(Clone, Copy)]
enum Instead {
    /// What Kafka Streams gives for the same inputs without a cache.
    WithoutCache,
    /// Every line but the answers to this command.
    AllBut(&'static str),
}

/// Group, case, whether with a cache, and what is compared instead.
const DIFFERENCES: &[(&str, &str, bool, Instead)] = &[
    // There a cache answers with rows that the store behind it has forgotten, until it drops them for want
    // of room. Here a row is forgotten in time, wherever it lies: a cache changes no answer.
    ("stores", "window_store", true, Instead::WithoutCache),
    // There `fetch` of one window looks for the sequence number 0, which no duplicate has, and so never
    // finds one. Here it gives the first.
    ("stores", "window_store_duplicates", false, Instead::AllBut("get ")),
];

/// Where a case differs from what comes here, but for the differences on purpose.
pub(crate) fn unforeseen(
    case: &Case,
    cases: &[Case],
    setup: Setup,
    variant: Variant,
) -> Option<String> {
    let listed = |(group, name, cache, _): &&(&str, &str, bool, Instead)| {
        case.group == *group && case.name == *name && case.cache == *cache
    };
    match DIFFERENCES.iter().find(listed) {
        None => fault(case, setup, variant),
        Some((.., Instead::AllBut(command))) => {
            fault(case, Setup { not_compared: Some(command), ..setup }, variant)
        }
        Some((.., Instead::WithoutCache)) => {
            let same = |other: &&Case| {
                let of = |case: &Case| (case.group.clone(), case.seed.clone(), case.name.clone());
                !other.cache && of(other) == of(case)
            };
            let lines = cases.iter().find(same).unwrap().lines.clone();
            fault(&Case { lines, ..case.clone() }, setup, variant)
        }
    }
}

#[test]
fn each_difference_on_purpose_is_still_there() {
    let cases = crate::format::golden();
    for (group, name, cache, _) in DIFFERENCES {
        let of_it =
            |case: &&Case| case.group == *group && case.name == *name && case.cache == *cache;
        let differs =
            |case: &Case| fault(case, crate::setup(case).unwrap(), Variant::Undisturbed).is_some();
        assert!(cases.iter().filter(of_it).any(differs), "{group}, {name}: take it off the list");
    }
}
