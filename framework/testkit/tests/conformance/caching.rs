//! What a cache makes of the lines of a case that has none.
//!
//! Knows lines of golden files. Kafka Streams' driver commits after each input, so a cache shows as one
//! output for each key and input. A test holds that the golden files say so, where no cache answers with
//! what the store behind it has forgotten.

use std::collections::BTreeSet;

use crate::format::{Case, Form, Windows};

const NULL: &str = "\\N";

/// The lines as they would be with a cache. The case has one output, an aggregation's own.
///
/// Of the records of a key that one input leads to the last one comes, in its place, and with the headers
/// of the input. A null comes if the key had a value before, and then with the time of the input; for a
/// session it is the session's end.
pub(crate) fn as_cached(case: &Case) -> Vec<String> {
    let output = &case.outputs[0];
    let is_in_sessions = matches!(output.form, Form::Windowed(Windows::Session));
    let (mut lines, mut changes) = (Vec::new(), Vec::<(&str, &str, &str)>::new());
    let (mut present, mut input) = (BTreeSet::new(), ("", ""));
    for line in &case.lines {
        let fields: Vec<&str> = line.split('\t').collect();
        if let ["out", topic, key, value, time, _] = fields[..]
            && topic == output.name
        {
            changes.retain(|(changed, ..)| *changed != key);
            changes.push((key, value, time));
            continue;
        }
        for (key, value, time) in changes.drain(..) {
            let was_present =
                if value == NULL { present.remove(key) } else { !present.insert(key) };
            if value == NULL && !was_present {
                continue;
            }
            let time = if value == NULL && !is_in_sessions { input.0 } else { time };
            let (topic, headers) = (&output.name, input.1);
            lines.push(format!("out\t{topic}\t{key}\t{value}\t{time}\t{headers}"));
        }
        if let ["in", .., time, headers] = fields[..] {
            input = (time, headers);
        }
        lines.push(line.clone());
    }
    lines
}

#[test]
fn a_cache_shows_as_one_output_for_each_key_and_input() {
    let cases = crate::format::golden();
    let mut compared = 0;
    for cached in cases.iter().filter(|case| case.cache && case.outputs.len() == 1) {
        let is_in_windows = matches!(cached.outputs[0].form, Form::Windowed(_));
        let emits_on_update = ["time_windows", "sliding_windows", "session_windows"];
        if !is_in_windows
            || !emits_on_update.contains(&&*cached.group)
            || crate::differences::is_listed(cached)
        {
            continue;
        }
        let uncached = crate::differences::other(cached, &cases, &cached.name, false);
        compared += 1;
        assert_eq!(as_cached(uncached), cached.lines, "{}", cached.title());
    }
    assert!(compared > 3 * 15, "{compared} cases were compared");
}
