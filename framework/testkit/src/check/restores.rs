//! Cases of stores that are restored from a broker that lags: which fetches, and how far behind.
//!
//! A run without faults restores nothing. So there is another kind of run, in which the application
//! loses its stores whenever all is committed; and a restore follows a kill, and an instance that
//! joins. How a case is run is the matter of `cases.rs`.

use oncestream_broker::{Action, Api, Fault, RequestRecord};

use super::errors::Gravity;
use super::plan::{Case, Happening, Kinds, Moment, names};

/// So many fetches in a row are answered by a broker that lags. The client takes the end in an
/// answer for the end of the partition when it has read that far already, with the next answer.
const FETCHES: u64 = 4;
/// Without its marker the last transaction of a changelog is open, and is not read.
const LAST_TRANSACTION: u64 = 1;
/// The broker knows nothing of the changelog but its start.
const ALL: u64 = u64::MAX;

/// How far behind a broker is, in words.
pub(super) fn in_words(records_ago: u64) -> &'static str {
    if records_ago == ALL { "the changelog's start" } else { "before the last transaction" }
}

/// What a broker that lags does to the fetches of a changelog.
pub(super) fn lag(fetches: Fault, records_ago: u64) -> Fault {
    fetches.times(FETCHES).then(Action::AnswerAsOf { records_ago })
}

/// Every fetch of a restore in the first of these runs, in which stores are lost. The other runs
/// tell what is steady.
pub(super) fn of_lost_stores(runs: &[Vec<RequestRecord>]) -> Vec<Case> {
    let Some((requests, others)) = runs.split_first() else { return Vec::new() };
    let fetches = names(requests)
        .into_iter()
        .filter(|name| name.api == Api::Fetch && name.client.ends_with("-restore-consumer"));
    let cases = fetches.flat_map(|at| {
        let steady = others.iter().all(|run| at.is_among(run));
        [LAST_TRANSACTION, ALL].map(|records_ago| Case {
            at: at.clone(),
            happening: Happening::LosesStores { records_ago },
            lag: None,
            gravity: Gravity::Passing,
            steady,
        })
    });
    cases.collect()
}

/// At each end of a transaction: a kill, after which the stores go on from where they were, and an
/// instance that joins, which has none.
pub(super) fn after_a_commit(runs: &[Vec<RequestRecord>], kinds: Kinds) -> Vec<Case> {
    let Some((requests, others)) = runs.split_first() else { return Vec::new() };
    let kills = [Moment::Before, Moment::After].map(Happening::Kill);
    let kills = kills.into_iter().filter(|_| kinds.processes);
    let happenings: Vec<_> = kills.chain(kinds.rebalances.then_some(Happening::Join)).collect();
    let ends = names(requests).into_iter().filter(|name| name.api == Api::EndTxn);
    let cases = ends.flat_map(|at| {
        let steady = others.iter().all(|run| at.is_among(run));
        let case = move |happening| Case {
            at: at.clone(),
            happening,
            lag: Some(LAST_TRANSACTION),
            gravity: Gravity::Passing,
            steady,
        };
        happenings.clone().into_iter().map(case)
    });
    cases.collect()
}
