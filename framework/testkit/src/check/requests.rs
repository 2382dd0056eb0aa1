//! The requests around a fault, for people.

use std::fmt::Write as _;

use oncestream_broker::{Api, RequestRecord};

use super::errors;

/// The requests shown before a fault, and after it.
const BEFORE: usize = 8;
const AFTER: usize = 40;

/// The requests around the fault, in words. Reading on and on is left out.
pub(super) fn around(requests: &[RequestRecord]) -> Vec<String> {
    let Some(at) = requests.iter().position(|r| r.fault.is_some()) else { return Vec::new() };
    let dull = |r: &&RequestRecord| {
        let waits = matches!(r.api, Api::Fetch | Api::Heartbeat);
        !waits || r.fault.is_some() || r.error.is_some()
    };
    let shown = requests[at.saturating_sub(BEFORE)..].iter().filter(dull);
    let mut words: Vec<String> = shown.clone().take(BEFORE + AFTER).map(in_words).collect();
    let rest: Vec<&RequestRecord> = shown.skip(BEFORE + AFTER).collect();
    if let Some(last) = rest.len().checked_sub(AFTER) {
        words.push(format!("... {last} more"));
    }
    words.extend(rest[rest.len().saturating_sub(AFTER)..].iter().copied().map(in_words));
    words
}

fn in_words(request: &RequestRecord) -> String {
    let mut words = format!("{} {} {}", request.number, request.api, request.client_id);
    for topic in &request.topics {
        words.push(' ');
        words.push_str(topic);
    }
    if let Some(error) = request.error {
        let _ = write!(words, ", error {} {error}", errors::name(error));
    }
    if let Some(fault) = request.fault {
        let _ = write!(words, "   <- {fault:?}");
    }
    words
}
